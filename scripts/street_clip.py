"""Renders a street clip: vehicles come towards the camera one after another, each with a Vietnamese plate.

    python -m scripts.street_clip OUT.mp4 [--seconds 28] [--seed 1]

Everything in it is drawn here, and the picture says so. The road is empty between the passes and at both ends, so the
clip may be looped: every round makes the same passes again.
"""

from __future__ import annotations

import argparse
import random
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from scripts.plate_drawing.plates import draw_plate
from scripts.plate_drawing.spec import LONG, MOTORBIKE, SHORT, PlateSpec

Image = NDArray[np.uint8]

WATCHED_PLATE = "68A12345"
WIDTH, HEIGHT, FRAMES_PER_S = 854, 480, 10
SLOT_S, VISIBLE_S = 7.0, 5.0
"""A vehicle comes every SLOT_S seconds and is in the picture for VISIBLE_S."""
PLATE_PX_PER_MM = 1.2
"""Scale at which plates are drawn before they are laid into a frame; no vehicle shows its plate larger."""
LABEL = "RENDERED STREET - NO REAL VEHICLES"


class Vehicle(NamedTuple):
    """What is drawn: the plate and what carries it."""

    plate: PlateSpec
    motorbike: bool
    paint: tuple[int, int, int]


VEHICLES = (
    Vehicle(PlateSpec("car", ("68A-123.45",), "white", "black", LONG), False, (90, 40, 30)),
    Vehicle(PlateSpec("motorbike_old", ("68-B1", "246.80"), "white", "black", MOTORBIKE), True, (40, 40, 160)),
    Vehicle(PlateSpec("car_commercial", ("68E-004.21",), "yellow", "black", LONG), False, (200, 200, 200)),
    Vehicle(PlateSpec("car", ("68C", "137.90"), "white", "black", SHORT), False, (60, 120, 60)),
)


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of one pass in the clip."""

    text: str
    first_s: float
    last_s: float
    layout: str
    colour: str


def render_clip(path: Path, seconds: float, seed: int) -> list[Passage]:
    """Write the clip and return its passes; a pass that would not end in time is left out."""
    rng = random.Random(seed)
    road = _road(rng)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FRAMES_PER_S, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write {path}")
    passes = [
        Passage(
            text=vehicle.plate.text,
            first_s=i * SLOT_S + 1,
            last_s=i * SLOT_S + 1 + VISIBLE_S,
            layout=vehicle.plate.layout,
            colour=vehicle.plate.colour,
        )
        for i, vehicle in enumerate(VEHICLES[i % len(VEHICLES)] for i in range(int(seconds // SLOT_S)))
    ]
    try:
        for number in range(round(seconds * FRAMES_PER_S)):
            now = number / FRAMES_PER_S
            frame = road.copy()
            for i, passage in enumerate(passes):
                if passage.first_s <= now < passage.last_s:
                    along = (now - passage.first_s) / VISIBLE_S
                    _draw(frame, VEHICLES[i % len(VEHICLES)], along, lane=-1 if i % 2 else 1)
            noise = np.random.default_rng(number).integers(-3, 4, frame.shape, np.int16)
            writer.write(np.clip(frame.astype(np.int16) + noise, 0, 255).astype(np.uint8))
    finally:
        writer.release()
    return passes


def _road(rng: random.Random) -> Image:
    frame = np.full((HEIGHT, WIDTH, 3), (200, 180, 150), np.uint8)
    horizon = HEIGHT // 4
    cv2.rectangle(frame, (0, horizon), (WIDTH, HEIGHT), (95, 130, 95), -1)
    middle = WIDTH // 2
    cv2.fillPoly(
        frame,
        [np.array([(middle - 90, horizon), (middle + 90, horizon), (WIDTH + 60, HEIGHT), (-60, HEIGHT)], np.int32)],
        (100, 100, 100),
    )
    for step in range(8):
        y = horizon + (HEIGHT - horizon) * step // 8
        cv2.line(frame, (middle, y), (middle, y + 14 + 2 * step), (210, 210, 210), 2 + step // 3)
    for _ in range(25):
        x, y = rng.randrange(WIDTH), rng.randrange(horizon - 30, horizon + 10)
        cv2.circle(frame, (x, y), rng.randrange(8, 22), (60, rng.randrange(90, 140), 60), -1)
    cv2.putText(frame, LABEL, (10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (30, 30, 200), 2, cv2.LINE_AA)
    return frame


def _draw(frame: Image, vehicle: Vehicle, along: float, lane: int) -> None:
    """Draw a vehicle that has come `along` its way, 0 to 1."""
    size = round(150 + 190 * along)
    centre = round(WIDTH / 2 + lane * (70 + 130 * along))
    bottom = round(HEIGHT * (0.52 + 0.45 * along))
    if vehicle.motorbike:
        _motorbike(frame, vehicle, size, centre, bottom)
    else:
        _car(frame, vehicle, size, centre, bottom)


def _car(frame: Image, vehicle: Vehicle, size: int, centre: int, bottom: int) -> None:
    half, tall = size // 2, round(size * 0.75)
    body = np.array(
        [(centre - half, bottom), (centre + half, bottom), (centre + half, bottom - tall // 2),
         (centre + half * 3 // 4, bottom - tall), (centre - half * 3 // 4, bottom - tall),
         (centre - half, bottom - tall // 2)],
        np.int32,
    )  # fmt: skip
    cv2.fillPoly(frame, [body], vehicle.paint, cv2.LINE_AA)
    top = bottom - tall
    cv2.rectangle(
        frame, (centre - half * 2 // 3, top + tall // 10), (centre + half * 2 // 3, top + tall // 2), (50, 45, 40), -1
    )
    for side in (-1, 1):
        cv2.circle(
            frame, (centre + side * half * 3 // 4, bottom - tall // 3), size // 14, (230, 240, 250), -1, cv2.LINE_AA
        )
    width = size // 2 if vehicle.plate.layout == "one" else size * 2 // 5
    _plate(frame, vehicle.plate, width, centre, bottom - tall // 6)


def _motorbike(frame: Image, vehicle: Vehicle, size: int, centre: int, bottom: int) -> None:
    cv2.ellipse(frame, (centre, bottom - size // 2), (size // 8, size // 2), 0, 0, 360, (40, 40, 40), -1, cv2.LINE_AA)
    cv2.ellipse(
        frame, (centre, bottom - size * 2 // 3), (size // 4, size // 4), 0, 0, 360, vehicle.paint, -1, cv2.LINE_AA
    )
    cv2.circle(frame, (centre, bottom - size), size // 9, (60, 60, 60), -1, cv2.LINE_AA)
    _plate(frame, vehicle.plate, size // 3, centre, bottom - size // 3)


def _plate(frame: Image, spec: PlateSpec, width: int, x: int, y: int) -> None:
    """Lay the plate into the frame, shrunk to this width and centred at (x, y)."""
    large = _drawn(spec)
    height = max(1, width * large.shape[0] // large.shape[1])
    small = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    left, top = x - width // 2, y - height // 2
    part = frame[max(0, top) : top + height, max(0, left) : left + width]
    part[:] = small[max(0, -top) :, max(0, -left) :][: part.shape[0], : part.shape[1]]


@cache
def _drawn(spec: PlateSpec) -> Image:
    """Draw a plate as new, the same at every pass."""
    return draw_plate(spec, random.Random(spec.text), PLATE_PX_PER_MM, worn=False).image


def main() -> None:
    """Render a clip and print its passes."""
    parser = argparse.ArgumentParser(description="Render a street clip.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=len(VEHICLES) * SLOT_S)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for passage in render_clip(options.out, options.seconds, options.seed):
        shown = f"{passage.text:10} {passage.colour}, {passage.layout} line(s)"
        print(f"{passage.first_s:5.1f} to {passage.last_s:5.1f} s  {shown}")


if __name__ == "__main__":
    main()
