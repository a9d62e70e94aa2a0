"""The characters of Vietnamese plates as strokes of one width, as they are pressed.

A glyph's skeleton is written in the frame of the middle of its strokes: x 0 to 1 across, y 0 to 1 down, strokes parted
by `|`, a corner that is rounded marked `~`, a closed stroke ended by `z`. Glyphs that differ from maker to maker have
several skeletons; a frequent one may stand twice.
"""

from __future__ import annotations

import math
import zlib
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.float32]
Point = tuple[float, float]

_SIXES = (
    "1,.2 ~1,0 ~0,0 ~0,1 ~1,1 ~1,.42 ~0,.42 0,.62",
    "1,.2 ~1,0 ~0,0 ~0,1 ~1,1 ~1,.42 ~0,.42 0,.62",
    ".97,.15 ~.9,0 ~0,0 ~0,1 ~1,1 ~1,.4 ~0,.4 0,.64",
    "1,0 ~0,0 ~0,1 ~1,1 ~1,.42 ~0,.42 0,.62",
    ".78,0 ~0,.46 ~0,1 ~1,1 ~1,.44 ~0,.44 0,.7",
)
_BOWL_D = "{0},0 {0},1 | {0},0 ~1,0 ~1,1 {0},1"

SKELETONS: dict[str, tuple[str, ...]] = {
    "0": ("~0,0 ~1,0 ~1,1 ~0,1 z",),
    "1": ("0,.21 1,0 | 1,0 1,1", "0,.27 1,0 1,1", "0,.17 ~.7,.15 1,0 | 1,0 1,1", "0,.05 1,0 | 1,0 1,1",
          "0,.21 1,0 | 1,0 1,1", "0,.27 1,0 1,1", "1,0 1,1"),
    "2": (
        "0,.22 ~0,0 ~1,0 ~1,.42 0,1 | 0,1 1,1",
        "0,.24 ~0,0 ~1,0 ~1,.5 0,1 | 0,1 1,1",
        "0,.2 ~0,0 ~1,0 ~1,.4 ~0,.8 0,1 | 0,1 1,1",
    ),
    "3": (
        "0,.2 ~0,0 ~1,0 ~1,.47 .38,.47 | .38,.47 ~1,.47 ~1,1 ~0,1 0,.8",
        "0,.16 ~0,0 ~.96,0 ~.96,.46 .5,.46 | .5,.46 ~1,.46 ~1,1 ~0,1 0,.84",
        "0,.2 ~0,0 ~1,0 ~1,.47 .38,.47 | .38,.47 ~1,.47 ~1,1 ~0,1 0,.8",
        "0,0 1,0 | 1,0 .45,.4 ~1,.4 ~1,1 ~0,1 0,.82",
    ),
    "4": (
        ".6,0 0,.75 | 0,.75 1,.75 | .72,.48 .72,1",
        ".48,0 0,.74 | 0,.74 1,.74 | .68,.5 .68,1",
        ".7,0 0,.78 | 0,.78 1,.78 | .74,.56 .74,1",
        ".74,1 .74,0 | .74,0 0,.74 | 0,.74 1,.74",
    ),
    "5": (
        "1,0 0,0 | 0,0 0,.43 ~1,.37 ~1,1 ~0,1 0,.8",
        ".95,0 .06,0 | .06,0 0,.46 ~.1,.38 ~1,.36 ~1,1 ~0,1 0,.82",
        "1,0 0,0 | 0,0 0,.4 | 0,.4 ~1,.4 ~1,1 ~0,1 0,.8",
    ),
    "6": _SIXES,
    "7": (
        "0,0 1,0 | 1,0 .3,1",
        "0,0 1,0 | 1,0 .4,1",
        "0,0 1,0 | 1,0 1,.12 ~.35,.55 .3,1",
        "0,.14 0,0 | 0,0 1,0 | 1,0 .3,1",
    ),
    "8": (
        "~.06,0 ~.94,0 ~.94,.46 ~.06,.46 z | ~0,.46 ~1,.46 ~1,1 ~0,1 z",
        "~0,0 ~1,0 ~1,.48 ~0,.48 z | ~0,.48 ~1,.48 ~1,1 ~0,1 z",
    ),
    "A": (
        "0,1 .46,-.04 | .54,-.04 1,1 | .14,.72 .86,.72",
        "0,1 .4,0 | .6,0 1,1 | .12,.7 .88,.7",
        "0,1 .5,0 1,1 | .2,.66 .8,.66",
    ),
    "B": (
        "0,0 0,1 | 0,0 ~.95,0 ~.95,.47 0,.47 | 0,.47 ~1,.47 ~1,1 0,1",
        "0,0 0,1 | 0,0 ~1,0 ~1,.49 0,.49 | 0,.49 ~1,.49 ~1,1 0,1",
    ),
    "C": ("1,.25 ~1,0 ~0,0 ~0,1 ~1,1 1,.75", "1,.18 ~1,0 ~0,0 ~0,1 ~1,1 1,.82"),
    "D": (_BOWL_D.format("0"),),
    "Đ": (_BOWL_D.format(".2") + " | 0,.5 .6,.5", _BOWL_D.format(".2") + " | 0,.47 .5,.47"),
    "E": ("1,0 0,0 | 0,0 0,1 | 0,1 1,1 | 0,.48 .88,.48", "1,0 0,0 | 0,0 0,1 | 0,1 1,1 | 0,.5 .75,.5"),
    "F": ("1,0 0,0 | 0,0 0,1 | 0,.49 .86,.49", "1,0 0,0 | 0,0 0,1 | 0,.53 .75,.53"),
    "G": (
        "1,.25 ~1,0 ~0,0 ~0,1 ~1,1 1,.54 | 1,.54 .5,.54",
        "1,.22 ~1,0 ~0,0 ~0,1 ~1,1 1,.57 | 1,1 1,.57 | 1,.57 .55,.57",
        "1,.25 ~1,0 ~0,0 ~0,1 ~1,1 1,.6 | 1,.6 .62,.6",
    ),
    "H": ("0,0 0,1 | 1,0 1,1 | 0,.49 1,.49",),
    "I": ("0,0 0,1",),
    "J": ("1,0 ~1,1 ~0,1 0,.74",),
    "K": (
        "0,0 0,1 | .96,-.04 0,.6 | .36,.36 1,1.04",
        "0,0 0,1 | 1,-.02 0,.52 | 0,.48 1,1.02",
        "0,0 0,1 | .92,0 .04,.66 | .38,.42 .96,1",
    ),
    "L": ("0,0 0,1 | 0,1 1,1",),
    "M": (
        "0,0 0,1 | 1,0 1,1 | 0,0 .5,.56 1,0",
        "0,0 0,1 | 1,0 1,1 | 0,-.03 .5,.68 1,-.03",
        "0,0 0,1 | 1,0 1,1 | 0,0 .5,.48 1,0",
        "0,0 0,1 | 1,0 1,1 | 0,-.04 .5,.97 1,-.04",
    ),
    "N": ("0,0 0,1 | 1,0 1,1 | 0,0 1,1",),
    "O": ("~0,0 ~1,0 ~1,1 ~0,1 z",),
    "P": ("0,0 0,1 | 0,0 ~1,0 ~1,.54 0,.54", "0,0 0,1 | 0,0 ~1,0 ~1,.48 0,.48"),
    "Q": ("~0,0 ~1,0 ~1,1 ~0,1 z | .55,.72 1,1.02",),
    "R": ("0,0 0,1 | 0,0 ~1,0 ~1,.52 0,.52 | .45,.52 1,1", "0,0 0,1 | 0,0 ~1,0 ~1,.5 0,.5 | .6,.5 1,.62 1,1"),
    "S": (
        "1,.22 ~1,0 ~0,0 ~0,.45 ~1,.53 ~1,1 ~0,1 0,.78",
        "1,.2 ~1,0 ~0,0 ~0,.4 ~1,.58 ~1,1 ~0,1 0,.8",
    ),
    "T": ("0,0 1,0 | .5,0 .5,1",),
    "U": ("0,0 ~0,1 ~1,1 1,0",),
    "V": ("0,-.03 .5,1.07 1,-.03", "0,0 .46,1.03 | .54,1.03 1,0"),
    "W": ("0,0 .24,1.04 .5,.3 .76,1.04 1,0",),
    "X": ("0,0 1,1 | 1,0 0,1", "0,-.04 1,1.04 | 1,-.04 0,1.04"),
    "Y": ("0,-.03 .5,.52 1,-.03 | .5,.52 .5,1", "0,-.03 .5,.44 1,-.03 | .5,.44 .5,1"),
    "Z": ("0,0 1,0 | 1,0 0,1 | 0,1 1,1",),
}  # fmt: skip
SKELETONS["9"] = tuple(
    " ".join(
        f"{'~' * point.startswith('~')}{1 - float(point.strip('~').split(',')[0]):g},{1 - float(point.split(',')[1]):g}"
        for point in six.split()
    )
    for six in _SIXES
)
"""A nine is a six upside down."""

