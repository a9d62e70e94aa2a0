"""Frame -> plates: finds pieces of text, reads them, keeps the groupings that the grammar likes best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge_agent.camera.plates.colour import ground_colour
from edge_agent.camera.plates.grammar import rank, understand
from edge_agent.camera.plates.groups import Group, groups, outline, ratio, resized, with_halves
from edge_agent.camera.plates.ppocr_detector import Detector
from edge_agent.camera.plates.ppocr_detector import Quad as Corners
from edge_agent.camera.plates.ppocr_model import Image
from edge_agent.camera.plates.ppocr_reader import Read, Reader, rectify
from edge_agent.camera.plates.read import PlateText, Quad, Sight
from edge_agent.camera.plates.vote import vote
from edge_agent.contract.events import Colour, Layout

LENGTHS = range(6, 11)
"""Characters of a plate."""
LEAST_DIGITS = 4
TWO_LINES_BELOW, ONE_LINE_ABOVE = 1.9, 3.0
"""Width over height of a plate: below the first it has two lines, above the second one; between it is open."""
MOST_PIECES = 60
AGAIN = ((0.0, 0.15), (0.1, -0.1))
"""A plate is read again in crops that are larger by these shares of a line's height, across and down: what is blurred
reads differently each time."""


class PlateReader:
    """Reads all plates of a frame; loads its models once; used by one thread."""

    def __init__(self, threads: int = 1) -> None:
        """Load the models. Raises ModelError."""
        self._detector = Detector(threads=threads)
        self._reader = Reader(threads=threads)

    def sights(self, frame: Image) -> list[Sight]:
        """Every plate of a BGR frame, the surest first; those that the grammar does not know are marked so."""
        if min(frame.shape[:2]) < 8:
            return []
        found = sorted(self._detector(frame), key=lambda box: -box.score)[:MOST_PIECES]
        pieces = [box.quad for box in found]
        reads = self._read(frame, pieces)
        candidates = list(_candidates(frame, pieces, reads, groups(pieces)))
        plain = {piece for candidate in candidates if candidate.read.valid for piece in candidate.group.pieces}
        pieces, halves = with_halves(pieces, but=plain)
        reads += self._read(frame, pieces[len(reads) :])
        candidates += _candidates(frame, pieces, reads, halves)
        sights = [self._again(frame, pieces, candidate) for candidate in _best(candidates)]
        kept = [sight for sight in sights if sight.read.valid or not sight.read.raw.isdigit()]
        return sorted(kept, key=lambda sight: rank(sight.read), reverse=True)

    def _read(self, frame: Image, pieces: Iterable[Corners]) -> list[Read]:
        return self._reader([rectify(frame, piece) for piece in pieces])

    def _again(self, frame: Image, pieces: Sequence[Corners], found: _Candidate) -> Sight:
        """Read a plate in other crops too, and let all readings vote."""
        readings = [found.read]
        for across, down in AGAIN:
            rows = [self._read(frame, (resized(pieces[i], across, down) for i in row)) for row in found.group.rows]
            readings.append(_understood(rows, found.read.layout, found.colour))
        return Sight(quad=_quad(found.corners), colour=found.colour, read=vote(readings, found.colour))


class _Candidate(NamedTuple):
    """A grouping that may be a plate."""

    group: Group
    corners: Corners
    colour: Colour
    read: PlateText


def _candidates(
    frame: Image, pieces: Sequence[Corners], reads: Sequence[Read], possible: Iterable[Group]
) -> Iterator[_Candidate]:
    for group in possible:
        text = "".join(reads[i].text for i in group.pieces)
        if len(text) not in LENGTHS or sum(character.isdigit() for character in text) < LEAST_DIGITS:
            continue
        corners = outline(pieces, group)
        layout = _layout(group, ratio(corners))
        if layout is None:
            continue
        colour = ground_colour(rectify(frame, corners))
        rows = [[reads[i] for i in row] for row in group.rows]
        yield _Candidate(group, corners, colour, _understood(rows, layout, colour))


def _understood(rows: Sequence[Sequence[Read]], layout: Layout, colour: Colour) -> PlateText:
    """What the reads of a plate's rows say together."""
    reads = [read for row in rows for read in row]
    return understand(
        "\n".join("".join(read.text for read in row) for row in rows),
        [round(100 * share) for read in reads for share in read.confidence],
        layout,
        colour,
        [(character, round(100 * share)) for read in reads for character, share in read.instead],
    )


def _best(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Leave out what overlaps with something better."""
    kept: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda found: rank(found.read), reverse=True):
        if not any(_overlap(candidate.corners, other.corners) for other in kept):
            kept.append(candidate)
    return kept


def _layout(group: Group, shape: float) -> Layout | None:
    """The number of lines, or None where the shape of the plate says that the grouping is wrong."""
    if group.layout == "one":
        return "one" if shape > TWO_LINES_BELOW else None
    return "two" if shape < ONE_LINE_ABOVE else None


def _quad(corners: Corners) -> Quad:
    a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in corners)
    return a, b, c, d


def _overlap(one: Corners, other: Corners) -> bool:
    """Tell whether the upright boxes around two quads share a good part of the smaller."""
    low, high = np.maximum(one.min(0), other.min(0)), np.minimum(one.max(0), other.max(0))
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared > 0.2 * min(float(np.prod(np.ptp(quad, axis=0))) for quad in (one, other))
