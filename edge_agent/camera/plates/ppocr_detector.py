"""Finds where text stands in a frame (frame -> boxes)."""

from __future__ import annotations

from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.camera.plates.ppocr_model import FINDER, Floats, Image, Network, open_network

Quad = npt.NDArray[np.float32]
"""4 x 2: corners in frame pixels, top left first, then clockwise."""

PIXELS = 720_000
"""A frame is brought to about this size first: letters of 10 to 50 pixels are found best, and time grows with it."""
MOST_GROWTH = 2.2
"""Larger growth adds no detail that the camera saw."""


class Box(NamedTuple):
    """A piece of text."""

    quad: Quad
    score: float
    """0 to 1: how sure the network is that this is text."""


class Detector:
    """The text finder of PP-OCR, a network that paints every pixel with how likely it belongs to text."""

    def __init__(self, network: Network | None = None, *, threads: int = 1, pixels: int = PIXELS) -> None:
        self._network = network or open_network(FINDER, threads=threads)
        self._pixels = pixels

    def __call__(self, frame: Image) -> list[Box]:
        """Give the pieces of text in `frame`."""
        height, width = frame.shape[:2]
        scale = min(MOST_GROWTH, (self._pixels / (width * height)) ** 0.5)
        # the network halves its input five times
        across, down = (max(32, round(side * scale / 32) * 32) for side in (width, height))
        small = cv2.resize(frame, (across, down), interpolation=cv2.INTER_LINEAR)
        batch = (small.astype(np.float32) / 127.5 - 1.0).transpose(2, 0, 1)[None]
        painted = self._network(np.ascontiguousarray(batch))[0, 0]
        return boxes(painted, (width / across, height / down))


def boxes(
    painted: Floats, scale: tuple[float, float], *, ink: float = 0.3, sure: float = 0.45, grow: float = 1.6
) -> list[Box]:
    """Turn the painted map into boxes in frame pixels; `scale` is frame pixels per map pixel, across and down."""
    mask = cv2.dilate((painted > ink).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found: list[Box] = []
    for contour in contours[:1000]:
        (x, y), (a, b), angle = cv2.minAreaRect(contour)
        if min(a, b) < 3:
            continue
        score = _mean_inside(painted, cv2.boxPoints(((x, y), (a, b), angle)))
        if score < sure:
            continue
        # the network paints a shrunken core of the text: area * grow / perimeter gives its margin back
        margin = a * b * grow / (2 * (a + b))
        corners = cv2.boxPoints(((x, y), (a + 2 * margin, b + 2 * margin), angle)) * np.array(scale, np.float32)
        found.append(Box(in_order(corners.astype(np.float32)), score))
    return found


def _mean_inside(painted: Floats, corners: Floats) -> float:
    height, width = painted.shape
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(mask, [np.round(corners - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(painted[y0 : y1 + 1, x0 : x1 + 1], mask)[0])


def in_order(corners: Quad) -> Quad:
    """Sort four corners: top left first, then clockwise as seen; text is taken to run to the right."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    left = left[np.argsort(left[:, 1], kind="stable")]
    right = right[np.argsort(right[:, 1], kind="stable")]
    return cast(Quad, np.array([left[0], right[0], right[1], left[1]], np.float32))