WIDTHS = {"1": 0.68, "A": 1.06, "G": 1.05, "J": 0.85, "L": 0.94, "M": 1.1, "N": 1.03, "O": 1.18, "Q": 1.18, "T": 0.96,
          "V": 0.98, "W": 1.45, "Y": 0.96, "Đ": 1.16}  # fmt: skip
"""Width in widths of a 0, where it is not 1; an I is as wide as its stroke."""

_LOOPED = frozenset("04689ABDĐOPQR")

DRAWN_PX = 112
"""Height at which strokes are laid before they are shrunk; taller glyphs are drawn at their size."""


class Style(NamedTuple):
    """How a set of glyphs is cut; lengths in heights of a glyph."""

    weight: float = 0.145
    """Width of the stroke."""
    width: float = 0.5
    """Width of a 0."""
    radius: float = 0.5
    """Greatest radius of a rounded corner, in widths of the skeleton: 0.5 joins two corners to a half circle."""
    bulge: float = 0.55
    """How far a rounded corner reaches into the corner: 0.55 is an arc of a circle, more is squarer."""
    slant: float = 0.0
    """How far the top stands to the right of the foot."""
    softness: float = 0.02
    """Radius to which all corners of the ink are worn or pressed round."""
    square: bool = True
    """Strokes end square, not round."""
    waist: float = 0.0
    """How far what is in the middle of a glyph's height stands lower."""
    forms: int = 0
    """Chooses among the skeletons, for each glyph by itself."""
    stencil: bool = False
    """Loops are broken by the bridges of a stencil."""


