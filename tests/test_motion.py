"""The motion gate on drawn frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.camera.motion import MotionGate
from edge_agent.camera.settings import MotionSettings

SIZES = [(320, 180), (640, 360), (1920, 1080), (2592, 1944)]


def street(size: tuple[int, int] = (640, 360)) -> NDArray[np.uint8]:
    """An empty street: bands of grey and a bright wall."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[: height // 3] = 140
    image[height // 2 :, : width // 4] = 200
    return image


def with_motorcycle(image: NDArray[np.uint8], x: float) -> NDArray[np.uint8]:
    """The same street with a dark rider of 1/12 of the width, at `x` of it."""
    height, width = image.shape[:2]
    seen = image.copy()
    left = int(x * width)
    cv2.rectangle(seen, (left, height // 2), (left + width // 12, height * 3 // 4), (30, 30, 30), -1)
    return seen


def gate(**settings: float) -> MotionGate:
    """A gate that already knows the empty street and whose hold time is over."""
    return MotionGate(MotionSettings(**{"hold_s": 0.0, **settings}))  # type: ignore[arg-type]


def test_first_frame_moves_and_the_same_again_does_not() -> None:
    watch = gate()
    assert watch.moves(street(), 0)
    assert not watch.moves(street(), 40)


@pytest.mark.parametrize("size", SIZES)
def test_a_motorcycle_moves(size: tuple[int, int]) -> None:
    watch = gate()
    watch.moves(street(size), 0)
    assert watch.moves(with_motorcycle(street(size), 0.5), 40)
    assert watch.moves(with_motorcycle(street(size), 0.55), 80)
    assert not watch.moves(with_motorcycle(street(size), 0.55), 120), "it stands"
    assert watch.moves(street(size), 160), "it left"


@pytest.mark.parametrize("size", SIZES[:3])
def test_noise_of_the_night_does_not_move(size: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    watch = gate()

    def noisy() -> NDArray[np.uint8]:
        return np.clip(street(size) + random.normal(0, 8, (size[1], size[0], 3)), 0, 255).astype(np.uint8)

    watch.moves(noisy(), 0)
    assert [watch.moves(noisy(), at) for at in (40, 80)] == [False] * 2


def test_light_that_changes_everywhere_does_not_move_but_a_motorcycle_in_it_does() -> None:
    watch = gate()
    watch.moves(street(), 0)
    brighter = street() + np.uint8(40)
    assert not watch.moves(brighter, 40)
    assert watch.moves(with_motorcycle(brighter - np.uint8(40), 0.5), 80)
    assert not watch.moves(with_motorcycle(street(), 0.5) - np.uint8(25), 120)


def test_holds_for_its_time() -> None:
    watch = gate(hold_s=1.0)
    watch.moves(street(), 0)
    assert watch.moves(with_motorcycle(street(), 0.5), 5000)
    still = with_motorcycle(street(), 0.5)
    assert [watch.moves(still, at) for at in (5001, 6000, 6001, 9000)] == [True, True, False, False]


def test_a_clock_that_was_set_back_does_not_hold_for_ever() -> None:
    watch = gate(hold_s=1.0)
    assert watch.moves(street(), 1_800_000_000_000)
    assert not watch.moves(street(), 5)


def test_share_and_levels_decide() -> None:
    rider = with_motorcycle(street(), 0.5)
    for settings, moves in (({"share": 0.5}, False), ({"levels": 200}, False), ({"share": 0.001, "levels": 5}, True)):
        watch = gate(**settings)
        watch.moves(street(), 0)
        assert watch.moves(rider, 40) is moves, settings


def test_no_share_reads_every_frame() -> None:
    watch = gate(share=0.0)
    assert all(watch.moves(street(), at) for at in range(5))


def test_another_shape_is_a_new_beginning_and_grey_is_welcome() -> None:
    watch = gate()
    watch.moves(street(), 0)
    assert watch.moves(street((400, 300)), 40)
    assert not watch.moves(street((400, 300))[:, :, 0], 80)
    assert watch.moves(np.zeros((1, 1, 3), np.uint8), 120)
    assert not watch.moves(np.zeros((1, 1, 3), np.uint8), 160)
