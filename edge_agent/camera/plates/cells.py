"""What the detector's cells say: a grid of numbers -> plates with their corners; pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.camera.plates.read import Quad
from edge_agent.camera.plates.rectify import Corners
from edge_agent.contract.events import Colour

Floats = npt.NDArray[np.float32]
DetectorColour = Literal["white", "yellow", "blue", "red", "other"]

STRIDE = 8
"""Pixels from cell to cell."""
UNIT = 16.0
"""Pixels that an offset of 1 means."""
SCORE, CORNERS, TWO_LINES, COLOURS = 0, slice(1, 9), 9, slice(10, None)
"""The numbers of a cell."""

LEAST_SCORE = 0.5
"""Below it few finds are plates that can be read, and reading them costs most of the time."""
MOST_FOUND = 48
"""The surest cells that are looked at."""
LEAST_HEIGHT = 4.0
"""Pixels; smaller text is none that could be read."""
LEAST_RATIO, MOST_RATIO = 0.4, 12.0
"""Width over height of a plate's text, seen from any side."""
SHARED = 0.5
"""Two finds are one plate if their upright boxes share so much of the smaller."""


class Find(NamedTuple):
    """A plate found, not yet read."""

    quad: Corners
    score: float
    """0 to 1: how sure the network is that a plate is here."""
    two_lines: float
    """0 to 1: how likely it has two lines."""
    colour: Colour
    """Of the ground; `unknown` where no colour is likelier than not."""


def finds(cells: Floats, colours: Sequence[DetectorColour], least_score: float = LEAST_SCORE) -> list[Find]:
    """Give the plates that `cells`, rows x columns x numbers, say, the surest first; corners in the network's pixels.

    `colours`: what the last numbers of a cell mean.
    """
    score = np.ascontiguousarray(cells[..., SCORE])
    peaks = (score >= least_score) & (score >= cv2.dilate(score, np.ones((3, 3), np.uint8)))
    rows, columns = np.nonzero(peaks)
    surest = np.argsort(-score[rows, columns], kind="stable")[:MOST_FOUND]
    found: list[Find] = []
    for row, column in zip(rows[surest], columns[surest], strict=True):
        cell = cells[row, column]
        middle = np.array(((column + 0.5) * STRIDE, (row + 0.5) * STRIDE), np.float32)
        quad = middle + UNIT * cell[CORNERS].reshape(4, 2)
        if is_plate(quad):
            colour = _colour(cell[COLOURS], colours)
            found.append(Find(quad, float(cell[SCORE]), float(cell[TWO_LINES]), colour))
    return distinct(found)


def distinct(found: Iterable[Find]) -> list[Find]:
    """Give the finds that overlap with no surer one, the surest first."""
    surest = sorted(found, key=lambda find: -find.score)
    return [surest[number] for number in apart([find.quad for find in surest], SHARED)]


def apart(quads: Sequence[Corners | Quad], shared: float) -> list[int]:
    """Give the numbers of the quads that overlap by no more than this with any given before them."""
    if not quads:
        return []
    corners = np.array(quads, np.float32)
    too_much = overlap(corners[:, None], corners) > shared
    kept: list[int] = []
    for number in range(len(quads)):
        if not too_much[number, kept].any():
            kept.append(number)
    return kept


def overlap(one: Corners, other: Corners) -> Floats:
    """Give how much of the smaller of the upright boxes around two quads lies in the other, 0 to 1.

    Either may be many, ... x 4 x 2; so is the answer, as NumPy broadcasts them.
    """
    low, high = np.maximum(one.min(-2), other.min(-2)), np.minimum(one.max(-2), other.max(-2))
    smaller = np.minimum(np.prod(np.ptp(one, axis=-2), axis=-1), np.prod(np.ptp(other, axis=-2), axis=-1))
    return cast(Floats, np.prod(np.maximum(high - low, 0), axis=-1) / np.maximum(smaller, 1e-6))


def is_plate(quad: Corners) -> bool:
    """Tell whether corners can be those of a plate: in order, convex, large enough, of a plate's shape."""
    if not np.isfinite(quad).all():
        return False
    sides = np.roll(quad, -1, axis=0) - quad
    after = np.roll(sides, -1, axis=0)
    if (sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0] <= 0).any():  # a turn to the left
        return False
    across, down = (float(np.linalg.norm(sides[n] - sides[n + 2])) / 2 for n in (0, 1))
    return down >= LEAST_HEIGHT and LEAST_RATIO <= across / down <= MOST_RATIO


def _colour(shares: Floats, colours: Sequence[DetectorColour]) -> Colour:
    likeliest = int(shares.argmax())
    colour = colours[likeliest]
    return colour if colour != "other" and shares[likeliest] >= 0.5 else "unknown"