def width(character: str, style: Style) -> float:
    """Width of the glyph in heights, without its slant."""
    return style.weight if character == "I" else style.width * WIDTHS.get(character, 1.0)


def draw(character: str, style: Style, height_px: int) -> Mask:
    """Draw a glyph: ink 0 to 1, `height_px` rows and as many columns as it is wide.

    Raises ValueError for a character that no plate carries.
    """
    if character not in SKELETONS:
        raise ValueError(f"no glyph for {character!r}: plates carry {''.join(sorted(SKELETONS))}")
    high = max(DRAWN_PX, height_px)
    wide = width(character, style) + abs(style.slant)
    ink = np.zeros((high, max(1, round(wide * high))), np.uint8)
    for stroke, closed in _strokes(character, style):
        _lay(ink, np.asarray(stroke) * high, closed, style.weight * high, style.square)
    if style.stencil and character in _LOOPED:
        across = ink.shape[1] // 2
        bridge = round(high * style.weight * 0.35)
        ink[:, max(0, across - bridge // 2) : across + bridge - bridge // 2] = 0
    reach = 2 * round(style.softness * high) + 1
    if reach > 1:
        for _ in range(2):
            ink = cv2.blur(ink, (reach, reach), borderType=cv2.BORDER_CONSTANT)
        ink = cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1]
    size = (max(1, round(wide * height_px)), height_px)
    return np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def _strokes(character: str, style: Style) -> list[tuple[list[Point], bool]]:
    """Give the glyph's strokes in heights, from the top left of its ink, and whether each is closed."""
    half = style.weight / 2
    across = max(0.0, width(character, style) - style.weight)
    forms = SKELETONS[character]
    strokes = []
    for points, rounded, closed in _parsed(forms[zlib.crc32(f"{character}{style.forms}".encode()) % len(forms)]):
        bent = [(x * across, y + style.waist * 4 * y * (1 - y) if 0 < y < 1 else y) for x, y in points]
        path = _round(bent, rounded, closed, style.radius * across, style.bulge)
        placed = [(half + x, half + y * (1 - style.weight)) for x, y in path]
        lean = max(0.0, -style.slant)
        strokes.append(([(x + lean + style.slant * (1 - y), y) for x, y in placed], closed))
    return strokes


@cache
def _parsed(skeleton: str) -> tuple[tuple[tuple[Point, ...], tuple[bool, ...], bool], ...]:
    strokes = []
    for stroke in skeleton.split("|"):
        written = stroke.split()
        closed = written[-1] == "z"
        marks = written[: len(written) - closed]
        points = [mark.lstrip("~").split(",") for mark in marks]
        strokes.append(
            (tuple((float(x), float(y)) for x, y in points), tuple(mark.startswith("~") for mark in marks), closed)
        )
    return tuple(strokes)


_STEPS = tuple(i / 6 for i in range(7))


def _round(points: list[Point], rounded: tuple[bool, ...], closed: bool, radius: float, bulge: float) -> list[Point]:
    """Give the path with its marked corners replaced by curves, each of at most half a side shared with another."""
    path: list[Point] = []
    count = len(points)
    for i, (corner, is_round) in enumerate(zip(points, rounded, strict=True)):
        if not is_round or (not closed and i in (0, count - 1)):
            path.append(corner)
            continue
        before, after = points[i - 1], points[(i + 1) % count]
        sides = []
        for other, shared in ((before, rounded[i - 1]), (after, rounded[(i + 1) % count])):
            length = math.dist(corner, other) or 1e-9
            reach = min(radius, length / 2 if shared else length) / length
            sides.append((corner[0] + (other[0] - corner[0]) * reach, corner[1] + (other[1] - corner[1]) * reach))
        start, end = sides
        pull_in = (start[0] + (corner[0] - start[0]) * bulge, start[1] + (corner[1] - start[1]) * bulge)
        pull_out = (end[0] + (corner[0] - end[0]) * bulge, end[1] + (corner[1] - end[1]) * bulge)
        for t in _STEPS:
            u = 1 - t
            a, b, c, d = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
            path.append(
                (
                    a * start[0] + b * pull_in[0] + c * pull_out[0] + d * end[0],
                    a * start[1] + b * pull_in[1] + c * pull_out[1] + d * end[1],
                )
            )
    return path


_SHIFT = 4
"""Bits of a pixel's fraction in OpenCV's drawing."""


def _lay(ink: NDArray[np.uint8], path: NDArray[np.float64], closed: bool, thick: float, square: bool) -> None:
    fixed = np.round((path - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(ink, [fixed], closed, 255, max(1, round(thick)), cv2.LINE_8, _SHIFT)
    if closed or not square:
        return
    for end, inner in ((path[0], path[1]), (path[-1], path[-2])):
        along = (end - inner) / (math.hypot(*(end - inner)) or 1) * (thick / 2)
        across = np.array([-along[1], along[0]])
        cap = np.array([end + across, end - across, end - across + along, end + across + along])
        cv2.fillConvexPoly(ink, np.round((cap - 0.5) * (1 << _SHIFT)).astype(np.int32), 255, cv2.LINE_8, _SHIFT)
