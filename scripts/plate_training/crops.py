"""Examples -> crops as the reader gets them: cut with an error, at another size, under another weather."""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np

from edge_agent.camera.plates.rectify import Corners, Image, crop
from scripts.plate_training.examples import Example
from scripts.plate_training.weather import Random, lit, repainted, seen

SMALLEST, LARGEST = 22.0, 130.0
"""Width of a plate's text in pixels, as a camera sees it."""


def view(example: Example, random: Random) -> Image:
    """Give a crop of a plate, each time another."""
    image, quad = example.image, example.quad
    width = float(np.linalg.norm(quad[1] - quad[0]))
    street = example.name.startswith("street")
    if street:  # small, blurred and compressed as they are
        goal = width * (1.0 if random.random() < 0.6 else random.uniform(0.6, 1.0))
    else:
        goal = min(width, math.exp(random.uniform(math.log(SMALLEST), math.log(LARGEST))))
    narrow = random.uniform(0.5, 1.0) if random.random() < (0.15 if street else 0.3) else 1.0  # seen from the side
    if narrow * goal < 0.95 * width:
        scale = goal / width
        size = (max(8, round(image.shape[1] * scale * narrow)), max(8, round(image.shape[0] * scale)))
        quad = quad * np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
        image = cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    if example.colour == "white" and random.random() < (0.1 if street else 0.4):
        image = repainted(image, random)
    image = lit(image, random)
    image = seen(image, random, 0.45 if street else 1.0)
    result = crop(image, jittered(quad, random), len(example.lines) == 2)
    return _hidden(result, random) if random.random() < 0.07 else result


def jittered(quad: Corners, random: Random) -> Corners:
    """Move a quad as a finder errs."""
    centre = quad.mean(0)
    right, down = (quad[1] - quad[0] + quad[2] - quad[3]) / 2, (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    across, deep = float(np.linalg.norm(right)), float(np.linalg.norm(down))
    angle = random.normal(0, 0.05 if random.random() < 0.8 else 0.16)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    moved = (quad - centre) @ turn * np.exp(random.normal(0, (0.06, 0.08)))
    moved += centre + random.normal(0, (0.025 * across, 0.04 * deep))
    return (moved + random.normal(0, 1, (4, 2)) * (0.015 * across, 0.025 * deep)).astype(np.float32)


def _hidden(image: Image, random: Random) -> Image:
    """Cover a small piece: a bolt, a leaf, dirt."""
    x, y = int(random.integers(image.shape[1])), int(random.integers(image.shape[0]))
    size = (int(random.integers(2, 8)), int(random.integers(2, 8)))
    colour = tuple(int(c) for c in random.integers(0, 255, 3))
    cv2.ellipse(image, (x, y), size, float(random.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image
