"""One plate followed through the frames: which sights are its own, what they say together; pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from math import dist

import msgspec

from edge_agent.camera.plates.grammar import rank
from edge_agent.camera.plates.read import PlateText, Quad, Sight
from edge_agent.camera.plates.vote import agreeing, majority, support, vote
from edge_agent.contract.events import Colour

MOST_READS = 48
"""Readings kept for a vote, the surest: of a vehicle that drives away the first frames are the best."""

NEAR = 0.5
"""Plate diagonals; two plates of different vehicles cannot be so near each other."""
AT_ONCE_MS = 500
"""No vehicle takes another's place within this time."""
ANY = float("inf")
REACH = ((1.0, ANY, ANY), (0.75, 8.0, ANY), (0.6, 2.0, 3000))
"""Least likeness of the texts, how many diagonals the plate may then have moved, and within how many milliseconds.
Likeness leads: at five frames a second a motorbike at 40 km/h moves by ten plates from frame to frame."""


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle's pass: what its frames say together, and the frame that was read best."""

    read: PlateText
    colour: Colour
    quad: Quad
    """Where the plate was in `frame`."""
    frame: object
    """As it was given to the tracker."""
    best_at: int
    """When `frame` was taken."""
    first: int
    last: int
    """Of the sights so far; the vehicle may still be there."""
    frames: int
    """How many sights voted."""


class Track:
    """One plate that is or was just in view. After its pass was said it holds neither frame nor readings."""

    def __init__(self, at_ms: int, sight: Sight, frame: object) -> None:
        self.first = self.last = at_ms
        self.unseen_ms = 0
        """For how long frames have missed it."""
        self.sights: list[Sight] = []
        self.quad = sight.quad
        self.voted = sight.read
        self.colour = sight.colour
        self.best: tuple[Sight, object, int] | None = None
        self.said = False
        self.see(at_ms, sight, frame)

    def see(self, at_ms: int, sight: Sight, frame: object) -> None:
        self.last, self.unseen_ms, self.quad = at_ms, 0, sight.quad
        if self.said:
            return
        self.sights.append(sight)
        if len(self.sights) > MOST_READS:
            del self.sights[min(range(len(self.sights)), key=lambda n: self.sights[n].read.confidence)]
        self.colour = majority([seen.colour for seen in self.sights])
        self.voted = vote([seen.read for seen in self.sights], self.colour)
        if self.best is None or self._worth(sight) > self._worth(self.best[0]):
            self.best = sight, frame, at_ms

    def _worth(self, sight: Sight) -> tuple[bool, tuple[bool, int, int, float], float]:
        """Rate a sight as evidence: says what was voted, reads well, is large."""
        return sight.read.text == self.voted.text, rank(sight.read), _diagonal(sight.quad)

    @property
    def agreeing(self) -> int:
        """How many sights say just what was voted."""
        return agreeing([sight.read for sight in self.sights], self.voted)

    @property
    def supported(self) -> int:
        """How many sights bear out all of the vote: a plate's characters each, anything else as a whole."""
        reads = [sight.read for sight in self.sights]
        return support(reads, self.voted) if self.voted.valid else agreeing(reads, self.voted)

    def say(self) -> Pass:
        assert self.best is not None
        sight, frame, best_at = self.best
        said = Pass(read=self.voted, colour=self.colour, quad=sight.quad, frame=frame, best_at=best_at,
                    first=self.first, last=self.last, frames=len(self.sights))  # fmt: skip
        self.said, self.best = True, None
        self.sights.clear()
        return said

    def kinship(self, at_ms: int, sight: Sight) -> tuple[float, float] | None:
        """Tell how well a sight continues this track, greater is better; None: it is another plate.

        Place decides only among equally like texts: in a convoy each plate stands where another one just was.
        """
        alike = _likeness(sight.read.text, self.voted.text)
        moved = _moved(self.quad, sight.quad)
        since = at_ms - self.last
        reach = next((far for least, far, within in REACH if alike >= least and since <= within), -1.0)
        if since <= AT_ONCE_MS:
            reach = max(reach, NEAR)
        return (alike, -moved) if moved <= reach else None

    def same(self, sight: Sight) -> bool:
        """Tell whether a sight in the frame that this track was just seen in is the same plate, found twice."""
        return sight.read.text == self.voted.text or _moved(self.quad, sight.quad) <= NEAR


def _likeness(one: str, other: str) -> float:
    """Give 0 to 1: the share of equal places, or of equal runs where the lengths differ."""
    if len(one) == len(other):
        return sum(a == b for a, b in zip(one, other, strict=True)) / max(1, len(one))
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _diagonal(quad: Quad) -> float:
    return max(dist(quad[0], quad[2]), dist(quad[1], quad[3]))


def _moved(one: Quad, other: Quad) -> float:
    """Give the distance of the centres in diagonals of the larger plate."""
    centres = [(sum(x for x, _ in quad) / 4, sum(y for _, y in quad) / 4) for quad in (one, other)]
    return dist(*centres) / max(_diagonal(one), _diagonal(other), 1.0)
