"""Blocks of readings for the tests of quality, and what a store holds after all that was judged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from collector.quality import Gap, Judged
from edge_agent.contract.packs import Block
from edge_agent.contract.quantities import BY_NAME, BY_NUMBER

T0 = 1_780_012_800_000
"""A whole hour: 2026-05-29 07:00 on the island."""
MINUTE = 60_000


def block(first: int = 0, *, times: Sequence[int] | None = None, status: dict | None = None, **columns) -> Block:
    """Quantities with their values, a sample a minute from minute `first` on, or at these times (ms)."""
    n = len(next(iter(columns.values())))
    at = list(times) if times is not None else [T0 + (first + i) * MINUTE for i in range(n)]
    ticks = [[None if v is None else BY_NAME[name].ticks(v) for v in values] for name, values in columns.items()]
    numbers = tuple(BY_NAME[name].number for name in columns)
    return Block(quantities=numbers, at=at, columns=ticks, status=status or {})


def flags(judged: Judged, row: int = 0) -> list[int]:
    return judged.flags[row].tolist()


class Kept:
    """The flags, computed points and gaps of one station as they stand after all that was judged."""

    def __init__(self, gap_ms: int = 10**12) -> None:
        self.flags: dict[tuple[str, int], int] = {}
        self.derived: dict[int, tuple[str, int]] = {}
        self.gaps: set[Gap] = set()
        self._gap_ms = gap_ms

    def take(self, part: Block, judged: Judged) -> None:
        for number, row in zip(part.quantities, judged.flags.tolist(), strict=True):
            self.flags |= {(BY_NUMBER[number].name, at): flag for at, flag in zip(part.at, row, strict=True)}
            for gap in [g for g in self.gaps if g.quantity == number]:
                self.gaps.remove(gap)
                self.gaps.update(remaining(gap, sorted(part.at), self._gap_ms))
        for revision in judged.revisions:
            point = BY_NUMBER[revision.quantity].name, revision.at
            assert self.flags[point] < revision.flag, "a revision makes a flag worse"
            self.flags[point] = revision.flag
        for derived in judged.derived:
            columns = (derived.at.tolist(), derived.values.tolist(), derived.flags.tolist())
            self.derived |= {at: (repr(value), flag) for at, value, flag in zip(*columns, strict=True)}
        self.gaps.update(judged.gaps)


def remaining(gap: Gap, at: Sequence[int], gap_ms: int) -> list[Gap]:
    """What samples that came late (`at`, rising) leave of a gap that was told before."""
    times = (gap.since, *(t for t in at if gap.since < t < gap.until), gap.until)
    return [Gap(quantity=gap.quantity, since=a, until=b) for a, b in pairwise(times) if b - a > gap_ms]
