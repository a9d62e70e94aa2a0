"""Frame -> plates: finds pieces of text, reads each once, and keeps the groupings that the grammar likes best."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.camera.plates.colour import ground_colour
from edge_agent.camera.plates.detector import Detector
from edge_agent.camera.plates.detector import Quad as Corners
from edge_agent.camera.plates.grammar import rank, understand
from edge_agent.camera.plates.groups import Group, groups, outline, ratio, with_halves
from edge_agent.camera.plates.model import Image
from edge_agent.camera.plates.read import Quad, Sight
from edge_agent.camera.plates.reader import Read, Reader, rectify
from edge_agent.contract.events import Layout

LENGTHS = range(6, 11)
"""Characters of a plate."""
LEAST_DIGITS = 4
TWO_LINES_BELOW, ONE_LINE_ABOVE = 2.5, 3.0
"""Width over height of a plate: below the first it has two lines, above the second one; between it is open."""
MOST_PIECES = 60


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
        pieces = with_halves([box.quad for box in found])
        reads = self._reader([rectify(frame, piece) for piece in pieces])
        candidates = [sight for group in groups(pieces) if (sight := _sight(frame, pieces, reads, group)) is not None]
        candidates.sort(key=lambda sight: rank(sight.read), reverse=True)
        kept: list[Sight] = []
        for sight in candidates:
            if not any(_overlap(sight.quad, other.quad) for other in kept):
                kept.append(sight)
        return kept


def _sight(frame: Image, pieces: Sequence[Corners], reads: Sequence[Read], group: Group) -> Sight | None:
    text = "\n".join("".join(reads[i].text for i in row) for row in group.rows)
    if len(text.replace("\n", "")) not in LENGTHS or sum(character.isdigit() for character in text) < LEAST_DIGITS:
        return None
    corners = outline(pieces, group)
    layout = _layout(group, ratio(corners))
    if layout is None:
        return None
    colour = ground_colour(rectify(frame, corners))
    confidence = [round(100 * share) for i in group.pieces for share in reads[i].confidence]
    read = understand(text, confidence, layout, colour)
    return Sight(quad=_quad(corners), colour=colour, read=read)


def _layout(group: Group, shape: float) -> Layout | None:
    """The number of lines, or None where the shape of the plate says that the grouping is wrong."""
    if group.layout == "one":
        return "one" if shape > TWO_LINES_BELOW else None
    return "two" if shape < ONE_LINE_ABOVE else None


def _quad(corners: Corners) -> Quad:
    a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in corners)
    return a, b, c, d


def _overlap(one: Quad, other: Quad) -> bool:
    """Tell whether the upright boxes around two quads share a good part of the smaller."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = _upright(one), _upright(other)
    wide, high = min(aw, bw) - max(ax, bx), min(ah, bh) - max(ay, by)
    smaller = min((aw - ax) * (ah - ay), (bw - bx) * (bh - by))
    return wide > 0 and high > 0 and wide * high > 0.2 * smaller


def _upright(quad: Quad) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return min(xs), min(ys), max(xs), max(ys)
