"""Sets the lines of a plate: where each character stands, and the ink it leaves."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import numpy as np

from scripts.plate_drawing import glyphs
from scripts.plate_drawing.glyphs import Mask, Style
from scripts.plate_drawing.spec import ARMY_LONG, ARMY_SHORT, LONG, MOTORBIKE, OLD_LONG, OLD_SHORT, SHORT, PlateSpec

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1; pixels from the top left corner."""

WIDTHS = {LONG: (0.46, 0.62), OLD_LONG: (0.44, 0.6), SHORT: (0.5, 0.68), OLD_SHORT: (0.44, 0.6),
          ARMY_LONG: (0.48, 0.66), ARMY_SHORT: (0.45, 0.62)}  # fmt: skip
"""Least and greatest width of a 0 on plates of each size, in its heights."""
FULL = 0.94
"""Greatest share of the plate's width that a line may take."""


class Lettering(NamedTuple):
    """The ink of a plate and where its characters stand."""

    ink: Mask
    """HxW, 0 to 1: all characters and separators."""
    red: Mask
    """HxW: the part of the ink that is red on a plate of two inks; all 0 elsewhere."""
    boxes: tuple[Box, ...]
    """One for each character of the text, in its order."""


class _Cut(NamedTuple):
    """Measures of one line, in mm or in heights of its characters."""

    height: float
    top: float
    gap: float
    dash: float
    dot: float


def random_style(spec: PlateSpec, rng: random.Random) -> Style:
    """Draw by lot how the glyphs of such a plate are cut."""
    painted = spec.kind == "painted"
    widths = (0.45, 0.66) if painted else WIDTHS.get(spec.size_mm, (0.41, 0.55))
    lightest = 0.14 if painted else 0.115 if spec.colour == "red" else 0.1
    return Style(
        weight=rng.triangular(lightest, lightest + 0.075, lightest + 0.038),
        width=rng.uniform(*widths),
        radius=rng.choice((0.5, 0.5, 0.5, 0.45, 0.4)),
        bulge=rng.triangular(0.5, 0.72, 0.55),
        slant=rng.gauss(0, 0.012),
        softness=rng.uniform(0.0, 0.03),
        square=rng.random() < 0.5,
        waist=rng.gauss(0, 0.015),
        forms=rng.randrange(4096),
        stencil=painted and rng.random() < 0.5,
    )


def set_lines(spec: PlateSpec, style: Style, rng: random.Random, px_per_mm: float) -> Lettering:
    """Set the plate's lines at this scale; the ink is as large as the plate in px."""
    wide, high = (max(1, round(side * px_per_mm)) for side in spec.size_mm)
    ink = np.zeros((high, wide), np.float32)
    red = np.zeros_like(ink)
    boxes: list[Box] = []
    shift = rng.gauss(0, 0.012) * spec.size_mm[0]
    drawn: dict[tuple[str, float], Mask] = {}
    for line, cut in zip(spec.lines, _cuts(spec, style, rng), strict=True):
        placed, squeezed = _spread(line, cut, style, spec.size_mm[0] * FULL)
        start = (spec.size_mm[0] - sum(placed[-1])) / 2 + shift
        for character, (left, width) in zip(line, placed, strict=True):
            x, y = start + left, cut.top
            if character == " ":
                continue
            if character in "-.":
                thick = (cut.dot if character == "." else style.weight) * cut.height
                low = cut.height if character == "." else (cut.height + thick) / 2
                bar = (x, y + low - thick, x + width, y + low)
                _fill(ink, *(side * px_per_mm for side in bar))
                continue
            px = max(4, round(cut.height * px_per_mm))
            if (character, cut.height) not in drawn:
                drawn[character, cut.height] = glyphs.draw(character, squeezed, px)
            glyph = drawn[character, cut.height]
            y += rng.gauss(0, 0.006) * cut.height
            boxes.append(_stamp(ink, glyph, round(x * px_per_mm), round(y * px_per_mm)))
            if character in spec.red_letters:
                _stamp(red, glyph, round(x * px_per_mm), round(y * px_per_mm))
    return Lettering(ink, red, tuple(boxes))


