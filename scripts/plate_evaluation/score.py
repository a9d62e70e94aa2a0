"""What a reading is worth beside what is known; pure counting.

A photo names one plate, yet shows other vehicles too. So a sight is held against the named plate only where it
concerns it: it stands on its box, or is within three edits of its text. What is farther is another vehicle's plate,
or was made up: photos with one named plate cannot tell, photos without plates can.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from edge_agent.camera.plates.read import Sight
from scripts.plate_evaluation.labels import Box, Label

Outcome = Literal["exact", "inexact", "other", "nothing"]
"""Of the named plate: read letter for letter and valid; found, but not so; not found, though another valid plate was;
nothing of use was said."""
SAME_PLATE_EDITS = 3
"""Two vehicles' plates are rarely so alike."""
FOUND_EDITS = 2
"""Where no box is known a plate counts as found when its text is so near."""
SAME_PLACE = 0.4
"""Least shared area over common area (IoU); boxes of plates and of their characters differ by a margin."""


class Read(msgspec.Struct, frozen=True):
    """One valid sight of a photo."""

    confidence: float
    verdict: Literal["right", "wrong", "elsewhere"]
    """`elsewhere`: it does not concern the named plate."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One photo: what was said of its plates."""

    outcome: Outcome | None
    """None where no plate is named."""
    best: Sight | None
    """Of the sights that concern the named plate, the one nearest to it."""
    right: int
    """Characters of the named plate that `best` has right: its length less the edits."""
    plates: int
    found: int
    """Of `plates`: those with a sight at their place."""
    reads: tuple[Read, ...]
    width: float | None
    """Of the named plate in pixels: its box's, else its best sight's."""


def judge(label: Label, sights: Sequence[Sight]) -> Judged:
    """Hold a photo's sights against its label."""
    concerned = [sight for sight in sights if _concerns(sight, label)]
    best = min(concerned, key=lambda sight: (edits(sight.read.text, label.text), not sight.read.valid), default=None)
    right = max(0, len(label.text) - edits(best.read.text, label.text)) if best else 0
    found = sum(any(overlap(box_of(sight), box) >= SAME_PLACE for sight in sights) for box in label.boxes)
    near = any(edits(sight.read.text, label.text) <= FOUND_EDITS for sight in sights)
    return Judged(
        outcome=_outcome(label, sights, best) if label.text else None,
        best=best,
        right=right,
        plates=len(label.boxes) or 1,
        found=found if label.boxes else int(near),
        # without a text nothing is right or wrong
        reads=tuple(_read(label, sight, concerned) for sight in sights if label.text and sight.read.valid),
        width=_width(label, best),
    )


def _concerns(sight: Sight, label: Label) -> bool:
    if label.text and edits(sight.read.text, label.text) <= SAME_PLATE_EDITS:
        return True
    return bool(label.boxes) and overlap(box_of(sight), label.boxes[0]) >= SAME_PLACE


def _outcome(label: Label, sights: Sequence[Sight], best: Sight | None) -> Outcome:
    if best is not None:
        return "exact" if best.read.valid and best.read.text == label.text else "inexact"
    return "other" if any(sight.read.valid for sight in sights) else "nothing"


def _read(label: Label, sight: Sight, concerned: Sequence[Sight]) -> Read:
    if sight.read.text == label.text:
        return Read(sight.read.confidence, "right")
    return Read(sight.read.confidence, "wrong" if any(sight is other for other in concerned) else "elsewhere")


def _width(label: Label, best: Sight | None) -> float | None:
    if label.boxes:
        return label.boxes[0][2] - label.boxes[0][0]
    if best is None:
        return None
    left, _, right, _ = box_of(best)
    return right - left


def box_of(sight: Sight) -> Box:
    """Give the upright box around a sight's corners."""
    xs, ys = zip(*sight.quad, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def overlap(one: Box, other: Box) -> float:
    """Give the area that two boxes share over the area that they cover together, 0 to 1."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    covered = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / covered if covered > 0 else 0.0


def edits(one: str, other: str) -> int:
    """Count the characters to put in, take out or change to make one text of the other (Levenshtein)."""
    above = list(range(len(other) + 1))
    for row, a in enumerate(one, start=1):
        line = [row]
        for column, b in enumerate(other, start=1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (a != b)))
        above = line
    return above[-1]
