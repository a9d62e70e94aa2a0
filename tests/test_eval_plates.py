"""`scripts/eval_plates.py`: labels, what counts as read, the peer's texts, pictures without plates, the command."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
from drawn_plates import Image, plate, put, street, upright

from edge_agent.camera.plates.grammar import understand
from edge_agent.camera.plates.read import PlateText, Sight
from scripts.plate_evaluation.drawn_scenes import draw_scene, sign_text
from scripts.plate_evaluation.labels import COLUMNS, Box, Label, LabelsError, load, select
from scripts.plate_evaluation.measure import BareRead
from scripts.plate_evaluation.outputs import ROOT, OutputError, outside, write_csv, write_sheet
from scripts.plate_evaluation.peer import PeerError, Piece, RapidOCR, joined, says
from scripts.plate_evaluation.score import edits, judge, overlap
from scripts.plate_evaluation.summary import Photo, calibration, summarise, sure, widths
from scripts.plate_evaluation.without_plates import DRAWN, GATE, STREET, Bare, part_without, without_plates

# Labels.


def labels_csv(folder: Path, *rows: dict[str, str]) -> Path:
    """A labels.csv in `folder`; what a row leaves out is that of a white car's plate of one line."""
    usual = {"part": "check", "kind": "scene", "text": "68A12345", "boxes": "", "vehicle": "car", "colour": "white",
             "layout": "one"}  # fmt: skip
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows([{"file": f"street/check-{number}.png", **usual, **row} for number, row in enumerate(rows)])
    return path


def test_labels_are_read_in_their_order(tmp_path: Path) -> None:
    path = labels_csv(tmp_path, {"text": "60MÐ100000", "layout": "two"}, {"text": "", "boxes": "[[1, 2, 31, 12.5]]"})
    first, second = load(path)
    assert (first.file, first.text, first.layout) == ("street/check-0.png", "60MĐ100000", "two")
    assert (second.text, second.boxes) == ("", ((1.0, 2.0, 31.0, 12.5),))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"part": "test"}, "part: 'test'"),
        ({"kind": "video"}, "kind: 'video'"),
        ({"layout": "three"}, "layout: 'three'"),
        ({"text": "68A-123.45"}, "text: '68A-123.45'"),
        ({"file": "../secret.png"}, "file: '../secret.png'"),
        ({"file": ""}, "file: ''"),
        ({"file": "street/check-0.png"}, "line 2"),
        ({"boxes": "[[1, 2, 3"}, "boxes"),
        ({"boxes": "[[1, 2, 3]]"}, "boxes"),
        ({"boxes": "[[30, 2, 3, 9]]"}, "is no box"),
        ({"boxes": "[[NaN, 2, 3, 9]]"}, "is no box"),
    ],
    ids=str,
)
def test_a_wrong_label_is_named_with_its_line(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    path = labels_csv(tmp_path, {}, wrong)
    with pytest.raises(LabelsError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}:3: ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,part\nx,check\n", ":1: no column kind, text"),
        (b"", ":1: no column file"),
        (",".join(COLUMNS).encode() + b"\n", "no photo in it"),
        (",".join(COLUMNS).encode() + b"\nx.png,check\n", ":2: not as many fields"),
        (",".join(COLUMNS).encode() + b"\nx.png,check,scene,,,,,,more\n", ":2: not as many fields"),
        (b"\xff\xfe\0\1", "UTF-8"),
    ],
)
def test_a_file_that_is_no_labels_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(LabelsError, match=r"labels\.csv") as raised:
        load(path)
    assert said in str(raised.value)
    with pytest.raises(LabelsError, match="cannot be read"):
        load(tmp_path / "missing.csv")


def label(
    file: str = "street/check-1.webp", text: str = "68A12345", boxes: tuple[Box, ...] = (), **other: str
) -> Label:
    given = {"part": "check", "kind": "scene", "vehicle": "car", "colour": "white", "layout": "one", **other}
    return Label(file=file, text=text, boxes=boxes, **given)


def test_photos_are_chosen_by_part_kind_and_folder() -> None:
    one, two = label(), label("streets/check-1.webp")
    train, near = label("gate/gate-1.webp", part="train"), label("street/near-1.webp", kind="near")
    silent = label("street/check-2.webp", text="")
    given = [one, two, train, near, silent]
    assert select(given, part="check", kind="scene") == [one, two]
    assert select(given, part="check", kind="scene", folder="street/") == [one]
    assert select(given, part="all", kind="scene", first=2) == [one, two]
    assert select(given, part="train", kind="scene") == [train]
    assert select(given, part="check", kind="near") == [near]


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("street/whole-0012.webp", "street/whole"),
        ("gate/IMG_0012.jpg", "gate"),
        ("2024-11-01.jpg", "."),
        ("a.png", "."),
    ],
)
def test_photos_of_one_make_are_told_by_their_names(file: str, group: str) -> None:
    assert label(file).group == group


