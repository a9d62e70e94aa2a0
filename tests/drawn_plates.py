"""Plates that are drawn, and scenes that show them from any side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

BLACK, WHITE = (25, 25, 25), (238, 238, 238)
LOOKS = {"white": (WHITE, BLACK), "yellow": ((30, 190, 245), BLACK), "blue": ((150, 70, 20), WHITE),
         "red": ((40, 30, 190), WHITE)}  # fmt: skip
"""Ground and ink, blue green red."""


def plate(*lines: str, colour: str = "white") -> Image:
    """A plate of one line, 520 x 110 as on cars, or of two, 400 x 280."""
    ground, ink = LOOKS[colour]
    image = np.full((110, 520, 3) if len(lines) == 1 else (280, 400, 3), ground, np.uint8)
    cv2.rectangle(image, (3, 3), (image.shape[1] - 4, image.shape[0] - 4), ink, 3)
    room = image.shape[0] // len(lines)
    for number, line in enumerate(lines):
        (wide, high), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 7)
        scale = min((image.shape[1] - 60) / wide, (room - 46) / high)
        (wide, high), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, 7)
        at = ((image.shape[1] - wide) // 2, room * number + (room + high) // 2)
        cv2.putText(image, line, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 7, cv2.LINE_AA)
    return image


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
