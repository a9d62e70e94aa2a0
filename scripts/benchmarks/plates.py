"""Plates of real street photos: how many are read exactly, how long a photo takes, beside RapidOCR's pipeline."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from edge_agent.camera.pictures import Image, load_picture
from edge_agent.camera.plates.sights import PlateReader
from scripts.benchmarks.figure import Figure, Line

PHOTOS = Path(os.environ.get("PLATE_PHOTOS", Path(__file__).parents[3] / "shared" / "plates"))
COUNT, COMPARED = 50, 20
SURE = 0.9


def measure() -> Figure:
    """Read the photos that are kept for checking, the first in the order of their names."""
    title = "Plates in street photos, one core"
    photos = _photos()
    if not photos:
        note = f"No labelled photos in {PHOTOS}: name their folder in PLATE_PHOTOS."
        return Figure(title=title, lines=[], note=note)
    reader, peer = PlateReader(), _rapidocr()
    reader.sights(photos[0][0])  # the first is slow
    spent: list[float] = []
    right: list[bool] = []
    others = sure = sure_wrong = 0
    for image, text in photos:
        started = time.perf_counter()
        sights = reader.sights(image)
        spent.append(1000 * (time.perf_counter() - started))
        valid = [sight.read for sight in sights if sight.read.valid]
        right.append(any(read.text == text for read in valid))
        others += any(read.text != text for read in valid)
        sure += sum(read.confidence >= SURE for read in valid)
        sure_wrong += sum(read.confidence >= SURE and read.text != text for read in valid)
    lines = [
        Line(name="named plate read exactly", value=100 * sum(right) / len(photos), unit="% of the photos"),
        Line(name="another valid plate", value=100 * others / len(photos), unit="% of the photos"),
        Line(name=f"  of those of confidence {SURE:g} and more", value=sure_wrong, unit=f"of {sure} plates"),
        Line(name="a photo, median", value=median(spent), unit="ms"),
        Line(name="a photo, 95 %", value=quantiles(spent, n=20)[-1], unit="ms"),
    ]
    if peer is not None:
        lines += _compared(photos[:COMPARED], spent[:COMPARED], sum(right[:COMPARED]), peer)
    note = f"{len(photos)} photos of 460 x 350. Others in the photo are real plates too, or misread, or neither."
    return Figure(title=title, lines=lines, note=note)


def _photos() -> list[tuple[Image, str]]:
    labels = PHOTOS / "labels.csv"
    if not labels.is_file():
        return []
    with labels.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("street/check-")]
    return [(load_picture(PHOTOS / row["file"]), row["text"]) for row in rows[:COUNT]]


def _rapidocr() -> Callable[[Image], Any] | None:
    """The pipeline that carries the same networks, on one core too."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        return None
    pipeline: Callable[[Image], Any] = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    return pipeline


def _compared(
    photos: list[tuple[Image, str]], ours: list[float], right: int, peer: Callable[[Image], Any]
) -> list[Line]:
    peer(photos[0][0])
    spent, exact = [], 0
    for image, text in photos:
        started = time.perf_counter()
        found, _ = peer(image)
        spent.append(1000 * (time.perf_counter() - started))
        read = ["".join(filter(str.isalnum, piece[1].upper())) for piece in found or ()]
        exact += text in read or any(one + other == text for one, other in permutations(read, 2))
    ratio = median(spent) / median(ours)
    return [
        Line(
            name="  as RapidOCR", value=median(spent), unit="ms", compare=f"{ratio:.2f} times ours, same {len(photos)}"
        ),
        Line(
            name="  it has the plate, any two texts joined",
            value=100 * exact / len(photos),
            unit="% of the photos",
            compare=f"ours {100 * right / len(photos):.0f} %",
        ),
    ]
