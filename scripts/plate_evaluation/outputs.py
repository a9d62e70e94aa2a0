"""Files for a closer look: one line a photo, and a sheet of those that were not read exactly.

They show plates, which are personal data: neither is written inside the repository.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_agent.camera.pictures import Image, load_picture
from scripts.plate_evaluation.measure import BareRead
from scripts.plate_evaluation.summary import Photo

ROOT = Path(__file__).resolve().parents[2]
CELL, CAPTION, ACROSS = (300, 225), 40, 6
"""Pixels of a photo on the sheet and height of the words below it; photos in a row."""
MOST_CELLS = 600
WHITE, GREEN, RED = (240, 240, 240), (80, 220, 80), (60, 60, 240)


class OutputError(ValueError):
    """A file that must not be written there, or cannot be."""


def outside(path: Path) -> Path:
    """Give the path back. Raises OutputError if it lies in the repository, or in no folder."""
    if path.resolve().is_relative_to(ROOT):
        raise OutputError(f"{path}: inside the repository; it would show real plates, name a place outside")
    if not path.resolve().parent.is_dir():
        raise OutputError(f"{path}: no such folder; make it first")
    return path


def write_csv(photos: Sequence[Photo], path: Path) -> None:
    """Write one line a photo, at least one."""
    rows = [_row(photo) for photo in photos]
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, rows[0])
        out.writeheader()
        out.writerows(rows)


def _row(photo: Photo) -> dict[str, object]:
    read = photo.judged.best.read if photo.judged.best else None
    return {
        "file": photo.label.file,
        "text": photo.label.text,
        "outcome": photo.judged.outcome,
        "read": read and read.text,
        "raw": read and read.raw,
        "valid": read and read.valid,
        "confidence": read and round(read.confidence, 3),
        "ms": round(photo.ms, 1),
        "sights": " ".join(f"{sight.read.text}:{sight.read.confidence:.2f}" for sight in photo.sights),
        "cpu_ms": round(photo.cpu_ms, 1),
        "peer": None if photo.peer_texts is None else " | ".join(photo.peer_texts),
        "peer_right": None if photo.peer_texts is None else photo.peer_right,
        "peer_ms": None if photo.peer_texts is None else round(photo.peer_ms, 1),
    }


def write_sheet(photos: Sequence[Photo], bare: Sequence[BareRead], folder: Path, path: Path) -> int:
    """Draw the photos that were not read exactly, and false plates; give how many, of which 600 at most are drawn."""
    wrong = [photo for photo in photos if photo.judged.outcome not in (None, "exact")]
    false = [read for read in bare if read.false]
    cells = list(_cells(wrong, false[:MOST_CELLS], folder))[:MOST_CELLS]
    if cells:
        cells += [np.zeros_like(cells[0])] * (-len(cells) % ACROSS)
        rows = [np.hstack(cells[start : start + ACROSS]) for start in range(0, len(cells), ACROSS)]
        good, packed = cv2.imencode(".png", np.vstack(rows))
        assert good
        path.write_bytes(packed.tobytes())
    return len(wrong) + len(false)


def _cells(wrong: Sequence[Photo], false: Sequence[BareRead], folder: Path) -> Iterator[Image]:
    for read in false:
        said = " ".join(f"{sight.read.text} {sight.read.confidence:.2f}" for sight in read.false)
        yield _cell(read.picture.image, [list(sight.quad) for sight in read.false], "no plate", said)
    for photo in wrong:
        read_best = photo.judged.best.read if photo.judged.best else None
        said = f"{read_best.text} {read_best.confidence:.2f}" if read_best else str(photo.judged.outcome)
        quads = [list(sight.quad) for sight in photo.sights]
        yield _cell(load_picture(folder / photo.label.file), quads, photo.label.text, said)


def _cell(image: Image, quads: Sequence[Sequence[tuple[float, float]]], label: str, said: str) -> Image:
    """A photo with what was found marked; below it what stands there, and what was read."""
    scale = min(CELL[0] / image.shape[1], CELL[1] / image.shape[0])
    size = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
    cell = np.zeros((CELL[1] + CAPTION, CELL[0], 3), np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    for quad in quads:
        cv2.polylines(cell, [np.round(np.array(quad) * scale).astype(np.int32)], True, RED)
    font = cv2.FontFace("sans")
    cv2.putText(cell, label, (4, CELL[1] + 16), GREEN, font, 15)
    cv2.putText(cell, said, (4, CELL[1] + 35), WHITE, font, 15)
    return cell
