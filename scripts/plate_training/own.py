"""Photos label themselves: where the models so far find a plate that reads like the known text, there it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional

from edge_agent.camera.plates.cells import Find, finds
from edge_agent.camera.plates.detector import padded
from edge_agent.camera.plates.rectify import Image, crop
from scripts.plate_evaluation.score import edits
from scripts.plate_training.examples import ONE_LINE_ABOVE, Quad, lines_of, plain, rows
from scripts.plate_training.networks import COLOURS, Finder, Reader
from scripts.plate_training.reader_course import pixels, said

SCALES = (1.0, 1.6)
"""A photo is looked at in these sizes: what is missed in one may be found in the other."""
LEAST_SCORE = 0.15
MOST = 12
"""Finds of a photo that are read."""
WRONG = 2
"""Characters that a reading may differ in from the known text and still be of that plate."""
LIKE_A_PLATE = (5, 3)
"""Characters and digits among them from which another reading in the photo may be another plate."""


class Own(NamedTuple):
    """What the models found in a photo."""

    quad: Quad
    """Where the named plate is."""
    lines: tuple[str, ...]
    others: tuple[Quad, ...]
    """Where other plates may be."""


def look(folder: Path, finder: Finder, reader: Reader, kept: Path) -> Iterator[tuple[int, int]]:
    """Write what is found of the named plates of the street photos; give how many are done of how many.

    The file appears when all are done: half the labels would make another training.
    """
    chosen = [row for row in rows(folder) if row["file"].startswith(("street", "close")) and row["text"]]
    begun = kept.with_suffix(".new")
    with begun.open("w", encoding="utf-8") as file:
        for number, row in enumerate(chosen, 1):
            image = cv2.imread(str(folder / row["file"]))
            assert image is not None, row["file"]
            own = named(image, lines_of(row), finder, reader)
            if own is not None:
                written = {"quad": own.quad.tolist(), "lines": own.lines, "others": [q.tolist() for q in own.others]}
                file.write(json.dumps({"file": row["file"], **written}) + "\n")
            yield number, len(chosen)
    begun.replace(kept)


def owns(kept: Path) -> dict[str, Own]:
    """Read what `look` wrote."""
    found = {}
    for line in kept.read_text(encoding="utf-8").splitlines():
        photo = json.loads(line)
        others = tuple(np.array(quad, np.float32) for quad in photo["others"])
        found[photo["file"]] = Own(np.array(photo["quad"], np.float32), tuple(photo["lines"]), others)
    return found


def named(image: Image, lines: tuple[str, ...], finder: Finder, reader: Reader) -> Own | None:
    """Give the plate of a photo that reads like `lines`, or None."""
    text = plain("".join(lines))
    best: tuple[int, float, Quad, str] | None = None
    others: list[Quad] = []
    for scale in SCALES:
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        found = [find._replace(quad=find.quad / scale) for find in _found(large, finder)[:MOST]]
        for find, reading in zip(found, _read(image, found, reader), strict=True):
            wrong = edits(plain(reading), text)
            if wrong <= WRONG and (best is None or (wrong, -find.score) < best[:2]):
                best = wrong, -find.score, find.quad, reading
            elif len(plain(reading)) >= LIKE_A_PLATE[0] and sum(map(str.isdigit, reading)) >= LIKE_A_PLATE[1]:
                others.append(find.quad)
    if best is None:
        return None
    wrong, _, quad, reading = best
    if wrong == 0:  # the reading saw how many lines there are; the text's own spelling has the Đ
        upper, whole = len(reading.partition("|")[0]), "".join(lines)
        lines = (whole[:upper], whole[upper:]) if "|" in reading else (whole,)
    elif np.linalg.norm(quad[1] - quad[0]) > ONE_LINE_ABOVE * np.linalg.norm(quad[3] - quad[0]):
        lines = ("".join(lines),)
    return Own(quad, lines, tuple(others))


@torch.no_grad()
def _found(image: Image, finder: Finder) -> list[Find]:
    cells = finder(pixels(torch.from_numpy(padded(image)[None])))[0].permute(1, 2, 0)
    parts = (
        cells[:, :, :1].sigmoid(),
        cells[:, :, 1:9],
        cells[:, :, 9:10].sigmoid(),
        functional.softmax(cells[:, :, 10:], -1),
    )
    return finds(torch.cat(parts, -1).numpy(), COLOURS, LEAST_SCORE)


@torch.no_grad()
def _read(image: Image, found: Sequence[Find], reader: Reader) -> list[str]:
    if not found:
        return []
    crops = [crop(image, find.quad, find.two_lines > 0.5) for find in found]
    return said(reader(pixels(torch.from_numpy(np.stack(crops)))))
