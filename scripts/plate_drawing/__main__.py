"""Draws a sheet of plates with their texts, to be looked at.

python -m scripts.plate_drawing SHEET.png [--seed 1] [--plates 80] [--width 46]
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.plate_drawing.plates import draw_plate
from scripts.plate_drawing.spec import random_spec

WIDE, HIGH, FOOT, COLUMNS = 230, 170, 18, 8
"""A cell of the sheet in px: the room of the plate, that of its text, and how many stand in a row."""


def sheet(seed: int, plates: int, width: int) -> NDArray[np.uint8]:
    """Draw the sheet; the plates are first shrunk to `width` px where that is not 0, as a camera would see them."""
    rng = random.Random(seed)
    cells = []
    for _ in range(plates):
        spec = random_spec(rng)
        image = draw_plate(spec, rng, 0.6 if spec.layout == "one" else 1.2).image
        if width:
            size = width, max(1, round(width * image.shape[0] / image.shape[1]))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        scale = min((WIDE - 8) / image.shape[1], (HIGH - 8) / image.shape[0])
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
        cell = np.full((HIGH + FOOT, WIDE, 3), 90, np.uint8)
        cell[4 : 4 + image.shape[0], 4 : 4 + image.shape[1]] = image
        written = spec.text.replace("Đ", "D")  # OpenCV's font has no Đ
        cv2.putText(
            cell, f"{written} {spec.kind}", (4, HIGH + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 255), 1, cv2.LINE_AA
        )
        cells.append(cell)
    cells += [np.full_like(cells[0], 90)] * (-len(cells) % COLUMNS)
    return np.vstack([np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)])


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description="Draw a sheet of plates with their texts.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plates", type=int, default=80)
    parser.add_argument("--width", type=int, default=0, help="shrink the plates to this width first, px")
    options = parser.parse_args()
    if not cv2.imwrite(str(options.out), sheet(options.seed, options.plates, options.width)):
        raise SystemExit(f"OpenCV cannot write {options.out}")


if __name__ == "__main__":
    main()
