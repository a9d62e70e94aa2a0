"""What is put on a plate and around it: bolts, stickers, the stamp of the police, the holder with the dealer's name.

Pictures are float32 HxWx3, blue green red, 0 to 255; `mm` is a millimetre in pixels.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import cv2
import numpy as np

from scripts.plate_drawing.spec import PlateSpec
from scripts.plate_drawing.wear import RUST, Paint, Picture, clouds

BOLTS: tuple[Paint, ...] = ((60, 60, 60), (25, 25, 25), (150, 150, 150), (190, 195, 195), (45, 70, 110), (90, 90, 95),
                            (40, 35, 170))  # fmt: skip
HOLDERS: tuple[Paint, ...] = ((25, 25, 25), (45, 42, 40), (20, 20, 20), (185, 185, 185), (150, 152, 155),
                               (215, 215, 215), (40, 40, 150))  # fmt: skip


def bolt(picture: Picture, rng: random.Random, spec: PlateSpec, mm: float) -> None:
    """Screw it on: two bolts of a kind, sometimes close to the characters or on them."""
    wide, high = spec.size_mm
    if spec.layout == "one":
        inset, down = rng.choice(((0.03, 0.5), (0.06, 0.5), (0.2, 0.1), (0.25, 0.9))), 0.0
    else:
        inset, down = rng.choice(((0.12, 0.25), (0.07, 0.5), (0.2, 0.12), (0.25, 0.08), (0.1, 0.3))), 0.01
    radius, colour = rng.uniform(2.0, 5.5), rng.choice(BOLTS)
    for side in (inset[0], 1 - inset[0]):
        x = (side + rng.gauss(0, 0.01)) * wide
        y = (inset[1] + rng.gauss(0, 0.02) + down) * high
        _disc(picture, mm, (x, y), radius * rng.uniform(1.2, 1.6), _shaded(colour, 0.5))
        _disc(picture, mm, (x, y), radius, colour)
        if rng.random() < 0.5:
            _disc(picture, mm, (x - radius / 3, y - radius / 3), radius / 3, _shaded(colour, 1.8))
        if rng.random() < 0.15:
            foot = min(picture.shape[0] - 1, round((y + rng.uniform(5, 30)) * mm))
            cv2.line(picture, (round(x * mm), round(y * mm)), (round(x * mm), foot), RUST, max(1, round(2 * mm)))


def stamp(picture: Picture, rng: random.Random, spec: PlateSpec, mm: float) -> None:
    """Press the small round mark of the police into it: in the upper line's gap, or at the left."""
    wide, high = spec.size_mm
    if spec.layout == "one":
        x, y = (rng.choice((0.05, 0.42)), rng.uniform(0.2, 0.4))
    else:
        x, y = (rng.choice((0.45, 0.5, 0.12)), rng.uniform(0.06, 0.25))
    radius = rng.uniform(5, 10)
    tone = rng.choice((0.93, 0.93, 1.07, 0.85, 0.7))
    at = round(x * wide * mm), round(y * high * mm)
    around = picture[min(picture.shape[0] - 1, at[1]), min(picture.shape[1] - 1, at[0])]
    colour = _shaded((float(around[0]), float(around[1]), float(around[2])), tone)
    cv2.circle(picture, at, max(1, round(radius * mm)), colour, max(1, round(1.0 * mm)), cv2.LINE_8)
    _disc(picture, mm, (x * wide, y * high), radius / 2, colour)


def sticker(picture: Picture, rng: random.Random, spec: PlateSpec, mm: float) -> None:
    """Stick a small flag, emblem or inspection mark beside the number."""
    wide, high = spec.size_mm
    colour = rng.choice(((40, 40, 200), (160, 60, 20), (60, 150, 40), (60, 200, 230), (230, 230, 230)))
    if spec.layout == "one":  # a strip at the left edge
        tall, across = rng.uniform(0.4, 0.85) * high, rng.uniform(0.02, 0.045) * wide
        x, y = rng.uniform(0.005, 0.02) * wide, (high - tall) * rng.random()
    else:
        across = rng.uniform(0.06, 0.12) * wide
        tall = across * rng.uniform(0.7, 1.5)
        x, y = rng.choice((0.01, 0.98 - across / wide)) * wide, rng.uniform(0.02, 0.3) * high
    corners = (round(x * mm), round(y * mm)), (round((x + across) * mm), round((y + tall) * mm))
    cv2.rectangle(picture, *corners, colour, -1)
    device = rng.choice(((50, 210, 240), (240, 240, 240), _shaded(colour, 0.6)))
    _disc(picture, mm, (x + across / 2, y + tall / 2), across * rng.uniform(0.2, 0.4), device)


class Holder(NamedTuple):
    """A plate's surroundings: pixels added at each side, and the picture of them."""

    picture: Picture
    left: int
    top: int


def holder(shape: tuple[int, int], rng: random.Random, mm: float) -> Holder:
    """Draw a holder that leaves room for a plate of `shape` px, high and wide."""
    high, wide = shape
    rim = rng.uniform(1.5, 12) * mm
    foot = rng.uniform(10, 24) * mm if rng.random() < 0.3 else rim
    left, top, below = (max(1, round(side)) for side in (rim * rng.uniform(0.7, 1.3), rim, foot))
    colour = rng.choice(HOLDERS)
    picture = np.full((high + top + below, wide + 2 * left, 3), colour, np.float32)
    if rng.random() < 0.6:
        shine = clouds(picture.shape, rng, rng.choice((4, 12, 60))) * rng.uniform(5, 60)
        picture += shine[..., None]
    if foot > 10 * mm and rng.random() < 0.8:
        name = "".join(rng.choices("ABCDEGHIKLMNOPRSTUVXY .", k=rng.randrange(6, 22)))
        scale = below * 0.55 / 22
        (long, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        strip = picture[picture.shape[0] - below :]
        written = np.zeros(strip.shape[:2], np.uint8)
        at = max(0, (picture.shape[1] - long) // 2), round(below * 0.75)
        cv2.putText(written, name, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1, cv2.LINE_AA)
        strip += ((235 if sum(colour) < 330 else 30) - strip) * (written[..., None] / np.float32(255))
    return Holder(picture, left, top)


def _disc(picture: Picture, mm: float, at: tuple[float, float], radius: float, colour: Paint) -> None:
    fixed = round(at[0] * mm * 16), round(at[1] * mm * 16)
    cv2.circle(picture, fixed, max(8, round(radius * mm * 16)), colour, -1, cv2.LINE_8, 4)


def _shaded(colour: Paint, tone: float) -> Paint:
    return colour[0] * tone, colour[1] * tone, colour[2] * tone
