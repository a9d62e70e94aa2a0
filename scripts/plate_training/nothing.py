"""What is no plate, for both networks: pieces of photos, and signs with words, prices and telephone numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from edge_agent.camera.plates.rectify import Image
from scripts.plate_training.examples import Example, Quad, upright
from scripts.plate_training.scenes import Scene, near
from scripts.plate_training.weather import Random

WORDS = (
    "CA PHE", "NHA NGHI", "KARAOKE", "BANH MI", "HOTLINE", "TAXI", "SALE", "PHO", "KHACH SAN", "SUA XE", "RUA XE",
    "HONDA", "TOYOTA", "YAMAHA", "CAM DO XE", "STOP", "CSGT", "HYUNDAI", "NUOC MAM", "HAI SAN", "EXIT", "OPEN", "BUS",
    "TRUONG HOC", "CONG AN", "THUE XE", "GIAM GIA", "VIETNAM", "Since", "Tel", "Zalo", "www", "Duong", "Quan", "So nha",
)  # fmt: skip
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX,
         cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)  # fmt: skip
TRIES = 8
"""Places in a photo that are tried."""
FLAT = 12.0
"""Standard deviation of grey below which a place shows nothing at all."""


class Nothing:
    """Makes examples whose text is empty."""

    def __init__(self, known: Sequence[Scene]) -> None:
        """`known`: photos whose plates' places are all known or marked unsure."""
        self._photos = [scene for scene in known if "near" not in scene.name]

    def __call__(self, random: Random) -> Example:
        """Give a place where a careless finder could see a plate."""
        if random.random() < 0.55:
            for _ in range(TRIES):
                place = self._place(self._photos[int(random.integers(len(self._photos)))], random)
                if place is not None:
                    return place
        return sign(random)

    @staticmethod
    def _place(scene: Scene, random: Random) -> Example | None:
        height, width = scene.image.shape[:2]
        across = math.exp(random.uniform(math.log(22), math.log(130)))
        down = across / math.exp(random.uniform(math.log(1.1), math.log(5.5)))
        if across > 0.7 * width or down > 0.7 * height:
            return None
        x, y = random.uniform(0, width - across), random.uniform(0, height - down)
        quad = upright(x, y, x + across, y + down)
        if any(near(quad, other) for other in (*(plate.quad for plate in scene.plates), *scene.unsure)):
            return None
        inside = scene.image[int(y) : int(y + down) + 1, int(x) : int(x + across) + 1]
        if cv2.cvtColor(inside, cv2.COLOR_BGR2GRAY).std() < FLAT:
            return None
        room = round(0.35 * across)
        left, top = max(0, int(x) - room), max(0, int(y) - room)
        image = scene.image[top : int(y + down) + room, left : int(x + across) + room]
        return Example("nothing", image, quad - np.array([left, top], np.float32), ("",), "")


def sign(random: Random) -> Example:
    """Draw a sign: one or two lines of words and figures that are no plate's."""
    texts = [_said(random) for _ in range(int(random.integers(1, 3)))]
    font, thick = FONTS[int(random.integers(len(FONTS)))], int(random.integers(1, 5))
    sizes = [cv2.getTextSize(text, font, 1.2, thick)[0] for text in texts]
    line, margin = max(size[1] for size in sizes) + 14, int(random.integers(10, 30))
    width, height = max(size[0] for size in sizes) + 2 * margin, line * len(texts) + 2 * margin
    ground = np.empty((height, width, 3), np.uint8)
    ground[:] = random.integers(0, 256, 3)
    ink = tuple(int(c) for c in random.integers(0, 256, 3))
    for i, (text, size) in enumerate(zip(texts, sizes, strict=True)):
        left = (width - size[0]) // 2
        cv2.putText(ground, text, (left, margin + line * (i + 1) - 8), font, 1.2, ink, thick, cv2.LINE_AA)
    quad: Quad = upright(margin, margin, width - margin, height - margin)
    return Example("nothing", cast(Image, ground), quad, ("",), "")


def _said(random: Random) -> str:
    kind = random.random()
    figures = "".join(str(int(digit)) for digit in random.integers(0, 10, int(random.integers(2, 12))))
    word = WORDS[int(random.integers(len(WORDS)))]
    if kind < 0.4:
        return word
    if kind < 0.6:
        return figures
    if kind < 0.8:
        return f"{word} {figures[:4]}"
    return f"{figures[:3]}.{figures[3:6]}d" if kind < 0.9 else f"{figures[:4]} {figures[4:7]} {figures[7:]}"
