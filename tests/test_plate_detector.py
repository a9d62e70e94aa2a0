"""From the detector's cells to plates in a frame."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_models import COLOURS, paint, write_models

from edge_agent.camera.plates.cells import STRIDE, Find, Floats, apart, distinct, finds, is_plate, overlap
from edge_agent.camera.plates.detector import CLOSE_TEXT, GREY, Detector, padded, reduced
from edge_agent.camera.plates.rectify import Corners, place

PLATE = np.array([(-40, -10), (40, -10), (40, 10), (-40, 10)], np.float32)
"""Corners around a cell's middle, in pixels."""


def put(cells: Floats, row: int, column: int, score: float, quad: Corners = PLATE, *, two: float = 0.0) -> None:
    """A find as the network says it: offsets in units of 16 pixels, colours white to other."""
    cells[row, column] = [score, *(quad / 16).ravel(), two, 0.1, 0.7, 0.1, 0.05, 0.05]


@pytest.fixture
def cells() -> Floats:
    return np.zeros((30, 40, 15), np.float32)


def test_a_cell_says_where_the_corners_are(cells: Floats) -> None:
    put(cells, 12, 20, 0.8, two=0.25)
    (find,) = finds(cells, COLOURS)
    middle = (20.5 * 8, 12.5 * 8)
    assert np.allclose(find.quad, PLATE + middle)
    assert find.score == pytest.approx(0.8)
    assert find.two_lines == pytest.approx(0.25)
    assert find.colour == "yellow"


def test_an_oblique_plate_keeps_its_corners(cells: Floats) -> None:
    quad = np.array([(-40, -30), (40, 10), (36, 30), (-44, -10)], np.float32)
    put(cells, 12, 20, 0.8, quad)
    assert np.allclose(finds(cells, COLOURS)[0].quad, quad + (164, 100), atol=1e-4)


@pytest.mark.parametrize(
    ("shares", "colour"),
    [
        ((0.9, 0.1, 0, 0, 0), "white"),
        ((0, 0, 0.5, 0.25, 0.25), "blue"),
        ((0, 0, 0, 1, 0), "red"),
        ((0, 0, 0.1, 0, 0.9), "unknown"),
        ((0.4, 0.3, 0.3, 0, 0), "unknown"),
    ],
)
def test_a_colour_is_said_where_one_is_likelier_than_not(cells: Floats, shares: tuple[float, ...], colour: str) -> None:
    put(cells, 12, 20, 0.8)
    cells[12, 20, 10:] = shares
    assert finds(cells, COLOURS)[0].colour == colour


def test_of_neighbouring_cells_the_surest_counts(cells: Floats) -> None:
    for row, column, score in ((12, 19, 0.7), (12, 20, 0.9), (12, 21, 0.8), (13, 20, 0.6)):
        put(cells, row, column, score, PLATE - ((column - 20) * 8, (row - 12) * 8))
    assert [find.score for find in finds(cells, COLOURS)] == [pytest.approx(0.9)]


def test_two_plates_beside_each_other_are_two_the_surest_first(cells: Floats) -> None:
    put(cells, 12, 8, 0.5)
    put(cells, 12, 30, 0.9)
    assert [round(float(find.quad[0, 0])) for find in finds(cells, COLOURS)] == [204, 28]


def test_peaks_that_say_the_same_plate_are_one(cells: Floats) -> None:
    put(cells, 12, 20, 0.6)
    put(cells, 12, 23, 0.6, PLATE - (24, 0))
    assert len(finds(cells, COLOURS)) == 1


def test_cells_that_are_not_sure_enough_say_nothing(cells: Floats) -> None:
    put(cells, 12, 20, 0.29)
    assert finds(cells, COLOURS) == []
    assert len(finds(cells, COLOURS, least_score=0.2)) == 1


@pytest.mark.parametrize(
    "quad",
    [
        PLATE[::-1],
        PLATE[[0, 2, 1, 3]],
        PLATE * 0,
        PLATE * (1, 0.1),
        PLATE * (0.05, 1),
        PLATE * (4, 1),
        np.array([(-40, -10), (40, -10), (-20, 0), (-40, 10)], np.float32),
        PLATE * np.nan,
        PLATE * np.inf,
    ],
    ids=["mirrored", "crossed", "a point", "too low", "too narrow", "too long", "dented", "nan", "infinite"],
)
def test_corners_that_no_plate_has_are_left_out(cells: Floats, quad: Corners) -> None:
    put(cells, 12, 20, 0.9, quad)
    assert finds(cells, COLOURS) == []


