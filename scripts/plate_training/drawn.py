"""Drawn plates as examples: the classes, colours and letters that the photos lack."""

from __future__ import annotations

import random as plain_random
from typing import cast

import cv2
import numpy as np

from edge_agent.camera.plates.rectify import Image
from scripts.plate_drawing.plates import draw_plate
from scripts.plate_drawing.spec import PlateSpec, random_spec
from scripts.plate_training.examples import Example, upright
from scripts.plate_training.weather import Random

WIDTHS = (110.0, 230.0)
"""Of a drawn plate in pixels; a camera sees it smaller."""
ROOM = 0.12
"""Of the width: how much is shown around it."""


DIGITS, LETTERS = "0123456789", "ABCDEFGHKLMNPRSTUVXYZ"
DOUBLED, TRIES = 0.3, 60
"""How often a plate of one line begins with a digit twice: CTC must leave a step between the two, and provinces with
one digit twice are too rare for the network to learn it; specs drawn for such a one."""


STRANGE = 0.15
"""How often what stands there is no plate's text: the network is to say what it sees, not what would be usual."""


def _strange(line: str, rng: plain_random.Random) -> str:
    kind = rng.choice((DIGITS, DIGITS + LETTERS))
    return "".join(rng.choice(kind) if character.isalnum() else character for character in line)


def _doubled(spec: PlateSpec) -> bool:
    return spec.layout == "one" and spec.text[0] == spec.text[1]


def drawing(random: Random) -> Example:
    """Draw a plate on a blurred something."""
    rng = plain_random.Random(int(random.integers(2**62)))
    spec = random_spec(rng)
    if random.random() < DOUBLED:
        spec = next((other for other in (random_spec(rng) for _ in range(TRIES)) if _doubled(other)), spec)
    if random.random() < STRANGE:
        spec = spec._replace(lines=tuple(_strange(line, rng) for line in spec.lines))
    plate = draw_plate(spec, rng, random.uniform(*WIDTHS) / spec.size_mm[0])
    height, width = plate.image.shape[:2]
    room = round(ROOM * width)
    ground = cv2.resize(
        random.integers(0, 256, (3, 4, 3)).astype(np.uint8) // int(random.integers(1, 5)),
        (width + 2 * room, height + 2 * room),
        interpolation=cv2.INTER_LINEAR,
    )
    place = ground[room : room + height, room : room + width]
    share = plate.mask[..., None].astype(np.float32) / 255
    place[:] = place + share * (plate.image - place.astype(np.float32))
    boxes = np.array(plate.char_boxes, np.float32)
    quad = upright(*boxes[:, :2].min(0), *boxes[:, 2:].max(0)) + np.float32(room)
    # not called white: these have their colours already
    colour = plate.colour if plate.colour != "unknown" else ""
    return Example("drawn", cast(Image, ground), quad, plate.lines, colour)
