"""The data that the plate models are trained on, from a small folder of drawn, labelled photos."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.plate_drawing.plates import draw_plate
from scripts.plate_drawing.spec import random_spec_of
from scripts.plate_training.examples import Example, around, cut, examples, lines_of, of_pieces, upright
from scripts.plate_training.exchange import Glyphs
from scripts.plate_training.scenes import HEIGHT, WIDTH, Composer, alone, leaning, scenes
from scripts.plate_training.weather import lit, repainted, seen

COLUMNS = ("file", "part", "kind", "text", "lines", "boxes", "chars", "vehicle", "colour", "layout", "source", "note")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crops with boxed characters, a street photo with a box, one of the check part."""
    folder = tmp_path_factory.mktemp("plates")
    written = []
    for number, kind in enumerate(("motorbike_old", "motorbike_new")):
        rng = random.Random(number)
        plate = draw_plate(random_spec_of(kind, rng), rng, 0.9, worn=False)
        name = f"crops/char-{number}.png"
        (folder / "crops").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), plate.image)
        boxes = [[*box, character] for box, character in zip(plate.char_boxes, plate.text, strict=True)]
        written.append(_row(name, plate.text, plate.lines, chars=json.dumps(boxes)))
        photo = np.full((350, 460, 3), 90, np.uint8)
        height, width = plate.image.shape[:2]
        photo[100 : 100 + height, 150 : 150 + width] = plate.image
        box = np.array(plate.char_boxes)
        around_all = [150 + box[:, 0].min(), 100 + box[:, 1].min(), 150 + box[:, 2].max(), 100 + box[:, 3].max()]
        name, part = (f"street/boxed-{number}.png", "train") if number == 0 else ("street/check-1.png", "check")
        (folder / "street").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), photo)
        boxes_text = json.dumps([[float(x) for x in around_all]])
        written.append(_row(name, plate.text, plate.lines, part=part, kind="scene", boxes=boxes_text))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(written)
    return folder


def _row(name: str, text: str, lines: tuple[str, ...], **others: str) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {"part": "train", "kind": "crop", "colour": "white"}
    return row | {"file": name, "text": text, "lines": "|".join(lines)} | others


def test_the_check_part_is_never_trained_on(folder: Path) -> None:
    names = [example.name for example in examples(folder, {}, {})]
    assert sorted(names) == ["crops/char-0.png", "crops/char-1.png", "street/boxed-0.png"]


def test_a_box_and_what_an_ocr_found_both_tell_where_the_text_lies(folder: Path) -> None:
    (plain,) = (e for e in examples(folder, {}, {}) if e.name.startswith("street"))
    upper, lower = (upright(*plain.quad[0], *plain.quad[2]).copy() for _ in range(2))
    upper[2:, 1] = lower[:2, 1] = plain.quad[:, 1].mean()
    tilted = [quad + np.array([[0, 0], [0, 9], [0, 9], [0, 0]], np.float32) for quad in (upper, lower)]
    pieces = [(quad.tolist(), text, 0.9) for quad, text in zip(tilted, plain.lines, strict=True)]
    (told,) = (e for e in examples(folder, {"street/boxed-0.png": pieces}, {}) if e.name.startswith("street"))
    slope = told.quad[1] - told.quad[0]
    assert 0 < slope[1] / slope[0] < 0.2
    wrong = [(quad, "HONDA", sure) for quad, _, sure in pieces]
    assert of_pieces(wrong, plain.lines, None) is None


def test_a_plate_with_boxed_characters_is_outlined_along_its_lines(folder: Path) -> None:
    example = next(examples(folder, {}, {}))
    angle = np.radians(8)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = []
    for x0, y0, x1, y1, character in example.characters:
        x, y = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) @ turn
        turned.append((x - 3, y - 6, x + 3, y + 6, character))
    side = np.subtract(*around(turned, 2)[[1, 0]])
    assert np.degrees(np.arctan2(side[1], side[0])) == pytest.approx(8, abs=1.5)


