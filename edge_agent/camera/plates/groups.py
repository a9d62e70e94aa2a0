"""Which pieces of text may form a plate together; pure geometry.

A plate is one line, or two lines one above the other; either may have been found in pieces, and both lines as one.
Which grouping is right only the reading tells, so all that the geometry allows are given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from edge_agent.camera.plates.ppocr_detector import Quad, in_order
from edge_agent.contract.events import Layout

TALL = 2.3
"""A piece less wide than this times its height may hold two lines."""


class Group(NamedTuple):
    """Pieces that may be a plate: its rows from top to bottom, the pieces of a row from left to right."""

    rows: tuple[tuple[int, ...], ...]
    """Indices of pieces."""

    @property
    def layout(self) -> Layout:
        """How many rows."""
        return "one" if len(self.rows) == 1 else "two"

    @property
    def pieces(self) -> tuple[int, ...]:
        """Every piece, in the order of reading."""
        return tuple(index for row in self.rows for index in row)


def with_halves(pieces: Sequence[Quad], but: Collection[int] = ()) -> tuple[list[Quad], list[Group]]:
    """Give the pieces, behind them both halves of each (`but` for some) that may hold two lines, and their groups."""
    tall = [piece for index, piece in enumerate(pieces) if index not in but and ratio(piece) < TALL]
    halves = [half for piece in tall for half in _halves(piece)]
    first = len(pieces)
    return [*pieces, *halves], [Group(((first + 2 * n,), (first + 2 * n + 1,))) for n in range(len(tall))]


def groups(pieces: Sequence[Quad]) -> Iterator[Group]:
    """Every grouping of whole pieces that may be a plate; a piece may be in several."""
    rows = list(_rows(pieces))
    for row in rows:
        yield Group((row,))
    whole = {row: outline(pieces, Group((row,))) for row in rows}
    for upper in rows:
        for lower in rows:
            if not set(upper) & set(lower) and _above(whole[upper], whole[lower]):
                yield Group((upper, lower))


def outline(pieces: Sequence[Quad], group: Group) -> Quad:
    """The corners of the whole plate."""
    if len(group.pieces) == 1:
        return pieces[group.pieces[0]]
    if len(group.rows) == 2:
        upper, lower = (outline(pieces, Group((row,))) for row in group.rows)
        # the wider line gives the sides; a slanted plate stays slanted
        return in_order(cv2.boxPoints(cv2.minAreaRect(np.concatenate([upper, lower]))))
    return in_order(cv2.boxPoints(cv2.minAreaRect(np.concatenate([pieces[i] for i in group.pieces]))))


def width(quad: Quad) -> float:
    """Pixels along the text."""
    return float(np.linalg.norm(quad[1] - quad[0]))


def height(quad: Quad) -> float:
    """Pixels across the text."""
    return float(np.linalg.norm(quad[3] - quad[0]))


def ratio(quad: Quad) -> float:
    """Width over height."""
    return width(quad) / max(1e-6, height(quad))


def resized(quad: Quad, across: float, down: float) -> Quad:
    """The quad, larger by these shares of its height; its middle stays."""
    middle = quad.mean(0)
    aside, under = (quad[1] + quad[2]) / 2 - middle, (quad[2] + quad[3]) / 2 - middle
    aside, under = aside * (1 + 2 * across / max(1e-6, ratio(quad))), under * (1 + down)
    corners = [middle - aside - under, middle + aside - under, middle + aside + under, middle - aside + under]
    return np.array(corners, np.float32)


def _rows(pieces: Sequence[Quad]) -> Iterator[tuple[int, ...]]:
    """Single pieces, and two or three that stand beside each other."""
    yield from ((i,) for i in range(len(pieces)))
    everyone = range(len(pieces))
    beside = sorted((i, j) for i in everyone for j in everyone if i != j and _beside(pieces[i], pieces[j]))
    yield from beside
    yield from ((i, j, k) for i, j in beside for again, k in beside if j == again)


def _beside(left: Quad, right: Quad) -> bool:
    tall, small = max(height(left), height(right)), min(height(left), height(right))
    if left[:, 0].mean() >= right[:, 0].mean():
        return False
    gap = float(right[:, 0].min() - left[:, 0].max())
    level = abs(float(left[:, 1].mean() - right[:, 1].mean()))
    return small > 0.55 * tall and level < 0.45 * tall and -0.4 * tall < gap < 1.6 * tall


def _above(upper: Quad, lower: Quad) -> bool:
    tall, small = max(height(upper), height(lower)), min(height(upper), height(lower))
    wide = max(width(upper), width(lower))
    down = float(lower[:, 1].mean() - upper[:, 1].mean())
    aside = abs(float(lower[:, 0].mean() - upper[:, 0].mean()))
    return small > 0.45 * tall and 0.5 * tall < down < 1.9 * tall and aside < 0.4 * wide and wide < 6 * tall


def _halves(quad: Quad) -> tuple[Quad, Quad]:
    """Upper and lower half, a little more than half each."""
    top_left, top_right, bottom_right, bottom_left = quad
    left, right = bottom_left - top_left, bottom_right - top_right
    upper = np.array([top_left, top_right, top_right + 0.52 * right, top_left + 0.52 * left], np.float32)
    lower = np.array([top_left + 0.45 * left, top_right + 0.45 * right, bottom_right, bottom_left], np.float32)
    return upper, lower
