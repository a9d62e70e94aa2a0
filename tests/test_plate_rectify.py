"""Plates cut out of frames: where they land in the crop, and that large ones are averaged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_plates import plate, put, street

from edge_agent.camera.plates.rectify import HEIGHT, WIDTH, Corners, Image, crop, place


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("two_lines", [False, True])
def test_a_plate_of_the_crops_own_size_is_copied_pixel_for_pixel(two_lines: bool) -> None:
    scene = noise(200, 300)
    assert (crop(scene, place(two_lines) + (50, 70), two_lines) == scene[70 : 70 + HEIGHT, 50 : 50 + WIDTH]).all()


@pytest.mark.parametrize("times", [2, 3, 8])
def test_a_larger_plate_is_averaged(times: int) -> None:
    scene = noise(HEIGHT * times, WIDTH * times)
    mean = cv2.resize(scene, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert np.abs(crop(scene, place(True) * times, True).astype(int) - mean).max() <= 1


def test_a_huge_plate_of_fine_stripes_does_not_alias() -> None:
    scene = np.zeros((1500, 3000, 3), np.uint8)
    scene[:, ::2] = 255
    found = crop(scene, np.array([(300, 300), (2700, 320), (2690, 900), (310, 910)], np.float32), False)
    assert found.std() < 25  # of pixels picked singly it would be 128


def test_an_oblique_plate_is_straightened_and_keeps_its_margins() -> None:
    drawn = np.full((64, 160, 3), 255, np.uint8)
    text = place(False).round().astype(int)
    drawn[text[0, 1] : text[2, 1], text[0, 0] : text[2, 0]] = 0
    corners = np.array([(120, 90), (280, 140), (270, 205), (112, 160)], np.float32)
    matrix = cv2.getPerspectiveTransform(np.array([(0, 0), (160, 0), (160, 64), (0, 64)], np.float32), corners)
    quad: Corners = cv2.perspectiveTransform(place(False)[None], matrix)[0]
    found = crop(put(street(), drawn, corners.tolist()), quad, False)
    assert np.abs(found.astype(int) - drawn).mean() < 12
    assert found[32, 80].max() < 20
    assert found[4:60, 6].min() > 200
    assert found[5, 10:150].min() > 200


def test_two_lines_get_narrower_margins_than_one() -> None:
    assert place(True)[0, 1] < place(False)[0, 1]
    for corners in (place(True), place(False)):
        assert (corners[0] + corners[2]).tolist() == pytest.approx([WIDTH, HEIGHT])


def test_what_lies_outside_the_frame_repeats_its_edge() -> None:
    found = crop(plate("68A-123.45"), np.array([(-900, 20), (-400, 20), (-400, 90), (-900, 90)], np.float32), False)
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(found[32, :, 0]) <= 1  # the one column at the edge


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 1)])
def test_frames_of_any_shape_give_a_crop(shape: tuple[int, int]) -> None:
    quad = np.array([(0, 0), (10, 0), (10, 5), (0, 5)], np.float32)
    assert (crop(np.full((*shape, 3), 77, np.uint8), quad, True) == 77).all()