# Scores.


def sight(text: str, confidence: float = 0.8, box: Box = (100, 100, 200, 130), *, valid: bool = True) -> Sight:
    left, top, right, bottom = box
    read = PlateText(text=text, raw=text, confidence=confidence, char_confidence=(80,) * len(text), valid=valid,
                     classes=("car",) if valid else (), layout="one")  # fmt: skip
    return Sight(quad=((left, top), (right, top), (right, bottom), (left, bottom)), colour="white", read=read)


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("68A12345", "68A12345", 0), ("68A12345", "", 8), ("68A12345", "68A1245", 1), ("60MD1", "60MĐ1", 1),
     ("ABC", "BCA", 2), ("KITTEN", "SITTING", 3)],
)  # fmt: skip
def test_edits(one: str, other: str, count: int) -> None:
    assert edits(one, other) == edits(other, one) == count


def test_overlap() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == overlap((0, 0, 10, 10), (20, 20, 30, 30)) == 0
    assert overlap((5, 5, 5, 5), (5, 5, 5, 5)) == 0


ELSEWHERE = sight("59P200000", 0.95, (300, 10, 350, 40))


@pytest.mark.parametrize(
    ("sights", "outcome", "right"),
    [
        ([], "nothing", 0),
        ([sight("68A12345")], "exact", 8),
        ([ELSEWHERE, sight("68A12345")], "exact", 8),
        ([sight("68A12346"), sight("68A12345", box=(0, 0, 9, 9))], "exact", 8),
        ([sight("68A12345", valid=False)], "inexact", 8),
        ([sight("68A12345", valid=False), sight("68A12345")], "exact", 8),
        ([sight("68A1234")], "inexact", 7),
        ([sight("68A54325")], "inexact", 5),
        ([ELSEWHERE], "other", 0),
        ([sight("HOTLINE090", valid=False)], "nothing", 0),
    ],
)
def test_the_named_plate(sights: Sequence[Sight], outcome: str, right: int) -> None:
    judged = judge(label(), sights)
    assert (judged.outcome, judged.right) == (outcome, right)


def test_a_plate_with_d_is_exact_only_with_its_stroke() -> None:
    assert judge(label(text="60MĐ100000"), [sight("60MĐ100000")]).outcome == "exact"
    assert judge(label(text="60MĐ100000"), [sight("60MD100000")]).outcome == "inexact"


def test_what_stands_on_the_named_box_is_held_against_it_however_far_its_text() -> None:
    there = label(boxes=((98.0, 98.0, 204.0, 134.0),))
    judged = judge(there, [sight("29A99945")])
    assert (judged.outcome, judged.right, judged.found, judged.plates) == ("inexact", 3, 1, 1)
    assert [read.verdict for read in judged.reads] == ["wrong"]
    assert judged.width == 106


def test_other_vehicles_are_told_from_misreadings() -> None:
    sights = [sight("68A12345", 0.99), sight("68A12346", 0.7), ELSEWHERE, sight("ZZZZ", 0.9, valid=False)]
    verdicts = {(read.confidence, read.verdict) for read in judge(label(), sights).reads}
    assert verdicts == {(0.99, "right"), (0.7, "wrong"), (0.95, "elsewhere")}


def test_plates_are_found_by_their_boxes_or_else_by_a_text_within_two_edits() -> None:
    two = label(text="", boxes=((100, 100, 200, 130), (300, 300, 400, 330)))
    judged = judge(two, [sight("68A12345"), ELSEWHERE])
    assert (judged.outcome, judged.found, judged.plates, judged.reads) == (None, 1, 2, ())
    assert judge(label(), [sight("68A12399")]).found == 1
    assert judge(label(), [sight("68A12999")]).found == 0
    assert judge(label(), [sight("68A12345")]).width == 100
    assert judge(label(), [ELSEWHERE]).width is None


def photo(given: Label, sights: list[Sight], ms: float = 10.0, peer: list[str] | None = None) -> Photo:
    return Photo(
        label=given,
        sights=sights,
        ms=ms,
        cpu_ms=ms,
        judged=judge(given, sights),
        peer_texts=peer,
        peer_right=says(peer or [], given.text),
        peer_ms=400.0,
    )