def _cuts(spec: PlateSpec, style: Style, rng: random.Random) -> list[_Cut]:
    wide, high = spec.size_mm
    dash, dot = rng.uniform(0.18, 0.36), style.weight * rng.uniform(0.8, 1.2)

    def gap(line: str, height: float, share: float) -> float:
        """Give the gap with which the line takes this share of the plate's width, if that is a usual gap."""
        ink = sum(dash if c in "- " else dot if c == "." else glyphs.width(c, style) for c in line)
        return min(rng.uniform(0.16, 0.32), max(0.05, (wide * share / height - ink) / max(1, len(line) - 1)))

    if len(spec.lines) == 1:
        height = high * (rng.uniform(0.42, 0.58) if spec.kind == "army" else rng.uniform(0.58, 0.76))
        top = (high - height) * rng.triangular(0.35, 0.65, 0.5)
        return [_Cut(height, top, gap(spec.lines[0], height, rng.uniform(0.8, 0.93)), dash, dot)]
    share = rng.uniform(0.29, 0.37) if spec.size_mm == MOTORBIKE else rng.uniform(0.32, 0.41)
    upper, lower = high * share * rng.uniform(0.9, 1.02), high * share
    between = high * rng.uniform(0.035, 0.09)
    top = (high - upper - lower - between) * rng.triangular(0.35, 0.65, 0.5)
    wider = gap(spec.lines[1], lower, rng.uniform(0.66, 0.9))
    return [
        _Cut(upper, top, max(0.05, wider * rng.uniform(0.3, 1.0)), dash, dot),
        _Cut(lower, top + upper + between, wider, dash, dot),
    ]


def _spread(line: str, cut: _Cut, style: Style, room: float) -> tuple[list[tuple[float, float]], Style]:
    """Give left edge and width of each character in mm, the first at 0, and the style, narrowed where room is short."""

    def along(narrow: float) -> list[tuple[float, float]]:
        placed, x = [], 0.0
        cut_style = style._replace(width=style.width * narrow)
        for i, character in enumerate(line):
            if character in "- ":
                width = cut.dash * narrow
            else:
                width = cut.dot if character == "." else glyphs.width(character, cut_style) + abs(style.slant)
            beside = i > 0 and (line[i - 1] == "." or character == ".")
            x += 0 if i == 0 else cut.gap * narrow * cut.height * (0.62 if beside else 1)
            placed.append((x, width * cut.height))
            x += width * cut.height
        return placed

    placed = along(1.0)
    length = sum(placed[-1])
    if length <= room:
        return placed, style
    narrow = room / length
    return along(narrow), style._replace(width=style.width * narrow)


def _stamp(ink: Mask, glyph: Mask, x: int, y: int) -> Box:
    """Lay a glyph into the ink, what lies outside the plate left off; gives its box."""
    high, wide = ink.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(wide, x + glyph.shape[1]), min(high, y + glyph.shape[0])
    if x0 < x1 and y0 < y1:
        part = ink[y0:y1, x0:x1]
        np.maximum(part, glyph[y0 - y : y1 - y, x0 - x : x1 - x], out=part)
    return float(x0), float(y0), float(x1), float(y1)


def _fill(ink: Mask, x0: float, y0: float, x1: float, y1: float) -> None:
    """Fill a rectangle, its edge pixels in part."""
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    part = ink[top : math.ceil(y1), left : math.ceil(x1)]
    down, across = _cover(y0 - top, y1 - top, part.shape[0]), _cover(x0 - left, x1 - left, part.shape[1])
    np.maximum(part, np.outer(down, across), out=part)


def _cover(low: float, high: float, count: int) -> Mask:
    """How much of each of `count` pixels lies between two edges."""
    at = np.arange(count)
    return np.asarray(np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, 1), np.float32)