def test_exchanged_glyphs_make_another_plate_of_the_same_kind(folder: Path) -> None:
    plates = [example for example in examples(folder, {}, {}) if example.characters]
    glyphs = Glyphs(plates)
    made = glyphs.exchanged(plates[0], np.random.default_rng(1))
    assert made.lines != plates[0].lines
    assert [[c.isdigit() for c in line] for line in made.lines] == [
        [c.isdigit() for c in line] for line in plates[0].lines
    ]
    assert (made.image != plates[0].image).any()
    again = glyphs.exchanged(plates[0], np.random.default_rng(1))
    assert again.lines == made.lines
    assert (again.image == made.image).all()


def test_scenes_show_their_plates_where_they_say(folder: Path) -> None:
    """A plate that is black with a white text is found again by its brightness."""
    plate = np.zeros((60, 120, 3), np.uint8)
    plate[15:45, 20:100] = 255
    marked = Example("marked", plate, upright(20, 15, 100, 45), ("A",), "white")
    random_ = np.random.default_rng(3)
    for _ in range(20):
        patch = leaning(alone(marked), random_)
        mask = np.zeros(patch.image.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, np.round(patch.plates[0].quad).astype(np.int32), 1)
        white = patch.image.min(-1) > 128
        shared = (white & (mask > 0)).sum() / max(1, (white | (mask > 0)).sum())
        assert shared > 0.8
    known = list(examples(folder, {}, {}))
    photos = list(scenes(folder, known, {}, {}))
    street = [scene._replace(name=f"{name}/x") for scene in photos for name in ("street", "gate", "close")]
    composer = Composer([*street, photos[0]._replace(name="street/near-1")], known, lambda _: marked, lambda _: marked)
    made = [composer(np.random.default_rng(seed)) for seed in range(6)]
    assert {scene.image.shape for scene in made} == {(HEIGHT, WIDTH, 3)}
    assert sum(len(scene.plates) for scene in made) > 6


@pytest.mark.parametrize("change", [lit, seen, repainted])
def test_weather_is_the_same_for_the_same_seed(folder: Path, change: object) -> None:
    assert callable(change)
    image = next(examples(folder, {}, {})).image
    first, again, other = (change(image, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()


def test_little_things() -> None:
    row = dict.fromkeys(COLUMNS, "")
    assert lines_of(row | {"text": "60123AB", "lines": "60123AB"}) == ("60", "123AB")
    assert lines_of(row | {"text": "60A12345", "lines": "60A|12345"}) == ("60A", "12345")
    image = np.zeros((300, 400, 3), np.uint8)
    near = cut(Example("x", image, upright(100, 100, 150, 120), ("A",), "white"))
    assert near.image.shape == (80, 110, 3)
    assert near.quad[0].tolist() == [30, 30]


def test_a_course_goes_on_where_it_stopped(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the extra `training` is not installed")
    from scripts.plate_training import reader_course
    from scripts.plate_training.course import Plan
    from scripts.plate_training.drawn import drawing
    from scripts.plate_training.export import export_reader

    torch.set_num_threads(1)
    monkeypatch.setattr(reader_course, "BATCH", 8)
    plates = list(examples(folder, {}, {}))
    street = [
        plate._replace(name=f"{name}-{i}") for i, plate in enumerate(plates) for name in ("street/near", "gate/gate")
    ]
    lines = [plate._replace(name=f"crops/line-{i}", characters=()) for i, plate in enumerate(plates)]
    made = {"drawn": drawing, "nothing": drawing}
    weights = []
    for stops in ((4,), (2, 4)):
        for until in stops:
            plan = Plan(tmp_path / str(len(stops)), 4, until, 7, "cpu", 0, every=2)
            mean = reader_course.train([*plates, *street, *lines], made, plan)
        weights.append(mean.head[1].weight.detach().numpy())
    assert np.allclose(*weights, atol=1e-3)
    export_reader(mean, tmp_path / "reader.onnx")
    assert (tmp_path / "reader.onnx").stat().st_size > 1_000_000
