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
from edge_agent.camera.plates.steps import Read, readings

LEAST_SIDE = 8
"""Pixels; a smaller frame shows no plate."""
MOST_PLATES = 12
"""The surest finds of a frame that are read: each takes a good part of the time that finding them took."""
TWO_LINES = 0.5
"""The finder's share from which a plate is cut out as one of two lines."""
WORTH = 5
"""Characters that a first reading must have to be worth a closer look: most finds that are no plates say less."""
LIKELY = 0.3
"""A reading that is a plate is taken before one that is none, unless it is less likely than this share of it."""
SURE = 0.97
"""Probability of a reading from which nobody looks again."""
LEAST_SURE = 0.3
"""A reading that is right less often than this is not told: a guess would pass for a plate."""
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
        sights = (self._sight(frame, find) for find in self._detector(frame)[:MOST_PLATES])
        return _best(sight for sight in sights if sight is not None)

    def _sight(self, frame: Image, find: Find) -> Sight | None:
        """Read a find, and once more from a closer look unless the first reading was sure; None for no plate."""
        views = list(self._reader([crop(frame, find.quad, find.two_lines > TWO_LINES)]))
        said = readings(views, self._reader.alphabet)
        if said[0].whole < SURE and len(said[0].confidence) >= WORTH:
            closer = self._detector.closer(frame, find)
            if closer is not None:
                find = closer._replace(score=max(find.score, closer.score))
                views += list(self._reader([crop(frame, find.quad, find.two_lines > TWO_LINES)]))
                said = readings(views, self._reader.alphabet)
        texts = [(self._understood(find, read), read) for read in said if read.text]
        if not texts:
            return None
        text, read = next(
            ((t, r) for t, r in texts if t.valid and not t.repaired and r.whole >= LIKELY * said[0].whole), texts[0]
        )
        if not _like_a_plate(text):
            return None
        # no surer than such readings were right when they were measured
        sure = min(text.confidence, self._reader.share_right(find.score * read.whole))
        if sure < LEAST_SURE:
            return None
        a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in find.quad)
        return Sight(quad=(a, b, c, d), colour=find.colour, read=msgspec.structs.replace(text, confidence=sure))

    @staticmethod
    def _understood(find: Find, read: Read) -> PlateText:
        return understand(
            read.text,
            [int(100 * share) for share in read.confidence],  # never rounded up to certainty
            "two" if "\n" in read.text else "one",
            find.colour,
            [(character, int(100 * share)) for character, share in read.instead],
        )


def _like_a_plate(text: PlateText) -> bool:
    """Leave out what no plate looks like: words and telephone numbers, and what was hardly read at all."""
    digits = sum(character.isdigit() for character in text.raw)
    return text.valid or (len(text.raw) in LENGTHS and LEAST_DIGITS <= digits < len(text.raw))


def _best(sights: Iterable[Sight]) -> list[Sight]:
    """Order by rank, and leave out what overlaps with something better."""
    ranked = sorted(sights, key=lambda sight: rank(sight.read), reverse=True)
    return [ranked[number] for number in apart([sight.quad for sight in ranked], OVERLAPPING)]