def test_a_plate_may_stand_on_its_head() -> None:
    assert is_plate(PLATE[[2, 3, 0, 1]])
    assert is_plate(PLATE[[1, 2, 3, 0]] * (0.5, 2))


def test_overlap_is_of_the_smaller() -> None:
    others = np.array([PLATE, PLATE * 0.5, PLATE + (40, 0), PLATE + (80, 0), PLATE * 0])
    assert [float(overlap(PLATE, other)) for other in others] == [1, 1, 0.5, 0, 0]
    assert overlap(others[:, None], others).shape == (5, 5)
    assert (overlap(others, PLATE) == overlap(PLATE, others)).all()


def test_what_overlaps_with_something_before_it_is_left_out() -> None:
    assert apart([PLATE, PLATE * 0.5, PLATE + (90, 0), PLATE + (170, 0)], 0.2) == [0, 2, 3]
    assert apart([PLATE, PLATE + (40, 0), PLATE + (80, 0)], 0.2) == [0, 2]  # what is left out leaves nothing out
    assert apart([], 0.2) == []


def test_of_overlapping_finds_the_surest_is_kept() -> None:
    sure, less, other = (Find(PLATE + (x, 0), score, 0, "white") for x, score in ((0, 0.9), (10, 0.8), (200, 0.4)))
    assert [find.score for find in distinct([other, less, sure])] == [0.9, 0.4]


@settings(max_examples=60)
@given(arrays(np.float32, (6, 7, 15), elements=st.floats(width=32)))
def test_any_numbers_give_only_plates(cells: Floats) -> None:
    with np.errstate(all="ignore"):
        for find in finds(cells, COLOURS):
            assert is_plate(find.quad)


# Frame and network's picture.


