"""Frame -> plates: finds pieces of text, reads each once, and keeps the groupings that the grammar likes best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.plates.colour import ground_colour
from edge_agent.camera.plates.detector import Box, Corners, Detector, boxes, outline
from edge_agent.camera.plates.grammar import rank, understand
from edge_agent.camera.plates.read import Quad, Sight
from edge_agent.camera.plates.reader import Line, Reader, straightened
from edge_agent.contract.events import Layout

LENGTHS = range(6, 11)
"""Characters of a plate."""
LEAST_DIGITS = 4
TWO_LINES_BELOW, ONE_LINE_ABOVE = 2.5, 3.0
"""Width over height of a plate: below the first it has two lines, above the second one; between it is open."""


class PlateReader:
    """Reads all plates of a frame; loads its models once; used by one thread."""

    def __init__(self, threads: int = 1) -> None:
        """Load the models. Raises ModelError."""
        self._detector = Detector(threads)
        self._reader = Reader(threads)

    def sights(self, frame: NDArray[np.uint8]) -> list[Sight]:
        """Every plate of a BGR frame, the surest first; those that the grammar does not know are marked so."""
        pieces = self._detector.pieces(frame)
        lines = self._reader.read([straightened(frame, corners) for corners in pieces])
        candidates = [sight for box in boxes(pieces) if (sight := _sight(frame, pieces, lines, box)) is not None]
        candidates.sort(key=lambda sight: rank(sight.read), reverse=True)
        kept: list[Sight] = []
        for sight in candidates:
            if not any(_overlap(sight.quad, other.quad) for other in kept):
                kept.append(sight)
        return kept


def _sight(frame: NDArray[np.uint8], pieces: list[Corners], lines: list[Line], box: Box) -> Sight | None:
    text = "".join(lines[i].text for row in box.lines for i in row)
    if len(text) not in LENGTHS or sum(c.isdigit() for c in text) < LEAST_DIGITS:
        return None
    corners = outline(pieces, box)
    plate = straightened(frame, corners)
    layout = _layout(box, plate.shape[1] / plate.shape[0])
    if layout is None:
        return None
    colour = ground_colour(plate)
    confidence = [percent for row in box.lines for i in row for percent in lines[i].confidence]
    return Sight(
        quad=_quad(corners), colour=colour, read=understand(text, confidence, layout=layout, colour=colour)
    )


def _layout(box: Box, ratio: float) -> Layout | None:
    """The number of lines, or None where the shape of the plate says that the grouping is wrong."""
    if box.layout == "one":
        return "one" if ratio > TWO_LINES_BELOW else None
    return "two" if ratio < ONE_LINE_ABOVE else None


def _quad(corners: Corners) -> Quad:
    a, b, c, d = ((round(float(x), 1), round(float(y), 1)) for x, y in corners)
    return a, b, c, d


def _overlap(one: Quad, other: Quad) -> bool:
    """Tell whether the upright boxes around two quads share a good part of the smaller."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = _upright(one), _upright(other)
    width, height = min(aw, bw) - max(ax, bx), min(ah, bh) - max(ay, by)
    smaller = min((aw - ax) * (ah - ay), (bw - bx) * (bh - by))
    return width > 0 and height > 0 and width * height > 0.2 * smaller


def _upright(quad: Quad) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in quad], [y for _, y in quad]
    return min(xs), min(ys), max(xs), max(ys)
