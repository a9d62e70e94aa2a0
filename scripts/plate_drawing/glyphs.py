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
        ".6,0 0,.75 | 0,.75 1,.75 | .75,.56 .75,1",
        ".5,0 0,.73 | 0,.73 1,.73 | .73,.54 .73,1",
        ".7,0 0,.78 | 0,.78 1,.78 | .77,.6 .77,1",
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
        "1,.22 ~1,0 ~0,0 ~0,1 ~1,1 1,.56 | 1,.56 .68,.56",
        "1,.2 ~1,0 ~0,0 ~0,1 ~1,1 1,.56 | 1,1 1,.56 | 1,.56 .66,.56",
        "1,.22 ~1,0 ~0,0 ~0,1 ~1,1 1,.61 | 1,.61 .74,.61",
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

WIDTHS = {"1": 0.68, "A": 1.06, "G": 1.12, "J": 0.85, "L": 0.94, "M": 1.1, "N": 1.03, "O": 1.18, "Q": 1.18, "T": 0.96,
          "V": 0.98, "W": 1.45, "Y": 0.96, "Đ": 1.16}  # fmt: skip
"""Width in widths of a 0, where it is not 1; an I is as wide as its stroke."""

_LOOPED = frozenset("04689ABDĐOPQR")

DRAWN_PX = 90
"""Least height at which strokes are laid before they are shrunk."""


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
    """Strokes end square, not round; where two meet they are square always, or a D would become a 0."""
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
    finer = math.ceil(DRAWN_PX / height_px)
    wide_px = max(1, round((width(character, style) + abs(style.slant)) * height_px))
    high, wide = height_px * finer, wide_px * finer
    ink = np.zeros((high, wide), np.uint8)
    for stroke in _strokes(character, style):
        _lay(ink, stroke, high, style)
    if style.stencil and character in _LOOPED:
        bridge = round(high * style.weight * 0.35)
        ink[:, (wide - bridge) // 2 : (wide + bridge) // 2] = 0
    reach = 2 * round(style.softness * high) + 1
    if reach > 1:
        for _ in range(2):
            ink = cv2.blur(ink, (reach, reach), borderType=cv2.BORDER_CONSTANT)
        ink = cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1]
    shrunk = cv2.resize(ink, (wide_px, height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32) / np.float32(255)


class _Stroke(NamedTuple):
    path: NDArray[np.float64]
    """Nx2, in heights from the top left of the glyph's ink."""
    closed: bool
    meets: tuple[bool, bool]
    """Whether another stroke goes through the first point, through the last."""


def _strokes(character: str, style: Style) -> list[_Stroke]:
    half = style.weight / 2
    across = max(0.0, width(character, style) - style.weight)
    lean = max(0.0, -style.slant)
    forms = SKELETONS[character]
    parsed = _parsed(forms[zlib.crc32(f"{character}{style.forms}".encode()) % len(forms)])
    all_points = [point for points, _, _ in parsed for point in points]
    strokes = []
    for points, rounded, closed in parsed:
        bent = [(x * across, y + style.waist * 4 * y * (1 - y) if 0 < y < 1 else y) for x, y in points]
        path = np.array(_round(bent, rounded, closed, style.radius * across, style.bulge))
        path = half + path * (1, 1 - style.weight)
        path[:, 0] += lean + style.slant * (1 - path[:, 1])
        strokes.append(_Stroke(path, closed, (all_points.count(points[0]) > 1, all_points.count(points[-1]) > 1)))
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


_T = np.arange(7)[:, None] / 6
_BEZIER = np.hstack([(1 - _T) ** 3, 3 * (1 - _T) ** 2 * _T, 3 * (1 - _T) * _T**2, _T**3])
"""Weights of a curve's start, its two handles and its end at seven points along it."""


def _round(points: list[Point], rounded: tuple[bool, ...], closed: bool, radius: float, bulge: float) -> list[Point]:
    """Give the path with its marked corners replaced by curves, each of at most half a side shared with another."""
    path: list[Point] = []
    count = len(points)
    for i, (corner, is_round) in enumerate(zip(points, rounded, strict=True)):
        if not is_round or (not closed and i in (0, count - 1)):
            path.append(corner)
            continue
        after = (i + 1) % count
        start = _towards(corner, points[i - 1], radius, rounded[i - 1])
        end = _towards(corner, points[after], radius, rounded[after])
        handles = [(x + (corner[0] - x) * bulge, y + (corner[1] - y) * bulge) for x, y in (start, end)]
        path.extend(map(tuple, (_BEZIER @ np.array([start, *handles, end])).tolist()))
    return path


def _towards(corner: Point, other: Point, reach: float, shared: bool) -> Point:
    """Give the point at `reach` from the corner, at most at the other end, or half way where that is rounded too."""
    length = math.dist(corner, other) or 1e-9
    part = min(reach, length / 2 if shared else length) / length
    return corner[0] + (other[0] - corner[0]) * part, corner[1] + (other[1] - corner[1]) * part


_SHIFT = 4
"""Bits of a pixel's fraction in OpenCV's drawing."""


def _lay(ink: NDArray[np.uint8], stroke: _Stroke, high: int, style: Style) -> None:
    path, thick = stroke.path * high, style.weight * high
    cv2.polylines(ink, [_fixed(path)], stroke.closed, 255, max(1, round(thick)), cv2.LINE_8, _SHIFT)
    if stroke.closed:
        return
    for end, inner, meets in ((path[0], path[1], stroke.meets[0]), (path[-1], path[-2], stroke.meets[1])):
        if style.square or meets:
            along = (end - inner) / (math.hypot(*(end - inner)) or 1) * (thick / 2)
            side = np.array([-along[1], along[0]])
            cap = np.array([end + side, end - side, end - side + along, end + side + along])
            cv2.fillConvexPoly(ink, _fixed(cap), 255, cv2.LINE_8, _SHIFT)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Give the points as OpenCV draws them, in fractions of a pixel counted from the middle of the first."""
    return np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)
