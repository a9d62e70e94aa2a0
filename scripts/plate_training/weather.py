"""What light, lenses, distance and compression do to a picture of a plate; random, from a given generator."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Random = np.random.Generator

GROUNDS = ((225, 225, 225), (40, 180, 235), (150, 70, 20), (40, 40, 185))
"""Blue green red: white, yellow, blue, red."""


def repainted(image: Image, random: Random) -> Image:
    """Give a dark-on-light plate another ground and ink: black on white or yellow, white on blue or red."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    low, high = np.percentile(grey, (4, 90))
    share = np.clip((grey - low) / max(8.0, high - low), 0, 1.15)[..., None]
    which = int(random.integers(len(GROUNDS)))
    ground = np.array(GROUNDS[which], np.float32) * random.uniform(0.75, 1.1) + random.normal(0, 12, 3)
    dark = random.uniform(15, 90) + random.normal(0, 6, 3)
    light = random.uniform(170, 250) + random.normal(0, 6, 3)
    ink = (dark if which < 2 else light).astype(np.float32)
    return _bytes(ink + share * (ground - ink))


def lit(image: Image, random: Random) -> Image:
    """Change light and colour: gamma, contrast, cast, shadow, glare, night."""
    table = np.linspace(0, 1, 256, dtype=np.float32) ** float(np.exp(random.normal(0, 0.3)))
    table = 255 * (table * random.uniform(0.55, 1.1) + random.uniform(-0.08, 0.15))
    casts = np.exp(random.normal(0, 0.06, 3)).astype(np.float32)
    lut = np.clip(table[:, None] * casts, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    image = cast(Image, cv2.LUT(image, lut))
    if random.random() < 0.25:  # a shadow's edge, or glare
        height, width = image.shape[:2]
        angle, shift = random.uniform(0, 2 * np.pi), random.normal(0, 0.25)
        y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
        side = np.clip((x * np.cos(angle) + y * np.sin(angle) - shift) / random.uniform(0.02, 0.5) + 0.5, 0, 1)
        strength = random.uniform(-0.6, 0.7)
        image = _bytes(image * (1 + min(strength, 0) * side[..., None]) + max(strength, 0) * 160 * side[..., None])
    if random.random() < 0.08:
        image = cast(Image, cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR))
    return image


def seen(image: Image, random: Random, strength: float = 1.0) -> Image:
    """Blur, sharpen, add noise, compress: at the size at which the camera saw it. `strength` 0 to 1."""
    chance = random.random(5)
    if chance[0] < 0.5 * strength:
        image = cast(Image, cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 0.4 + 0.9 * strength)))
    elif chance[0] > 0.85:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
        image = _bytes(image + random.uniform(0.3, 1.5) * (image - soft))
    if chance[1] < 0.15 * strength:
        image = _moved(image, random)
    if chance[2] < 0.5:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(random.integers(2**31)))
        cv2.randn(noise, 0, float(random.uniform(1, 10)))
        image = cast(Image, cv2.add(image, noise, dtype=cv2.CV_8U))
    if chance[3] < 0.6 * strength:
        quality = int(random.integers(25, 95))
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cast(Image, cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return image


def _moved(image: Image, random: Random) -> Image:
    """Blur along a line of 2 to 5 pixels."""
    size, angle = int(random.choice((3, 5))), random.uniform(0, np.pi)
    kernel = np.zeros((size, size), np.float32)
    middle, reach = size // 2, size / 2 - 0.5
    end = (round(middle + reach * np.cos(angle)), round(middle + reach * np.sin(angle)))
    cv2.line(kernel, (2 * middle - end[0], 2 * middle - end[1]), end, 1.0)
    return cast(Image, cv2.filter2D(image, -1, kernel / kernel.sum()))


def _bytes(image: npt.NDArray[np.floating]) -> Image:
    return np.clip(image, 0, 255).astype(np.uint8)