@pytest.mark.parametrize(
    ("size", "long_side", "small"),
    [
        ((1080, 1920), 960, (540, 960)),
        ((350, 460), 960, (350, 460)),
        ((960, 960), 960, (960, 960)),
        ((720, 1280), 960, (540, 960)),
        ((3000, 4000), 960, (720, 960)),
        ((4032, 3024), 960, (960, 720)),
        ((1081, 1921), 960, (540, 960)),
        ((350, 460), 320, (243, 320)),
        ((9, 9700), 960, (1, 960)),
        ((8, 8), 960, (8, 8)),
    ],
)
def test_a_frame_is_reduced_to_its_long_side_and_never_enlarged(
    size: tuple[int, int], long_side: int, small: tuple[int, int]
) -> None:
    reduced_frame, scale = reduced(np.zeros((*size, 3), np.uint8), long_side)
    assert reduced_frame.shape[:2] == small
    # the scale leads back into the frame, but for the pixels that fill no whole one
    back = np.array(small[::-1]) * scale
    assert (back <= np.array(size[::-1]) + 0.01).all()
    assert (back > np.array(size[::-1]) - max(2, max(size) // long_side)).all()


@pytest.mark.parametrize("size", [(1080, 1920), (720, 1280), (1500, 2300), (350, 460)])
def test_what_stands_in_the_reduced_frame_stands_there_in_the_frame(size: tuple[int, int]) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    x, y = size[1] * 2 // 3, size[0] // 4
    frame[y : y + 40, x : x + 60] = 255
    small, scale = reduced(frame, 320)
    rows, columns = np.nonzero(small[..., 0] > 127)
    found = np.array([(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)]) * scale
    assert np.abs(found - ((x, y), (x + 60, y + 40))).max() <= scale.max()


def test_padding_is_grey_and_only_on_the_right_and_below() -> None:
    small = np.full((33, 64, 3), 7, np.uint8)
    whole = padded(small)
    assert whole.shape == (64, 64, 3)
    assert (whole[:33] == 7).all()
    assert (whole[33:] == GREY).all()
    assert padded(small[:32]).shape == (32, 64, 3)


# The whole detector, with a network whose answers are painted.


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(write_models(tmp_path_factory.mktemp("models")))


def test_a_plate_is_found_at_its_place_in_the_frame(detector: Detector) -> None:
    frame = np.zeros((540, 958, 3), np.uint8)
    paint(frame, 60, 30, "51F90872")
    (find,) = detector(frame)
    assert find.score == pytest.approx(1)
    assert np.allclose(find.quad.mean(axis=0), (60 * 8 + 4, 30 * 8 + 4))


def test_corners_are_those_of_the_frame_where_it_was_reduced(detector: Detector) -> None:
    frame = np.zeros((1080, 1920, 3), np.uint8)
    frame[240:242, 480:482, 0] = 255  # one pixel of the half, the first of its cell
    (find,) = detector(frame)
    assert np.allclose(find.quad.mean(axis=0), (2 * (30 * 16 // 2 + 4), 2 * (15 * 16 // 2 + 4)))
    assert np.ptp(find.quad, axis=0)[0] == pytest.approx(2 * np.ptp(detector.look(frame[::2, ::2], 960)[0].quad[:, 0]))


def test_a_large_plate_is_looked_for_in_a_smaller_frame_where_none_is_sure(detector: Detector) -> None:
    frame = np.zeros((640, 960, 3), np.uint8)
    frame[240:243, 480:483, 0] = 255  # a pixel of the third; in the whole frame the first of a cell too
    assert len(detector.look(frame, 960)) == len(detector.look(frame, 320)) == 1
    small, large = (np.ptp(detector.look(frame, side)[0].quad, axis=0) for side in (960, 320))
    assert np.allclose(large, 3 * small)
    assert np.allclose(np.ptp(detector(frame)[0].quad, axis=0), small)  # sure at once
    frame[240, 480, 0] = 100  # of 255: found, but not for sure; the mean of the nine is surer
    found = detector(frame)
    assert [np.allclose(np.ptp(find.quad, axis=0), large) for find in found] == [True]


def test_what_lies_outside_the_frame_is_not_found(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.camera.plates.detector.finds", partial(finds, least_score=0.3))
    assert len(detector.look(np.full((32, 32, 3), GREY, np.uint8), 960)) > 0  # grey is a plate to this network
    assert detector(np.zeros((530, 950, 3), np.uint8)) == []  # but not where it only fills up the frame


# The closer look.


def find_at(x: float, y: float, width: float, height: float) -> Find:
    sides = np.array([(-width, -height), (width, -height), (width, height), (-width, height)], np.float32) / 2
    return Find(sides + np.array((x, y), np.float32), 0.5, 0.0, "unknown")


@pytest.mark.parametrize(
    ("x", "y", "width", "height"),
    [
        (300, 200, 144, 30),  # reduced to the half
        (300, 200, 36, 8),  # enlarged to the double
        (300, 200, 90, 90),  # two lines: its height decides, and again the half
        (12, 9, 36, 8),  # near a corner of the frame, what lies outside is not seen
        (630, 474, 36, 8),
        (20, 470, 144, 30),
        (300, 200, 53, 13),
    ],
)
def test_corners_of_a_closer_look_are_those_of_the_frame(
    detector: Detector, x: float, y: float, width: float, height: float
) -> None:
    scale = CLOSE_TEXT / max(width, 1.6 * height)
    frame = np.zeros((480, 640, 3), np.uint8)
    cell = STRIDE / scale  # what is so large covers the first pixel of one cell, wherever the cells lie
    left, top, right, bottom = (round(side) for side in (x - cell, y - cell, x, y))
    frame[max(0, top) : bottom, max(0, left) : right, 0] = 255
    closer = detector.closer(frame, find_at(x, y, width, height))
    assert closer is not None
    assert np.abs(closer.quad.mean(axis=0) - (x, y)).max() <= cell / 2 + 2
    assert np.ptp(closer.quad, axis=0) == pytest.approx(np.ptp(place(False), axis=0) / scale, rel=0.03)


@pytest.mark.parametrize(("x", "y"), [(300, 200), (0, 0), (32, 16), (504, 400)])
def test_a_closer_look_shows_a_cell_at_its_exact_place(detector: Detector, x: int, y: int) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[y : y + 2, x : x + 2, 0] = 255  # reduced to the half this is one pixel, the first of a cell of 16 x 16
    closer = detector.closer(frame, find_at(x, y, 144, 30))
    assert closer is not None
    assert closer.score == pytest.approx(1)
    assert np.allclose(closer.quad.mean(axis=0), (x + 8, y + 8), atol=0.01)
    assert np.allclose(np.ptp(closer.quad, axis=0), 2 * np.ptp(place(False), axis=0), atol=0.01)


def test_where_a_closer_look_shows_no_plate_or_another_there_is_none(detector: Detector) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    find = find_at(300, 200, 144, 30)
    assert detector.closer(frame, find) is None
    frame[200:202, 364:366, 0] = 255  # in view, but half its width away
    assert detector.closer(frame, find) is None
    assert detector.closer(frame, find_at(364, 200, 144, 30)) is not None


def test_a_closer_look_at_the_edge_of_any_frame_is_taken(detector: Detector) -> None:
    for height, width in ((8, 8), (8, 300), (300, 8), (1, 1)):
        for x, y in ((0, 0), (width - 1, height - 1)):
            for size in (12, 144, 3000):
                found = detector.closer(np.zeros((height, width, 3), np.uint8), find_at(x, y, size, size / 3))
                assert found is None or np.isfinite(found.quad).all()
