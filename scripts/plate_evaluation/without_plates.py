"""Pictures without plates: parts of labelled photos, and drawn scenes; made in memory, the same for the same seed.

A part of a photo is taken only where no plate can stand:
* it keeps a plate's height, at least 16 pixels, from every box;
* where the boxes may not be all (street photos and close-ups show other vehicles) it keeps as far from every text in
  which RapidOCR sees two digits in a row. Our own reader is never asked: it would be judged by its own word.
Photos of a gate show one vehicle each, and all plates have boxes; those that are kept for checking are taken. The
others are photos that models may have been trained on. Each source is counted apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec

from edge_agent.camera.pictures import Image, load_picture
from scripts.plate_evaluation.drawn_scenes import draw_scene
from scripts.plate_evaluation.labels import Box, Label
from scripts.plate_evaluation.peer import Piece

SEED = 20
LEAST_SIZE = 160, 90
"""Width and height of a part."""
LEAST_DISTANCE = 16.0
GATE, STREET, DRAWN = "parts of gate photos", "parts of street photos", "drawn"
"""Sources."""


class Bare(msgspec.Struct, frozen=True, kw_only=True):
    """A picture without plates."""

    source: str
    name: str
    image: Image


def without_plates(
    labels: Sequence[Label],
    folder: Path,
    count: int,
    find_texts: Callable[[Image], Sequence[Piece]] | None,
    seed: int = SEED,
) -> Iterator[Bare]:
    """Make `count` pictures: a quarter gate photos, a quarter other photos, and drawn ones for all that is left.

    `find_texts` is RapidOCR; without it only gate photos are used. Raises PictureError for an unreadable photo.
    """
    random, made = Random(seed), 0
    for source, chosen in _sources(labels):
        left = count // 4 if source == GATE or find_texts else 0
        for label in random.sample(chosen, len(chosen)):
            if not left:
                break
            image = load_picture(folder / label.file)
            numbers = _numbers(find_texts(image)) if source == STREET and find_texts else []
            part = part_without(image, [*label.boxes, *numbers])
            if part is not None:
                left, made = left - 1, made + 1
                yield Bare(source=source, name=label.file, image=part)
    for number in range(count - made):
        yield Bare(source=DRAWN, name=f"drawn {number}", image=draw_scene(Random(f"{seed} {number}")))


def _sources(labels: Sequence[Label]) -> Iterator[tuple[str, list[Label]]]:
    boxed = [label for label in labels if label.boxes and label.kind == "scene"]
    yield GATE, [label for label in boxed if label.file.startswith("gate/") and label.part == "check"]
    yield STREET, [label for label in boxed if not label.file.startswith("gate/")]


def _numbers(pieces: Sequence[Piece]) -> list[Box]:
    return [piece.box for piece in pieces if re.search(r"\d\d", piece.text)]


def part_without(image: Image, boxes: Sequence[Box]) -> Image | None:
    """Give the largest part beside, above or below all boxes (at least one); None where none is large enough."""
    wide = [_widened(box) for box in boxes]
    left, top = (max(0, int(min(box[side] for box in wide))) for side in (0, 1))
    right, bottom = (max(0, math.ceil(max(box[side] for box in wide))) for side in (2, 3))
    parts = (image[:top], image[bottom:], image[:, :left], image[:, right:])
    large = [part for part in parts if part.shape[1] >= LEAST_SIZE[0] and part.shape[0] >= LEAST_SIZE[1]]
    return max(large, key=lambda part: part.shape[0] * part.shape[1], default=None)


def _widened(box: Box) -> Box:
    left, top, right, bottom = box
    far = max(LEAST_DISTANCE, bottom - top)
    return left - far, top - far, right + far, bottom + far
