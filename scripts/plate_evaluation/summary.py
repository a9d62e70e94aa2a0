"""What many measured photos say together; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from edge_agent.camera.plates.read import Sight
from scripts.plate_evaluation.labels import Label
from scripts.plate_evaluation.score import Judged, Outcome, Read

WIDTHS = (40, 60, 80, 120, 200)
"""Pixels, bounds between groups of plates."""
CONFIDENCES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
SURE = 0.9
"""Reads of this confidence and more are meant to be right."""


class Photo(msgspec.Struct, frozen=True, kw_only=True):
    """One photo as it was read."""

    label: Label
    sights: list[Sight]
    ms: float
    """By the clock."""
    cpu_ms: float
    """What all threads of the processor spent: nearly the same on an idle machine, steadier on a busy one."""
    judged: Judged
    peer_texts: list[str] | None = None
    """What the peer read, in its order; None where it was not asked."""
    peer_right: bool = False
    peer_ms: float = 0.0
    peer_cpu_ms: float = 0.0


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """The same of the peer."""

    exact: float | None
    ms: float
    ms_95: float
    cpu_ms: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Some photos together; shares are 0 to 1, None where nothing was there to be counted."""

    photos: int
    named: int
    """Of `photos`: those that name a plate."""
    outcomes: Counter[Outcome]
    characters: float | None
    """Share of the named plates' characters that are right."""
    found: float | None
    """Share of the plates that were found (recall)."""
    ms: float
    ms_95: float
    cpu_ms: float
    peer: Peer | None
    """None where it was not asked."""

    @property
    def exact(self) -> float | None:
        """Share of the named plates that were read letter for letter."""
        return _share(self.outcomes["exact"], self.named)


def summarise(photos: Sequence[Photo]) -> Summary:
    """Count photos, at least one."""
    named = [photo for photo in photos if photo.label.text]
    asked = [photo for photo in photos if photo.peer_texts is not None]
    characters = sum(len(photo.label.text) for photo in named)
    times = [photo.ms for photo in photos]
    return Summary(
        photos=len(photos),
        named=len(named),
        outcomes=Counter(photo.judged.outcome for photo in photos if photo.judged.outcome),
        characters=_share(sum(photo.judged.right for photo in named), characters),
        found=_share(sum(photo.judged.found for photo in photos), sum(photo.judged.plates for photo in photos)),
        ms=percentile(times, 50),
        ms_95=percentile(times, 95),
        cpu_ms=percentile([photo.cpu_ms for photo in photos], 50),
        peer=_peer(asked) if asked else None,
    )


def _peer(photos: Sequence[Photo]) -> Peer:
    times = [photo.peer_ms for photo in photos]
    return Peer(
        exact=_share(sum(photo.peer_right for photo in photos), sum(bool(photo.label.text) for photo in photos)),
        ms=percentile(times, 50),
        ms_95=percentile(times, 95),
        cpu_ms=percentile([photo.peer_cpu_ms for photo in photos], 50),
    )


def groups(photos: Sequence[Photo], key: Callable[[Photo], str]) -> list[tuple[str, list[Photo]]]:
    """Sort photos into groups by `key`, the largest group first."""
    found: dict[str, list[Photo]] = {}
    for photo in photos:
        found.setdefault(key(photo), []).append(photo)
    return sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))


def widths(photos: Sequence[Photo]) -> list[tuple[str, list[Photo]]]:
    """Sort photos into groups by the width of the named plate, the narrowest first."""
    found: list[tuple[str, list[Photo]]] = []
    for low, high in zip((0, *WIDTHS), (*WIDTHS, float("inf")), strict=True):
        some = [photo for photo in photos if photo.judged.width is not None and low <= photo.judged.width < high]
        found.append((f"{low} to {high:g} px" if high < float("inf") else f"{low} px and more", some))
    found.append(("no width known", [photo for photo in photos if photo.judged.width is None]))
    return [(name, some) for name, some in found if some]


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Reads of some confidence."""

    low: float
    high: float
    right: int
    wrong: int
    elsewhere: int

    @property
    def share_right(self) -> float | None:
        """Of the reads that can be judged."""
        return _share(self.right, self.right + self.wrong)


def calibration(photos: Sequence[Photo]) -> list[Bin]:
    """Count reads by confidence; the last bin holds certainty too."""
    reads = [read for photo in photos for read in photo.judged.reads]
    return [_bin(reads, low, high) for low, high in pairwise(CONFIDENCES)]


def sure(photos: Sequence[Photo]) -> Bin:
    """Count the reads that are meant to be right."""
    return _bin([read for photo in photos for read in photo.judged.reads], SURE, 1.0)


def _bin(reads: Sequence[Read], low: float, high: float) -> Bin:
    inside = [read for read in reads if low <= read.confidence and (read.confidence < high or high == 1.0)]
    verdicts = Counter(read.verdict for read in inside)
    return Bin(low=low, high=high, right=verdicts["right"], wrong=verdicts["wrong"], elsewhere=verdicts["elsewhere"])


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the value that `percent` of the values (at least one) do not exceed."""
    return float(np.percentile(values, percent))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
