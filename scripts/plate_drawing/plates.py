"""Draws a plate that carries what its spec says, as old, dirty and lit as chance has it."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.contract.events import Colour, Layout
from scripts.plate_drawing import fittings, wear
from scripts.plate_drawing.lettering import Box, random_style, set_lines
from scripts.plate_drawing.spec import Ink, PlateSpec
from scripts.plate_drawing.wear import Paint

GROUNDS: dict[Colour, tuple[Paint, ...]] = {
    "white": ((232, 232, 230), (238, 240, 240), (214, 220, 222), (190, 205, 210), (225, 220, 212), (200, 214, 222)),
    "yellow": ((20, 185, 245), (40, 200, 250), (30, 150, 220), (80, 190, 235), (10, 170, 225), (60, 160, 205)),
    "blue": ((190, 70, 15), (220, 90, 20), (160, 50, 20), (210, 120, 50), (130, 55, 30), (200, 60, 40)),
    "red": ((45, 35, 200), (40, 30, 175), (70, 60, 215), (50, 40, 150), (85, 80, 200), (30, 25, 220)),
    "unknown": ((235, 235, 235), (150, 60, 20), (40, 110, 40), (40, 40, 170), (60, 190, 235), (170, 175, 178),
                (70, 75, 70), (90, 110, 40), (120, 190, 150)),
}  # fmt: skip
"""Paints of each ground, blue green red, new and faded; for what is painted on vehicles their own paints."""
INKS: dict[Ink, tuple[Paint, ...]] = {
    "black": ((22, 22, 22), (35, 33, 30), (55, 50, 46), (30, 30, 45), (75, 72, 68)),
    "white": ((240, 240, 240), (225, 228, 228), (215, 205, 190), (245, 238, 225)),
    "red": ((40, 30, 190), (60, 50, 170), (30, 25, 150), (80, 80, 190)),
    "blue": ((150, 40, 20), (120, 30, 30), (170, 80, 30)),
}
LEAST_CONTRAST = 130
"""Least distance of ground and ink in blue, green and red."""
BORDERED = {"white": 0.85, "yellow": 0.85, "blue": 0.85, "red": 0.08, "unknown": 0.05}
"""How often a plate of each ground has a line along its edge."""


class DrawnPlate(NamedTuple):
    """A drawn plate with all that is true of it."""

    image: NDArray[np.uint8]
    """HxWx3, blue green red, with the holder where there is one."""
    mask: NDArray[np.uint8]
    """HxW, 255 where plate or holder is, 0 outside their round corners."""
    text: str
    lines: tuple[str, ...]
    """The text by lines, without separators as the text."""
    layout: Layout
    colour: Colour
    ink: Ink
    char_boxes: tuple[Box, ...]
    """x0, y0, x1, y1 in px of the image, for each character of the text."""
    plate_box: Box
    """The plate itself, without the holder."""


def draw_plate(spec: PlateSpec, rng: random.Random, px_per_mm: float, *, worn: bool = True) -> DrawnPlate:
    """Draw the plate; the same spec, state of `rng` and scale give the same picture.

    `worn` False: new and evenly lit, without bolts, stickers and holder. Raises ValueError for a scale that leaves
    characters no pixels (below 0.1) or a character that no plate carries.
    """
    if not px_per_mm >= 0.1:
        raise ValueError(f"{px_per_mm} px per mm: nothing can be read below 0.1")
    lettering = set_lines(spec, random_style(spec, rng), rng, px_per_mm)
    ink, inside = lettering.ink, _inside(lettering.ink.shape, rng.uniform(4, 12) * px_per_mm)
    ground = _paint(rng.choice(GROUNDS[spec.colour][: None if worn else 2]), rng)
    black = _paint(rng.choice(INKS[spec.ink][: None if worn else 1]), rng)
    while math.dist(ground, black) < LEAST_CONTRAST:  # a vehicle's paint may be the ink's
        ground = _paint(rng.choice(GROUNDS[spec.colour]), rng)
    if rng.random() < BORDERED[spec.colour]:
        from_edge, thick = rng.uniform(1.5, 6) * px_per_mm, rng.uniform(1.5, 4) * px_per_mm
        ink = np.maximum(ink, np.clip((thick + 1) / 2 - np.abs(inside - from_edge), 0, 1))
    if worn and rng.random() < 0.12:
        wear.rub(ink, rng)
    if worn and rng.random() < 0.1:
        wear.fade(ink, lettering.boxes, rng)
    fade = rng.choice((1.0, 1.0, rng.uniform(0.6, 1.0))) if worn else 1.0
    picture = wear.blend(ground, black, ink * np.float32(fade))
    if spec.red_letters:
        wear.lay(picture, _paint(rng.choice(INKS["red"]), rng), lettering.red * np.float32(fade))
    if worn:
        _age(picture, ink, spec, rng, px_per_mm)
    mask = np.clip(inside + 0.5, 0, 1) if spec.kind != "painted" else np.ones_like(inside)
    left = top = 0
    if worn and spec.kind != "painted" and rng.random() < 0.4:
        around = fittings.holder(ink.shape, rng, px_per_mm)
        left, top = around.left, around.top
        high, wide = ink.shape
        part = around.picture[top : top + high, left : left + wide]
        part += (picture - part) * mask[..., None]
        picture, mask = around.picture, np.ones(around.picture.shape[:2], np.float32)
    if worn:
        _light(picture, rng)
    high, wide = ink.shape
    return DrawnPlate(
        image=np.clip(picture, 0, 255).astype(np.uint8),
        mask=(mask * 255).astype(np.uint8),
        text=spec.text,
        lines=spec.text_lines,
        layout=spec.layout,
        colour=spec.colour,
        ink=spec.ink,
        char_boxes=tuple((x0 + left, y0 + top, x1 + left, y1 + top) for x0, y0, x1, y1 in lettering.boxes),
        plate_box=(left, top, left + wide, top + high),
    )


def _age(picture: wear.Picture, ink: wear.Mask, spec: PlateSpec, rng: random.Random, mm: float) -> None:
    """Wear the plate and put on it what is put on plates, each by its chance."""
    chance = rng.random
    if chance() < 0.6:
        wear.emboss(picture, ink, rng)
    if chance() < 0.3:
        fittings.stamp(picture, rng, spec, mm)
    if chance() < 0.12:
        fittings.sticker(picture, rng, spec, mm)
    if chance() < 0.15:
        wear.scratch(picture, rng, mm)
    if chance() < 0.25:
        wear.stain(picture, rng)
    if chance() < 0.08:
        wear.spatter(picture, rng, mm)
    if chance() < 0.5 and spec.kind != "painted":
        fittings.bolt(picture, rng, spec, mm)


def _light(picture: wear.Picture, rng: random.Random) -> None:
    chance = rng.random
    wear.light(picture, rng)
    if chance() < 0.15:
        wear.bend(picture, rng)
    if chance() < 0.06:
        wear.film(picture, rng)
    if chance() < 0.12:
        wear.shadow(picture, rng)
    if chance() < 0.08:
        wear.glare(picture, rng)


def _paint(paint: Paint, rng: random.Random) -> Paint:
    """Give the paint a little brighter or darker, and of a slightly other hue."""
    tone = rng.gauss(1, 0.06)
    blue, green, red = (value * tone + rng.gauss(0, 6) for value in paint)
    return blue, green, red


def _inside(shape: tuple[int, ...], radius: float) -> wear.Mask:
    """Give how far each pixel's middle lies inside a plate with round corners, px; negative outside."""
    high, wide = shape
    radius = min(radius, high / 2, wide / 2)
    x, y = (np.abs(np.arange(side, dtype=np.float32) + 0.5 - side / 2) - (side / 2 - radius) for side in (wide, high))
    inside = radius - np.maximum(x[None, :], y[:, None])
    rows, columns = np.flatnonzero(y > 0), np.flatnonzero(x > 0)
    inside[np.ix_(rows, columns)] = radius - np.hypot(x[columns][None, :], y[rows][:, None])
    return np.asarray(inside, np.float32)
