"""Drawn plates: every character is its own, every class is drawn as it says, and the same seed gives the same plate."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.camera.plates.grammar import PROVINCE_CODES, understand
from scripts.plate_drawing import __main__ as sheet
from scripts.plate_drawing.glyphs import SKELETONS, Style, draw
from scripts.plate_drawing.lettering import random_style
from scripts.plate_drawing.plates import DrawnPlate, draw_plate
from scripts.plate_drawing.spec import KINDS, PlateSpec, random_spec, random_spec_of

NOT_IN_THE_GRAMMAR = {"motorbike_first"}


def glyph(character: str, style: Style) -> NDArray[np.float32]:
    """A glyph in the middle of a field that has room for the widest."""
    field = np.zeros((48, 80), np.float32)
    mask = draw(character, style, 48)
    left = (80 - mask.shape[1]) // 2
    field[:, left : left + mask.shape[1]] = mask
    return field


def drawn(kind: str, seed: int, px_per_mm: float = 0.8, *, worn: bool = True) -> tuple[PlateSpec, DrawnPlate]:
    rng = random.Random(seed)
    spec = random_spec_of(kind, rng)
    return spec, draw_plate(spec, rng, px_per_mm, worn=worn)


@pytest.mark.parametrize("seed", range(12))
def test_no_two_characters_look_the_same(seed: int) -> None:
    rng = random.Random(seed)
    style = random_style(random_spec(rng), rng)._replace(stencil=False)
    glyphs = {character: glyph(character, style) for character in SKELETONS}
    for one, other in combinations(glyphs, 2):
        differs = np.abs(glyphs[one] - glyphs[other]).sum() / max(glyphs[one].sum(), glyphs[other].sum())
        assert differs > 0.015, f"{one} and {other} of {style}"


def test_every_form_of_a_glyph_is_used() -> None:
    for character, skeletons in SKELETONS.items():
        seen = {draw(character, Style(forms=forms), 40).tobytes() for forms in range(60)}
        assert len(seen) == len(set(skeletons)), character


def test_a_glyph_has_the_height_that_was_asked_for_and_fills_it() -> None:
    for character in SKELETONS:
        for height in (9, 40, 130):
            mask = draw(character, Style(), height)
            assert mask.shape[0] == height
            assert mask.min() >= 0
            assert mask.max() <= 1
            edge = 1 + height // 40  # corners worn round take a little off a bow
            assert mask[:edge].max() > 0.4, (character, height)
            assert mask[-edge:].max() > 0.4, (character, height)


def test_a_character_that_no_plate_carries_is_named() -> None:
    with pytest.raises(ValueError, match="no glyph for 'Ä'"):
        draw("Ä", Style(), 40)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_class_carries_is_understood(kind: str) -> None:
    rng = random.Random(3)
    for _ in range(60):
        spec = random_spec_of(kind, rng)
        raw = "\n".join(spec.lines)
        read = understand(raw, [99] * len(raw), spec.layout, spec.colour)
        assert read.text == spec.text
        assert read.layout == spec.layout
        if kind not in NOT_IN_THE_GRAMMAR:
            assert read.valid, spec


def test_every_class_province_and_letter_comes_up() -> None:
    rng = random.Random(5)
    specs = [random_spec(rng) for _ in range(6000)]
    assert {spec.kind for spec in specs} == set(KINDS)
    assert {spec.text[:2] for spec in specs} >= set(PROVINCE_CODES)
    share = sum(spec.text.startswith("68") for spec in specs) / len(specs)
    assert share < 0.03, "the island's own code is no more frequent than others"
    letters = set("".join(spec.text for spec in specs)) - set("0123456789")
    assert letters == set("ABCDEFGHIJKLMNOPQRSTUVXYZĐ"), "all but W, which no plate carries"


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_lie_in_the_picture_and_hold_ink(kind: str) -> None:
    for seed in range(5):
        spec, plate = drawn(kind, seed, worn=False)
        high, wide = plate.image.shape[:2]
        assert plate.text == spec.text == "".join(plate.lines)
        assert plate.layout == ("one" if len(plate.lines) == 1 else "two")
        assert len(plate.char_boxes) == len(plate.text)
        ground = np.median(plate.image.reshape(-1, 3), axis=0)
        inked = np.abs(plate.image - ground).max(axis=2) > 60
        for x0, y0, x1, y1 in plate.char_boxes:
            assert 0 <= x0 < x1 <= wide
            assert 0 <= y0 < y1 <= high
            assert 0.1 < inked[int(y0) : int(y1), int(x0) : int(x1)].mean() < 0.98, plate.text


def test_lines_are_written_from_left_to_right_and_do_not_touch() -> None:
    for seed in range(40):
        plate = drawn("motorbike_old", seed, worn=False)[1]
        top = len(plate.lines[0])
        for line in (plate.char_boxes[:top], plate.char_boxes[top:]):
            assert all(left[2] <= right[0] + 1 for left, right in pairwise(line))
        assert max(box[3] for box in plate.char_boxes[:top]) <= min(box[1] for box in plate.char_boxes[top:]) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_worn_plates_keep_plate_and_characters_in_the_picture(kind: str) -> None:
    for seed in range(12):
        plate = drawn(kind, seed)[1]
        high, wide = plate.image.shape[:2]
        assert plate.image.dtype == plate.mask.dtype == np.uint8
        assert plate.mask.shape == (high, wide)
        left, top, right, bottom = plate.plate_box
        assert 0 <= left < right <= wide
        assert 0 <= top < bottom <= high
        assert all(left <= x0 < x1 <= right and top <= y0 < y1 <= bottom for x0, y0, x1, y1 in plate.char_boxes)


def test_the_ground_has_the_colour_that_is_said() -> None:
    hues = {"yellow": (12, 38), "blue": (95, 130)}
    for kind, colour in (("car_commercial", "yellow"), ("car_state", "blue"), ("army", "red"), ("car", "white")):
        for seed in range(10):
            plate = drawn(kind, seed, worn=False)[1]
            assert plate.colour == colour
            middle = np.uint8(np.median(plate.image.reshape(-1, 3), axis=0))
            hue, saturation, _ = cv2.cvtColor(middle[None, None], cv2.COLOR_BGR2HSV)[0, 0]
            if colour == "white":
                assert saturation < 60
            elif colour == "red":
                assert hue < 10 or hue > 170
            else:
                assert hues[colour][0] <= hue <= hues[colour][1]


def test_the_letters_of_a_mission_are_red_between_black_digits() -> None:
    spec = PlateSpec("diplomatic", ("80-NG", "441-02"), "white", "black", (330, 165), red_letters="NG")
    plate = draw_plate(spec, random.Random(1), 1.0, worn=False)
    inks = []
    for x0, y0, x1, y1 in plate.char_boxes:
        part = plate.image[int(y0) : int(y1), int(x0) : int(x1)].reshape(-1, 3).astype(int)
        inks.append(part[part[:, 1].argmin()])  # green is dark in both inks
    assert all(ink[2] > ink[0] + 80 for ink in inks[2:4])
    assert all(ink[2] < 90 for ink in inks[:2] + inks[4:])


def test_the_same_seed_gives_the_same_plate_and_another_another() -> None:
    for kind in KINDS:
        once, again, other = drawn(kind, 7)[1], drawn(kind, 7)[1], drawn(kind, 8)[1]
        assert np.array_equal(once.image, again.image)
        assert once.char_boxes == again.char_boxes
        assert once.text != other.text


def test_a_scale_without_pixels_is_refused() -> None:
    spec = random_spec(random.Random(1))
    for scale in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="px per mm"):
            draw_plate(spec, random.Random(1), scale)


def test_the_sheet_shows_every_plate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "sheet.png"
    monkeypatch.setattr("sys.argv", ["plate_drawing", str(out), "--seed", "4", "--plates", "10", "--width", "46"])
    sheet.main()
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (2 * (sheet.HIGH + sheet.FOOT), sheet.COLUMNS * sheet.WIDE, 3)
    assert picture.std() > 20