def test_photos_together() -> None:
    photos = [
        photo(label(), [sight("68A12345")], 10, ["68A", "123.45"]),
        photo(label(), [sight("68A1234")], 20, ["68A"]),
        photo(label(), [ELSEWHERE], 30),
        photo(label(text="", boxes=((0, 0, 9, 9),)), [], 1000),
    ]
    summary = summarise(photos)
    assert (summary.photos, summary.named) == (4, 3)
    assert summary.exact == pytest.approx(1 / 3)
    assert dict(summary.outcomes) == {"exact": 1, "inexact": 1, "other": 1}
    assert summary.characters == pytest.approx(15 / 24)
    assert summary.found == pytest.approx(2 / 4)
    assert summary.ms == 25
    assert 30 < summary.ms_95 < 1000
    assert summary.peer is not None
    assert (summary.peer.exact, summary.peer.ms) == (0.5, 400)
    assert summarise(photos[2:3]).peer is None
    assert summarise(photos[3:]).exact is None
    sizes = [(name, len(some)) for name, some in widths(photos)]
    assert sizes == [("0 to 40 px", 1), ("80 to 120 px", 2), ("no width known", 1)]


def test_reads_by_confidence() -> None:
    photos = [
        photo(label(), [sight("68A12345", 1.0), sight("68A12346", 0.9), ELSEWHERE]),
        photo(label(), [sight("68A12345", 0.1)]),
    ]
    assert [(some.low, some.right, some.wrong, some.elsewhere) for some in calibration(photos)] == [
        (0.0, 1, 0, 0), (0.5, 0, 0, 0), (0.7, 0, 0, 0), (0.8, 0, 0, 0), (0.9, 0, 1, 0), (0.95, 1, 0, 1),
    ]  # fmt: skip
    certain = sure(photos)
    assert (certain.right, certain.wrong, certain.elsewhere, certain.share_right) == (1, 1, 1, 0.5)


# The peer.


@pytest.mark.parametrize(
    ("texts", "plate_text", "said"),
    [
        (["60A-000.00"], "60A00000", True),
        (["59-P2", "000.00"], "59P200000", True),
        (["000.00", "59-p2"], "59P200000", True),
        (["59-P2", "CAFE", "000.00"], "59P200000", True),
        (["59", "-", "P2", "000", "00"], "59P200000", True),
        (["60MD1", "000.00"], "60MĐ100000", True),
        (["60MĐ1", "000.00"], "60MĐ100000", True),
        (["60A-000.001"], "60A00000", False),
        (["60A", "000.0I"], "60A00000", False),
        (["5", "9", "P", "2", "0", "0000"], "59P200000", False),
        ([], "60A00000", False),
    ],
)
def test_the_peer_says_a_plate_if_its_pieces_joined_are_it(texts: list[str], plate_text: str, said: bool) -> None:
    assert says(texts, plate_text) is said


def test_pieces_without_letters_or_digits_join_nothing() -> None:
    assert joined(["-", "68A", "•"]) == {"68A"}


def test_without_its_package_the_peer_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(PeerError, match="pip install"):
        RapidOCR()


# Pictures without plates.


def test_no_drawn_text_is_a_plate() -> None:
    random = Random(3)
    for _ in range(1000):
        lines = sign_text(random)
        for text in (*lines, "\n".join(lines), *" ".join(lines).split()):
            count = sum(character.isalnum() for character in text)
            assert not any(understand(text, [99] * count, None, colour).valid for colour in ("white", "red", "unknown"))


def test_drawn_scenes_differ_and_come_again_with_their_seed() -> None:
    scenes = [draw_scene(Random(seed)) for seed in (1, 1, 2)]
    assert {(scene.shape, scene.dtype) for scene in scenes} == {((350, 460, 3), np.dtype(np.uint8))}
    assert np.array_equal(scenes[0], scenes[1])
    assert not np.array_equal(scenes[1], scenes[2])


def test_a_part_keeps_away_from_every_box() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[200:230, 150:250] = 255
    image[120:130, 300:320] = 255
    part = part_without(image, [(150, 200, 250, 230), (300, 120, 320, 130)])
    assert part is not None
    assert part.shape == (104, 400, 3)  # above the upper box by the least distance
    assert not part.any()
    assert part_without(image, [(150, 100, 250, 200)]) is None
    assert part_without(image, [(-50, -90, -20, -70)]) is not None


def test_pictures_without_plates_come_from_where_no_plate_can_stand(tmp_path: Path) -> None:
    for folder in ("gate", "street"):
        (tmp_path / folder).mkdir()
    boxes: tuple[Box, ...] = ((200, 200, 260, 220),)
    gate = [label(f"gate/gate-{n}.png", boxes=boxes) for n in range(3)]
    unseen = label("gate/gate-9.png", boxes=boxes, part="train")
    busy, quiet = (label(f"street/boxed-{n}.png", boxes=boxes, part="train") for n in (0, 1))
    for number, given in enumerate((*gate, busy, quiet)):
        assert cv2.imwrite(str(tmp_path / given.file), street(460, 350, number))
    busy_image = cv2.imread(str(tmp_path / busy.file))

    def find_texts(image: Image) -> list[Piece]:
        seen = [Piece("PHO 24", (100, 60, 300, 90)), Piece("35", (10, 10, 40, 300))]
        return seen if np.array_equal(image, busy_image) else [Piece("CAFE", (200, 20, 260, 40))]

    labels = [*gate, unseen, busy, quiet, label("street/check-1.png")]
    made = list(without_plates(labels, tmp_path, 8, find_texts))
    assert [picture.source for picture in made] == [GATE] * 2 + [STREET] + [DRAWN] * 5
    assert made[2].name == quiet.file
    again = list(without_plates(labels, tmp_path, 8, find_texts))
    assert all(np.array_equal(one.image, other.image) for one, other in zip(made, again, strict=True))
    alone = [picture.source for picture in without_plates(labels, tmp_path, 8, None)]
    assert alone == [GATE] * 2 + [DRAWN] * 6


