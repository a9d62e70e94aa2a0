"""Finds plates in a frame (frame -> finds)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from edge_agent.camera.plates.card import DetectorCard
from edge_agent.camera.plates.cells import Find, distinct, finds
from edge_agent.camera.plates.network import MODELS, open_network
from edge_agent.camera.plates.rectify import Corners, Image

LONG_SIDES = (960, 320)
"""A frame is looked at in these sizes, in pixels along its longer side, until a plate is found for sure: the network
knows plates of about 20 to 200 pixels, so larger ones, of close photos, are found in the smaller size."""
SURE = 0.6
"""Score of a find from which no smaller size is looked at."""
CLOSE, CLOSE_TEXT = (192, 128), 72
"""Size of the second look around a plate, and of the plate's text in it, in pixels."""
MULTIPLE = 32
"""The network halves its input five times."""
GREY = 114
"""What it was trained to see outside a frame."""


class Detector:
    """The network that finds plates; used by one thread."""

    def __init__(self, models: Path = MODELS, *, threads: int = 1) -> None:
        """Raises ModelError."""
        self._network, card = open_network(models, "detector", DetectorCard, threads=threads)
        self._colours = card.colours

    def __call__(self, frame: Image) -> list[Find]:
        """Give the plates of a BGR frame, the surest first, corners in its pixels."""
        found: list[Find] = []
        for number, long_side in enumerate(LONG_SIDES):
            if number and max(frame.shape[:2]) <= long_side:
                break  # it was looked at in this size
            found = distinct([*found, *self.look(frame, long_side)])
            if found and found[0].score >= SURE:
                break
        return found

    def closer(self, frame: Image, find: Find) -> Find | None:
        """Look again around a find, at the size at which corners are seen best; None where no plate is seen then."""
        quad = find.quad
        text = max(math.dist(quad[0], quad[1]), math.dist(quad[3], quad[2]), 1.6 * math.dist(quad[0], quad[3]))
        scale, middle = CLOSE_TEXT / text, quad.mean(axis=0)
        low = np.maximum(np.floor(middle - np.array(CLOSE) / (2 * scale)), 0).astype(int)
        high = np.minimum(np.ceil(middle + np.array(CLOSE) / (2 * scale)), frame.shape[1::-1]).astype(int)
        around = frame[low[1] : high[1], low[0] : high[0]]
        size = [max(1, round(side * scale)) for side in around.shape[1::-1]]
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cast(Image, cv2.resize(around, size, interpolation=way))
        back = np.array(around.shape[1::-1], np.float32) / size
        cells = self._network(padded(small)[None])[0]
        seen = [again._replace(quad=again.quad * back + low) for again in finds(cells, self._colours)]
        same = [
            again for again in seen if math.dist(again.quad.mean(axis=0), middle) < text / 3 and _within(again, frame)
        ]
        return max(same, key=lambda again: again.score, default=None)

    def look(self, frame: Image, long_side: int) -> list[Find]:
        """Give the plates of a frame that is reduced to `long_side` where it is larger."""
        small, scale = reduced(frame, long_side)
        cells = self._network(padded(small)[None])[0]
        found = [find._replace(quad=find.quad * scale) for find in finds(cells, self._colours)]
        return [find for find in found if _within(find, frame)]


def reduced(frame: Image, long_side: int) -> tuple[Image, Corners]:
    """Give the frame with at most `long_side` pixels a side, and how many of its own make one, across and down."""
    times = max(1, max(frame.shape[:2]) // long_side)
    down, across = (max(1, side // times) for side in frame.shape[:2])
    whole = frame[: down * times, : across * times]
    # whole pixels are averaged, the rest is less than twofold: several times faster than averaging shares of pixels
    small = cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA) if times > 1 else whole
    share = min(1.0, long_side / max(across, down))
    if share < 1:
        across, down = (max(1, round(side * share)) for side in (across, down))
        small = cv2.resize(small, (across, down), interpolation=cv2.INTER_LINEAR)
    return small, np.array((whole.shape[1] / across, whole.shape[0] / down), np.float32)


def padded(small: Image) -> Image:
    """Add grey on the right and below, so that the network can halve both sides."""
    below, right = (-side % MULTIPLE for side in small.shape[:2])
    grey = (GREY, GREY, GREY)
    return cast(Image, cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey))


def _within(find: Find, frame: Image) -> bool:
    """Tell whether the middle of a find lies in the frame: of what lies outside nothing was seen."""
    x, y = find.quad.mean(axis=0)
    return bool(0 <= x < frame.shape[1] and 0 <= y < frame.shape[0])
