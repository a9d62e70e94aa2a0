"""Plates that are drawn into frames, through finder, groupings and reader with the real networks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_plates import Image, plate, put, street, upright
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_agent.camera.plates.groups import Group, groups, outline, ratio, resized, with_halves
from edge_agent.camera.plates.ppocr_detector import Detector, boxes, in_order
from edge_agent.camera.plates.ppocr_model import open_network
from edge_agent.camera.plates.ppocr_reader import Reader, rectify
from edge_agent.camera.plates.sights import PlateReader
from edge_agent.errors import ModelError


@pytest.fixture(scope="module")
def reader() -> PlateReader:
    return PlateReader()


def texts(reader: PlateReader, frame: Image) -> list[str]:
    return sorted(sight.read.text for sight in reader.sights(frame) if sight.read.valid)


@pytest.mark.parametrize(
    ("lines", "colour", "text"),
    [
        (("68A-123.45",), "white", "68A12345"),
        (("51F-908.72",), "yellow", "51F90872"),
        (("60A-004.57",), "blue", "60A00457"),
        (("KP-45-37",), "red", "KP4537"),
        (("68-B1", "246.80"), "white", "68B124680"),
        (("51B", "305.56"), "yellow", "51B30556"),
        (("29A", "001.27"), "blue", "29A00127"),
        (("59-N2", "7042"), "white", "59N27042"),
        (("68-MD1", "123.45"), "white", "68MĐ112345"),
    ],
)
def test_a_plate_of_every_layout_and_colour_is_read(
    reader: PlateReader, lines: tuple[str, ...], colour: str, text: str
) -> None:
    drawn = plate(*lines, colour=colour)
    corners = upright(160, 150, 130 if len(lines) == 1 else 90, drawn)
    (sight,) = reader.sights(put(street(), drawn, corners))
    assert (sight.read.text, sight.read.valid, sight.colour) == (text, True, colour)
    assert sight.read.layout == ("one" if len(lines) == 1 else "two")
    assert sight.read.confidence > 0.5
    assert len(sight.read.char_confidence) == len(sight.read.raw) == len(text)
    seen, (left, top), (right, bottom) = np.array(sight.quad), corners[0], corners[2]
    assert (seen >= (left - 4, top - 4)).all()
    assert (seen <= (right + 4, bottom + 4)).all()
    assert (np.ptp(seen, axis=0) > (0.6 * (right - left), 0.45 * (bottom - top))).all()  # the text, without its margins


@pytest.mark.parametrize(
    "corners",
    [
        [(140, 140), (270, 170), (270, 198), (140, 168)],
        [(140, 170), (270, 135), (270, 163), (140, 198)],
        [(140, 140), (258, 152), (260, 176), (142, 172)],
    ],
    ids=["falls", "rises", "turned away"],
)
def test_an_oblique_plate_is_read(reader: PlateReader, corners: list[tuple[float, float]]) -> None:
    assert texts(reader, put(street(), plate("68A-123.45"), corners)) == ["68A12345"]


def test_an_oblique_plate_of_two_lines_is_read(reader: PlateReader) -> None:
    corners = [(140, 140), (230, 165), (225, 230), (135, 202)]
    assert texts(reader, put(street(), plate("68-B1", "246.80"), corners)) == ["68B124680"]


def test_all_plates_of_a_frame_are_read_each_once(reader: PlateReader) -> None:
    scene = street(800, 500)
    for lines, x, y in ((("68A-123.45",), 60, 90), (("68-B1", "246.80"), 330, 300), (("51F-908.72",), 600, 120)):
        drawn = plate(*lines)
        scene = put(scene, drawn, upright(x, y, 120 if len(lines) == 1 else 90, drawn))
    assert texts(reader, scene) == ["51F90872", "68A12345", "68B124680"]
    quads = {sight.read.text: sight.quad for sight in reader.sights(scene)}
    assert quads["68A12345"][0][0] < quads["68B124680"][0][0] < quads["51F90872"][0][0]


@pytest.mark.parametrize("number", ["1900 6968", "0918.722.183", "25082508", "1900 1234"])
def test_a_telephone_number_is_no_plate(reader: PlateReader, number: str) -> None:
    drawn = plate(number)
    assert reader.sights(put(street(), drawn, upright(200, 180, 160, drawn))) == []


def test_words_are_no_plate(reader: PlateReader) -> None:
    scene = put(street(), plate("PHU QUOC", "CITY"), upright(200, 150, 140, plate("A", "B")))
    assert reader.sights(scene) == []


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_no_plate(reader: PlateReader, seed: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (45, 60, 3), np.uint8)
    for frame in (cv2.resize(coarse, (400, 300)), cv2.resize(coarse, (400, 300), interpolation=cv2.INTER_NEAREST)):
        assert texts(reader, np.asarray(frame, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 100), (8, 8), (40, 8), (9, 2000), (2000, 9)])
def test_frames_of_any_shape_are_taken(reader: PlateReader, shape: tuple[int, int]) -> None:
    for level in (0, 128, 255):
        assert reader.sights(np.full((*shape, 3), level, np.uint8)) == []


def test_a_huge_frame_costs_no_more_than_a_usual_one(reader: PlateReader) -> None:
    drawn = plate("68A-123.45")
    scene = put(street(4000, 3000), drawn, upright(1500, 1500, 1400, drawn))
    assert texts(reader, scene) == ["68A12345"]


def test_a_plate_that_leaves_the_frame_is_not_completed(reader: PlateReader) -> None:
    drawn = plate("68A-123.45")
    for x in (-70, 400):
        assert "68A12345" not in texts(reader, put(street(), drawn, upright(x, 200, 130, drawn)))


def test_a_model_that_is_missing_is_named() -> None:
    with pytest.raises(ModelError, match=r"no_such\.onnx"):
        open_network("no_such.onnx")


# The reader of one line.


def test_the_reader_offers_what_else_may_stand_there() -> None:
    read_lines = Reader()
    (read,) = read_lines([rectify(plate("68A-123.45"), np.array([(0, 0), (520, 0), (520, 110), (0, 110)], np.float32))])
    assert read.text == "68A12345"
    assert len(read.confidence) == len(read.instead) == 8
    assert all(0 <= share <= 1 for share in read.confidence)
    for character, (other, share) in zip(read.text, read.instead, strict=True):
        assert other.isdigit() != character.isdigit()
        assert other not in "IJOQW"
        assert 0 <= share < 0.5  # drawn clearly: nothing speaks for another kind
    assert read_lines([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (48, 3000)])
def test_a_crop_of_any_shape_reads_as_something(shape: tuple[int, int]) -> None:
    (read,) = Reader()([np.full((*shape, 3), 200, np.uint8)])
    assert len(read.text) == len(read.confidence) == len(read.instead)


# The finder.


def test_the_finder_puts_boxes_around_the_text() -> None:
    drawn = plate("68A-123.45")
    corners = upright(160, 150, 130, drawn)
    (box,) = Detector()(put(street(), drawn, corners))
    inner = np.array(corners) - np.mean(corners, 0)
    assert np.abs(box.quad.mean(0) - np.mean(corners, 0)).max() < 5
    assert np.abs(box.quad - box.quad.mean(0)).max() > 0.7 * inner.max()
    assert 0.45 <= box.score <= 1


def test_boxes_of_a_painted_map() -> None:
    painted = np.zeros((120, 200), np.float32)
    painted[40:50, 60:140] = 0.9
    painted[80:82, 20:22] = 0.9  # too small for text
    painted[100:110, 150:190] = 0.35  # not sure enough
    (box,) = boxes(painted, (2.0, 3.0))
    assert box.score == pytest.approx(0.9, abs=0.1)
    left, top = box.quad.min(0)
    right, bottom = box.quad.max(0)
    assert (left < 120, right > 280) == (True, True)  # given back its margin
    assert (top < 120, bottom > 150) == (True, True)
    assert boxes(np.zeros((1, 1), np.float32), (1.0, 1.0)) == []


# Groupings: pure geometry.


def box_at(x: float, y: float, width: float, height: float, slant: float = 0) -> np.ndarray:
    return np.array([(x, y), (x + width, y + slant), (x + width, y + height + slant), (x, y + height)], np.float32)


def rows_of(*quads: np.ndarray) -> set[tuple[tuple[int, ...], ...]]:
    return {group.rows for group in groups(quads)}


def test_pieces_beside_each_other_are_one_row() -> None:
    assert rows_of(box_at(0, 0, 60, 20), box_at(66, 1, 80, 20)) == {((0,),), ((1,),), ((0, 1),)}
    assert ((0, 1, 2),) in rows_of(box_at(0, 0, 30, 20), box_at(34, 0, 30, 20), box_at(68, 0, 30, 20))


@pytest.mark.parametrize(
    "other",
    [box_at(200, 0, 60, 20), box_at(66, 15, 60, 20), box_at(66, 0, 60, 8)],
    ids=["far", "lower", "smaller"],
)
def test_pieces_that_do_not_fit_are_no_row(other: np.ndarray) -> None:
    assert rows_of(box_at(0, 0, 60, 20), other) == {((0,),), ((1,),)}


def test_pieces_above_each_other_are_two_rows_whatever_their_order() -> None:
    upper, lower = box_at(10, 0, 40, 20), box_at(0, 22, 60, 20)
    assert ((0,), (1,)) in rows_of(upper, lower)
    assert ((1,), (0,)) in rows_of(lower, upper)
    assert ((0,), (1,)) not in rows_of(lower, upper)


def test_two_rows_may_each_be_in_pieces() -> None:
    quads = [box_at(0, 0, 25, 20), box_at(29, 0, 25, 20), box_at(0, 22, 30, 20), box_at(33, 22, 25, 20)]
    assert ((0, 1), (2, 3)) in rows_of(*quads)


def test_rows_too_far_apart_are_no_plate() -> None:
    assert rows_of(box_at(0, 0, 60, 20), box_at(0, 70, 60, 20)) == {((0,),), ((1,),)}


def test_only_what_may_hold_two_lines_is_halved_and_halves_stay_together() -> None:
    long, tall = box_at(0, 0, 100, 20), box_at(0, 50, 60, 44)
    pieces, halves = with_halves([long, tall])
    assert len(pieces) == 4
    assert [group.rows for group in halves] == [((2,), (3,))]
    upper, lower = pieces[2], pieces[3]
    assert upper[:, 1].mean() < lower[:, 1].mean()
    assert upper[:, 1].max() >= lower[:, 1].min()  # nothing of the middle is lost
    assert np.abs(outline(pieces, halves[0]) - tall).max() < 1
    assert with_halves([long, tall], but={1}) == ([long, tall], [])


def test_the_outline_of_a_slanted_plate_is_slanted() -> None:
    quads = [box_at(10, 0, 40, 20, slant=8), box_at(0, 22, 60, 20, slant=12)]
    corners = outline(quads, Group(((0,), (1,))))
    assert corners[1][1] - corners[0][1] > 6
    assert 1.0 < ratio(corners) < 2.2


def test_a_resized_piece_keeps_its_middle_and_direction() -> None:
    quad = box_at(10, 10, 60, 20, slant=6)
    larger = resized(quad, 0.1, 0.15)
    assert np.allclose(larger.mean(0), quad.mean(0), atol=1e-3)
    assert np.linalg.norm(larger[3] - larger[0]) == pytest.approx(20 * 1.15, rel=0.01)
    assert np.linalg.norm(larger[1] - larger[0]) > np.linalg.norm(quad[1] - quad[0])
    assert np.allclose(resized(quad, 0, 0), quad, atol=1e-3)
    assert np.isfinite(resized(np.zeros((4, 2), np.float32), 0.1, -0.1)).all()


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (6, 4, 2), elements=st.floats(-50, 500, width=32)))
def test_any_quads_are_grouped_without_using_a_piece_twice(quads: np.ndarray) -> None:
    ordered = [in_order(quad) for quad in quads]
    pieces, halves = with_halves(ordered)
    for group in [*groups(ordered), *halves]:
        assert len(set(group.pieces)) == len(group.pieces)
        assert len(group.rows) <= 2
        assert np.isfinite(outline(pieces, group)).all()
