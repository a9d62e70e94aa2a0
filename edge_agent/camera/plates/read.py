"""What the parts of the plate reader hand to each other: a plate's text, and one sight of it in one frame."""

from __future__ import annotations

import msgspec

from edge_agent.contract.events import Colour, Layout

Point = tuple[float, float]
Instead = tuple[str, int]
"""A letter where a digit was read or a digit where a letter was, and how likely it is in per cent, if of that kind."""
Quad = tuple[Point, Point, Point, Point]
"""Corners of the plate's text in frame pixels, (x, y): top left as it is read, then clockwise."""


class PlateText(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of one plate, as the grammar understands it."""

    text: str
    """Without separators, Đ kept; equal to `raw` if not repaired or not valid."""
    raw: str
    """What was read, upper case and without separators, before any repair: the reader's likeliest reading that is a
    plate, or its likeliest at all where none is."""
    confidence: float
    """0 to 1: of readings told with this confidence on photos kept for measuring, about such a share was right; at 0.9
    and more at least 99 in 100. Never above the weakest character's."""
    char_confidence: tuple[int, ...]
    """Per cent, one for each character of `raw`."""
    valid: bool
    """Whether the grammar knows `text`."""
    classes: tuple[str, ...]
    """Every class that text, lines and colour allow, the likeliest first; several mean that nothing decides."""
    layout: Layout
    instead: tuple[Instead, ...] = ()
    """For each character of `raw`, if the reader can tell: what else stands there if it is of the other kind."""

    @property
    def repaired(self) -> bool:
        """Whether `text` is a guess that differs from what was read."""
        return self.text != self.raw


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One plate in one frame."""

    quad: Quad
    colour: Colour
    read: PlateText