# What is written.


def test_nothing_of_real_plates_is_written_into_the_repository(tmp_path: Path) -> None:
    for path in (ROOT / "wrong.png", ROOT / "tests" / "x.csv", Path("wrong.png"), tmp_path / ".." / ROOT / "x.png"):
        with pytest.raises(OutputError, match="inside the repository"):
            outside(path if path.is_absolute() else ROOT / path)
    with pytest.raises(OutputError, match="no such folder"):
        outside(tmp_path / "missing" / "x.png")
    assert outside(tmp_path / "x.png") == tmp_path / "x.png"


def test_a_sheet_shows_what_was_not_exact(tmp_path: Path) -> None:
    (tmp_path / "street").mkdir()
    assert cv2.imwrite(str(tmp_path / "street" / "check-1.webp"), street(460, 350))
    photos = [photo(label(), [sight("68A12345")]), photo(label(), [sight("68A1234")]), photo(label(), [])]
    picture = Bare(source=DRAWN, name="drawn 1", image=draw_scene(Random(1)))
    bare = [BareRead(picture=picture, false=[ELSEWHERE], ms=9), BareRead(picture=picture, false=[], ms=9)]
    sheet = tmp_path / "sheet.png"
    assert write_sheet(photos, bare, tmp_path, sheet) == 3
    assert cv2.imread(str(sheet)).shape == (265, 1800, 3)
    empty = tmp_path / "none.png"
    assert write_sheet(photos[:1], bare[1:], tmp_path, empty) == 0
    assert not empty.exists()


def test_the_csv_has_one_line_a_photo(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    write_csv([photo(label(), [sight("68A12345")], peer=["68A", "123.45"]), photo(label(), [])], out)
    with out.open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (first["outcome"], first["read"]) == ("exact", "68A12345")
    assert (first["peer"], first["peer_right"]) == ("68A | 123.45", "True")
    assert (second["outcome"], second["read"], second["peer_right"]) == ("nothing", "", "")


# The command.


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "eval_plates.py", *words], capture_output=True, text=True, check=False, timeout=180
    )


CARS = (
    ("68A12345", ("68A-123.45",), "white"),
    ("51C77889", ("51C-778.89",), "yellow"),
    ("59P200000", ("59-P2", "000.00"), "white"),
)
"""Text, lines and colour of drawn plates."""


def photos_of_cars(folder: Path) -> Path:
    (folder / "street").mkdir()
    rows = []
    for number, (text, lines, colour) in enumerate(CARS):
        drawn = plate(*lines, colour=colour)
        scene = put(street(460, 350), drawn, upright(150, 180, 130, drawn))
        assert cv2.imwrite(str(folder / "street" / f"check-{number}.png"), scene)
        rows.append({"text": text, "colour": colour, "layout": "one" if len(lines) == 1 else "two"})
    return labels_csv(folder, *rows)


def test_the_command_measures_drawn_photos_beside_the_peer(tmp_path: Path) -> None:
    labels, out = photos_of_cars(tmp_path), tmp_path / "out.csv"
    done = command(labels, "--part", "check", "--peer", "rapidocr", "--without-plates", "2", "--csv", out)
    assert done.returncode == 0, done.stderr
    assert "street/check: 3 photos, 3 name a plate" in done.stdout
    for row in ("yellow", "two lines", "car", "0.9 and more", "Photos without plates", "drawn"):
        assert row in done.stdout
    assert "photos" in done.stderr
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"street/check-{number}.png" for number in range(3)]
    assert sum(row["outcome"] == "exact" for row in rows) >= 2
    assert sum(row["peer_right"] == "True" for row in rows) >= 2
    assert all(float(row["peer_ms"]) > float(row["ms"]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--folder", "gate"), "no photo of part check, kind scene in gate/"),
        (("--first", "0"), "at least 1"),
        (("--wrong", str(ROOT / "wrong.png")), "inside the repository"),
        ((), "no such photo"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path: Path, words: Sequence[str], said: str) -> None:
    done = command(labels_csv(tmp_path, {}), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
