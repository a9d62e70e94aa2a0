"""Frame -> plates: finds them, reads them, lets the grammar judge, keeps the best where they overlap."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from edge_agent.camera.plates.cells import Find, apart
from edge_agent.camera.plates.detector import Detector
from edge_agent.camera.plates.grammar import rank, understand
from edge_agent.camera.plates.network import MODELS
from edge_agent.camera.plates.read import PlateText, Sight
from edge_agent.camera.plates.reader import Reader
from edge_agent.camera.plates.rectify import Image, crop
from edge_agent.camera.plates.steps import Read

LEAST_SIDE = 8
"""Pixels; a smaller frame shows no plate."""
MOST_PLATES = 12
"""The surest finds of a frame that are read; a crop takes as long as a tenth of a frame."""
VIEWS = (0.0,)
"""A plate is read in crops that are larger by these shares, together."""
LENGTHS = range(6, 11)
"""Characters of a plate."""
LEAST_DIGITS = 4
OVERLAPPING = 0.2
"""Two plates cannot share so much of the smaller one's upright box."""


class PlateReader:
    """Reads all plates of a frame; loads its models once; used by one thread."""

    def __init__(self, threads: int = 1, models: Path = MODELS) -> None:
        """Load the models of a folder. Raises ModelError."""
        self._detector = Detector(models, threads=threads)
        self._reader = Reader(models, threads=threads)

    def sights(self, frame: Image) -> list[Sight]:
        """Every plate of a BGR frame, the best first; those that the grammar does not know are marked so.

        Raises ValueError for anything but height x width x 3 of uint8.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"a frame is height x width x 3 of uint8, not {frame.shape} of {frame.dtype}")
        if min(frame.shape[:2]) < LEAST_SIDE:
            return []
        found = self._detector(frame)[:MOST_PLATES]
        reads = self._reader([_crops(frame, find) for find in found])
        sights = [self._sight(find, read) for find, read in zip(found, reads, strict=True)]
        return _best(sight for sight in sights if _like_a_plate(sight.read))

    def _sight(self, find: Find, read: Read) -> Sight:
        """What a find and its reading say together: no surer than such ones were right when they were measured."""
        text = understand(
            read.text,
            [int(100 * share) for share in read.confidence],  # never rounded up to certainty
            "two" if "\n" in read.text else "one",
            find.colour,
            [(character, int(100 * share)) for character, share in read.instead],
        )
        sure = min(text.confidence, self._reader.share_right(find.score * read.whole))
        a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in find.quad)
        return Sight(quad=(a, b, c, d), colour=find.colour, read=msgspec.structs.replace(text, confidence=sure))


def _crops(frame: Image, find: Find) -> list[Image]:
    middle = find.quad.mean(axis=0)
    return [crop(frame, middle + (find.quad - middle) * (1 + share), find.two_lines > 0.5) for share in VIEWS]


def _like_a_plate(text: PlateText) -> bool:
    """Leave out what no plate looks like: words and telephone numbers, and what was hardly read at all."""
    digits = sum(character.isdigit() for character in text.raw)
    return text.valid or (len(text.raw) in LENGTHS and LEAST_DIGITS <= digits < len(text.raw))


def _best(sights: Iterable[Sight]) -> list[Sight]:
    """Order by rank, and leave out what overlaps with something better."""
    ranked = sorted(sights, key=lambda sight: rank(sight.read), reverse=True)
    return [ranked[number] for number in apart([sight.quad for sight in ranked], OVERLAPPING)]
