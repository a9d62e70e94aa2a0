"""What years, weather and light do to a plate: every function changes the picture or the ink it is given, in place.

Pictures are float32 HxWx3, blue green red, 0 to 255; `mm` is a millimetre in pixels.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Mask = NDArray[np.float32]
Paint = tuple[float, float, float]

DIRT = ((40, 60, 80), (60, 75, 90), (30, 35, 45), (70, 90, 120))
RUST = (25, 55, 110)


def clouds(shape: tuple[int, ...], rng: random.Random, cells: float) -> Mask:
    """Give smooth noise of mean 0, mostly within -1 to 1, with about `cells` bumps along the longer side."""
    high, wide = shape[:2]
    step = max(high, wide) / cells
    grid = np.random.default_rng(rng.getrandbits(32)).standard_normal(
        (max(2, round(high / step)), max(2, round(wide / step))), np.float32
    )
    return np.asarray(cv2.resize(grid * 0.6, (wide, high), interpolation=cv2.INTER_CUBIC), np.float32)


def blend(under: Paint, over: Paint, cover: Mask) -> Picture:
    """Give a picture of one paint where `cover` is 0, of the other where it is 1."""
    planes = [low + (high - low) * cover for low, high in zip(under, over, strict=True)]
    return np.asarray(cv2.merge(planes), np.float32)  # by planes: ten times as fast as colour by pixel


def lay(picture: Picture, paint: Paint, cover: Mask) -> None:
    """Lay paint over the picture, as thick as `cover` says, 0 to 1."""
    for channel, value in enumerate(paint):
        plane = picture[..., channel]
        plane += (value - plane) * cover


def rub(ink: Mask, rng: random.Random) -> None:
    """Wear the ink off in patches."""
    gone = np.clip(
        (clouds(ink.shape, rng, rng.choice((3, 8, 20, 40))) - rng.uniform(0.3, 1.1)) * rng.uniform(1, 6), 0, 1
    )
    ink *= 1 - gone * rng.uniform(0.3, 1.0)


def fade(ink: Mask, boxes: Sequence[tuple[float, float, float, float]], rng: random.Random) -> None:
    """Let some characters fade more than the others."""
    for x0, y0, x1, y1 in boxes:
        if rng.random() < 0.5:
            ink[int(y0) : int(y1), int(x0) : int(x1)] *= rng.uniform(0.35, 1.0)


def emboss(picture: Picture, ink: Mask, rng: random.Random) -> None:
    """Light one side of the pressed characters and shade the other."""
    angle = rng.uniform(0, 2 * math.pi)
    dx, dy = math.cos(angle), math.sin(angle)
    kernel = np.array([[-dx - dy, -dy, dx - dy], [-dx, 0, dx], [-dx + dy, dy, dx + dy]], np.float32)
    picture += (cv2.filter2D(ink, -1, kernel) * rng.uniform(4, 22))[..., None]


def stain(picture: Picture, rng: random.Random) -> None:
    """Lay dirt on it, often more of it at the foot."""
    lie = clouds(picture.shape, rng, rng.choice((3, 6, 12)))
    lie += np.linspace(-0.6, 0.6, picture.shape[0], dtype=np.float32)[:, None] * rng.uniform(-0.3, 1.2)
    cover = np.clip(lie * rng.uniform(0.2, 0.6) + rng.uniform(-0.1, 0.15), 0, rng.uniform(0.25, 0.75))
    lay(picture, rng.choice(DIRT), cover)


def spatter(picture: Picture, rng: random.Random, mm: float) -> None:
    """Drops of mud, or spots where the paint has come off."""
    high, wide = picture.shape[:2]
    colour = rng.choice((*DIRT, RUST, (200, 205, 205)))
    for _ in range(rng.randrange(3, 25)):
        at = rng.randrange(wide), rng.randrange(high)
        radius = max(1, round(rng.expovariate(1 / 2.0) * mm))
        cv2.ellipse(picture, at, (radius, max(1, radius * 2 // 3)), rng.uniform(0, 180), 0, 360, colour, -1)


def scratch(picture: Picture, rng: random.Random, mm: float) -> None:
    """A few thin lines, bare metal or dark."""
    high, wide = picture.shape[:2]
    for _ in range(rng.randrange(1, 6)):
        x, y = rng.randrange(wide), rng.randrange(high)
        angle, length = rng.gauss(0, 0.7), rng.uniform(10, 120) * mm
        end = round(x + math.cos(angle) * length), round(y + math.sin(angle) * length)
        grey = rng.choice((60, 120, 190, 215))
        cv2.line(picture, (x, y), end, (grey, grey, grey), max(1, round(rng.uniform(0.3, 1.6) * mm)), cv2.LINE_8)


def bend(picture: Picture, rng: random.Random) -> None:
    """Shade a dented sheet: soft folds that catch the light."""
    angle, waves = rng.uniform(0, math.pi), rng.uniform(0.5, 3)
    high, wide = picture.shape[:2]
    x = np.linspace(0, 1, wide, dtype=np.float32) * (math.cos(angle) * waves * 6.3)
    y = np.linspace(0, 1, high, dtype=np.float32) * (math.sin(angle) * waves * 6.3 * high / wide)
    fold = np.sin(x[None, :] + y[:, None] + rng.uniform(0, 6.3))
    picture *= (1 + fold * rng.uniform(0.02, 0.15))[..., None]


def light(picture: Picture, rng: random.Random) -> None:
    """Let the light fall off from one side to the other, and mottle the sheet."""
    high, wide = picture.shape[:2]
    across = np.linspace(-1, 1, wide, dtype=np.float32) * rng.gauss(0, 0.08)
    down = np.linspace(-1, 1, high, dtype=np.float32) * rng.gauss(0, 0.08)
    tone = 1 + across[None, :] + down[:, None]
    if rng.random() < 0.6:
        tone += clouds(picture.shape, rng, rng.choice((5, 15, 60))) * rng.uniform(0, 0.06)
    picture *= tone[..., None]


def shadow(picture: Picture, rng: random.Random) -> None:
    """Put a part of it into the shade, behind a straight edge, soft or hard."""
    high, wide = picture.shape[:2]
    angle = rng.uniform(0, 2 * math.pi)
    x = np.linspace(-1, 1, wide, dtype=np.float32) * math.cos(angle)
    y = np.linspace(-1, 1, high, dtype=np.float32) * math.sin(angle)
    edge = np.clip((x[None, :] + y[:, None] + rng.uniform(-0.8, 0.8)) * rng.choice((1.5, 4, 20)), 0, 1)
    picture *= (1 - edge * rng.uniform(0.2, 0.65))[..., None]


def glare(picture: Picture, rng: random.Random) -> None:
    """A bright spot: the sun or a lamp thrown back by the sheet."""
    high, wide = picture.shape[:2]
    spread = rng.uniform(0.1, 0.5) * high
    x = (np.arange(wide, dtype=np.float32) - rng.uniform(0, wide)) / (spread * rng.uniform(1, 3))
    y = (np.arange(high, dtype=np.float32) - rng.uniform(0, high)) / spread
    lay(picture, (255, 255, 255), np.outer(np.exp(-y * y), np.exp(-x * x)) * np.float32(rng.uniform(0.3, 0.9)))


def film(picture: Picture, rng: random.Random) -> None:
    """Wrinkles of the clear film that some owners leave or put over the plate: bright thin streaks."""
    ridges = 1 - np.abs(clouds(picture.shape, rng, rng.choice((5, 9)))) * rng.uniform(8, 16)
    picture += (np.clip(ridges, 0, 1) * rng.uniform(20, 90))[..., None]
