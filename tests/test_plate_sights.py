"""Plates that are drawn into frames, found and read with the shipped models."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_plates import Image, plate, put, street, upright

from edge_agent.camera.plates.sights import PlateReader
from edge_agent.contract.events import Colour
from scripts.plate_drawing.spec import ARMY_LONG, ARMY_SHORT, LONG, MOTORBIKE, SHORT


@pytest.fixture(scope="module")
def reader() -> PlateReader:
    return PlateReader()


def texts(reader: PlateReader, frame: Image) -> list[str]:
    return sorted(sight.read.text for sight in reader.sights(frame) if sight.read.valid)


def car(drawn: Image, x: float, y: float, width: float, scene: Image) -> Image:
    """Hang a plate into the dark front of a vehicle, its left upper corner at a place."""
    corners = np.array(upright(x, y, width, drawn))
    height = corners[2, 1] - y
    body = np.round([*(corners[0] - (0.7 * width, 1.2 * height)), 2.4 * width, 2.8 * height]).astype(int)
    scene = cv2.rectangle(scene.copy(), body.tolist(), (70, 52, 45), -1)
    for row in range(3):  # a grille above it
        at = round(y - height * (0.3 + 0.25 * row))
        cv2.line(scene, (round(x), at), (round(x + width), at), (30, 28, 26), 2)
    return put(np.asarray(scene, np.uint8), drawn, corners.tolist())


KINDS: dict[str, tuple[tuple[str, ...], Colour, tuple[int, int]]] = {
    "68A12345": (("68A-123.45",), "white", LONG),
    "51F90872": (("51F-908.72",), "yellow", LONG),
    "60A00457": (("60A-004.57",), "blue", LONG),
    "KP4537": (("KP-45-37",), "red", ARMY_LONG),
    "68B124680": (("68-B1", "246.80"), "white", MOTORBIKE),
    "51B30556": (("51B", "305.56"), "yellow", SHORT),
    "29A00127": (("29A", "001.27"), "blue", SHORT),
    "TH2059": (("TH", "20-59"), "red", ARMY_SHORT),
    "59N27042": (("59-N2", "7042"), "white", MOTORBIKE),
    "68MĐ112345": (("68-MĐ1", "123.45"), "white", MOTORBIKE),
}


@pytest.mark.parametrize("share", [0.6, 1.0, 1.8], ids=["far", "near", "close"])
@pytest.mark.parametrize("text", KINDS)
def test_a_plate_of_every_layout_and_colour_is_read(reader: PlateReader, text: str, share: float) -> None:
    lines, colour, size_mm = KINDS[text]
    drawn = plate(*lines, colour=colour, size_mm=size_mm)
    width = share * (120 if len(lines) == 1 else 75)
    corners = upright(160, 120, width, drawn)
    (sight,) = reader.sights(car(drawn, 160, 120, width, street(520, 340)))
    assert (sight.read.text, sight.read.valid) == (text, True)
    assert sight.read.layout == ("one" if len(lines) == 1 else "two")
    assert sight.read.confidence > 0.4
    assert len(sight.read.char_confidence) == len(sight.read.raw) == len(text)
    seen, (left, top), (right, bottom) = np.array(sight.quad), corners[0], corners[2]
    room = 6 * max(1, share)
    assert (seen >= (left - room, top - room)).all()
    assert (seen <= (right + room, bottom + room)).all()
    assert (np.ptp(seen, axis=0) > (0.45 * (right - left), 0.4 * (bottom - top))).all()  # the text, without its margins


@pytest.mark.parametrize("text", KINDS)
def test_the_colour_of_a_plate_is_told(reader: PlateReader, text: str) -> None:
    lines, colour, size_mm = KINDS[text]
    drawn = plate(*lines, colour=colour, size_mm=size_mm)
    (sight,) = reader.sights(car(drawn, 160, 120, 120 if len(lines) == 1 else 75, street(520, 340)))
    assert sight.colour == colour


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
        scene = car(drawn, x, y, 120 if len(lines) == 1 else 90, scene)
    assert texts(reader, scene) == ["51F90872", "68A12345", "68B124680"]
    quads = {sight.read.text: sight.quad for sight in reader.sights(scene)}
    assert quads["68A12345"][0][0] < quads["68B124680"][0][0] < quads["51F90872"][0][0]


@pytest.mark.parametrize("number", ["1900 6968", "0918.722.183", "25082508", "1900 1234"])
def test_a_telephone_number_is_never_surely_a_plate(reader: PlateReader, number: str) -> None:
    """In a plate's own letters on a plate's board a 0 may be taken for a D: told as a guess, if at all."""
    drawn = plate(number)
    assert all(s.read.confidence < 0.75 for s in reader.sights(put(street(), drawn, upright(200, 180, 160, drawn))))


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
