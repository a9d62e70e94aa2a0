"""Plates that are drawn, and scenes that show them from any side."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.contract.events import Colour
from scripts.plate_drawing.plates import draw_plate
from scripts.plate_drawing.spec import LONG, MOTORBIKE, PlateSpec

Image = NDArray[np.uint8]

WIDE = 520
"""Pixels across a drawn plate."""


def plate(*lines: str, colour: Colour = "white", size_mm: tuple[int, int] | None = None) -> Image:
    """A new plate: a car's long one, or with two lines a motorbike's, unless a size is given."""
    size_mm = size_mm or (LONG if len(lines) == 1 else MOTORBIKE)
    spec = PlateSpec("drawn", lines, colour, "white" if colour in ("blue", "red") else "black", size_mm)
    return draw_plate(spec, Random(" ".join(lines)), WIDE / size_mm[0], worn=False).image


def street(width: int = 440, height: int = 300, seed: int = 1) -> Image:
    """An empty, slightly noisy grey."""
    noise = np.random.default_rng(seed).integers(-4, 5, (height, width, 3))
    return (np.linspace(120, 90, height)[:, None, None] + noise).astype(np.uint8)


def put(scene: Image, drawn: Image, corners: Sequence[tuple[float, float]]) -> Image:
    """Lay a picture into the scene, its corners clockwise from top left."""
    high, wide = drawn.shape[:2]
    given = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
    goal = np.array(corners, np.float32)
    step = max(1.0, wide / float(np.linalg.norm(goal[1] - goal[0])))
    soft = cv2.GaussianBlur(drawn, (0, 0), step / 3) if step > 1 else drawn  # else a shrunken picture flickers
    matrix, size = cv2.getPerspectiveTransform(given, goal), (scene.shape[1], scene.shape[0])
    laid = cv2.warpPerspective(soft, matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.full((high, wide), 255, np.uint8), matrix, size)
    return np.where(mask[..., None] > 127, laid, scene).astype(np.uint8)


def upright(x: float, y: float, width: float, drawn: Image) -> list[tuple[float, float]]:
    """Corners of a picture of this width that faces the camera, from its top left."""
    height = width * drawn.shape[0] / drawn.shape[1]
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
