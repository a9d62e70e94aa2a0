"""The fleet's own files: 125 boxes that load, their names and number, where they stand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edge_agent.config import check_file
from edge_agent.contract.fleet import read_fleet

FLEET = Path(__file__).parent.parent / "firmware_configs"
WIFI_SITES = {
    "dinh-cau", "night-market", "duong-dong-port", "sunset-sanato", "prison-museum", "an-thoi-port", "sunset-town",
    "bai-sao",
}  # fmt: skip
HOW_MANY = {"air": 16, "water": 4, "waste": 4, "sea": 2, "cam": 50, "ap": 49}
MEDIA = {"air": "air", "water": "drinking_water", "waste": "wastewater", "sea": "seawater", "cam": None, "ap": None}

BOXES, MISTAKES = read_fleet(FLEET)


def test_every_device_file_is_sound() -> None:
    assert MISTAKES == []
    wrong = [str(mistake) for path in (FLEET / "devices").glob("*.yaml") for mistake in check_file(path)]
    assert wrong == []


def test_there_are_125_boxes_by_the_agreed_names() -> None:
    assert set(BOXES) == {f"{kind}-{i:02}" for kind, n in HOW_MANY.items() for i in range(1, n + 1)}
    assert len(BOXES) == 125


def test_each_box_is_what_its_name_says() -> None:
    for name, box in BOXES.items():
        kind = name.split("-")[0]
        assert (box.device, box.medium) == (name, MEDIA[kind])
        assert box.camera == (kind == "cam")
        assert box.access_point == (kind == "ap")


def test_the_access_points_stand_at_eight_sites() -> None:
    sites = Counter(box.site for box in BOXES.values() if box.access_point)
    assert set(sites) == WIFI_SITES
    assert sites.total() == 49


def test_positions_are_on_the_island_and_apart() -> None:
    for box in BOXES.values():
        assert 9.90 <= box.position.lat <= 10.46, box
        assert 103.83 <= box.position.lon <= 104.09, box
    assert len({(box.position.lat, box.position.lon) for box in BOXES.values()}) == len(BOXES)


def test_labels_are_in_both_languages_and_unique() -> None:
    assert all(box.label.count(" / ") == 1 for box in BOXES.values())
    assert len({box.label for box in BOXES.values()}) == len(BOXES)


def test_every_file_names_the_schema_for_editors() -> None:
    for path in (FLEET / "fleet.yaml", *FLEET.glob("*/*.yaml")):
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema="), path
        assert (path.parent / first.split("=", 1)[1]).resolve() == (FLEET / "schema.json").resolve()


def test_a_broken_box_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "types").mkdir()
    (tmp_path / "fleet.yaml").write_text("area: {}\n")
    (tmp_path / "types" / "post.yaml").write_text("camera: {source: x}\n")
    sound = "device: a\ntype: post\nsite: s\nlabel: A / B\nposition: {lat: 1, lon: 2}\n"
    (tmp_path / "devices" / "a.yaml").write_text(sound)
    (tmp_path / "devices" / "b.yaml").write_text(sound.replace("lat: 1", "lat: x"))
    boxes, mistakes = read_fleet(tmp_path)
    assert list(boxes) == ["a"]
    assert boxes["a"].camera
    assert [(Path(m.file).name, m.line) for m in mistakes] == [("b.yaml", 1), ("b.yaml", 5)]


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    boxes, [mistake] = read_fleet(tmp_path)
    assert boxes == {}
    assert mistake.message == "holds no devices/*.yaml"
