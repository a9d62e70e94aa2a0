"""Quality flags for readings, from their values and their true neighbours in time; pure, by column.

Tests (the worst wins; raw values are never changed):

    no value                                              9 missing
    gross range      outside the registry's range         4 fail; outside the settings' narrower range 3 suspect
    spike            above, or below, both neighbours     by more than spike_suspect 3, spike_fail 4
    rate of change   since the neighbour before           faster than rate_per_min 3
    flat line        within flat_tolerance of the value   for flat_suspect_s 3, flat_fail_s 4
                     with which the run began
    status           calibrating or an unknown code 3, fault 4

Everything else is 1, pass: the gross range always applies, so 2 (not evaluated) is never given here.

A point's spike test needs its next neighbour. It is flagged without, and revised, only to the worse, when that comes:
`Judged.revisions`. Neighbours are points of the same box and quantity with a sound value (in the gross range, plainly
measured) at most `max_gap_s` apart. The pace of a point behind a spike is taken from the point before the spike.

Boxes send fresh samples first and their backlog beside them, so a series grows in several places at once. Each such
segment remembers its last points, and a block continues the segment that ends last before it. Over the seam where a
backlog meets newer samples nothing is compared, nor over a restart of the collector. However samples are cut into
blocks, their flags are the same in the end.
"""

from __future__ import annotations

import msgspec
import numpy as np

from collector.quality.qartod import Bools, Flags, Floats, Tail, Tests, Times, extend, ranges
from collector.quality.settings import QualitySettings
from edge_agent.contract.packs import Block


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A flag that got worse after its point had been judged."""

    quantity: int
    at: int
    flag: int


class Judged(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the tests say of one block; rows are quantities and columns are samples, as in the block."""

    values: Floats
    """In the registry's units; NaN where there is none."""
    flags: Flags
    revisions: tuple[Revision, ...]
    """Of points of earlier blocks."""


class _Segment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a stretch of samples ends."""

    end: int
    """Time of the last sample, sound or not."""
    step: int
    """Time between the last two samples; 0 if there was only one."""
    tail: Tail


_Key = tuple[str, tuple[int, ...]]
"""A box and the quantities that it sends together."""

SETS = 32
"""Sets of quantities that are remembered of one box: more than its sensors can be."""


class Quality:
    """Judges the readings of every box; one thread uses it.

    What it remembers is bounded: boxes times SETS times `QualitySettings.open_segments`.
    """

    def __init__(self, settings: QualitySettings | None = None) -> None:
        self._settings = settings or QualitySettings()
        self._tests: dict[_Key, Tests] = {}
        self._segments: dict[_Key, tuple[_Segment, ...]] = {}
        """The one that grew last stands last."""
        self._kept: dict[_Key, tuple[_Segment, ...]] = {}
        """What `_segments` held at the last `keep`, where it has changed since."""
        self._sets: dict[str, list[tuple[int, ...]]] = {}
        """Of each box, in the order in which they came."""

    def judge(self, device: str, block: Block) -> Judged:
        """Flag the readings of a block, which may lie anywhere in time."""
        key = (device, block.quantities)
        tests = self._tests.get(key)
        if tests is None:
            tests = self._tests[key] = self._meet(key)
        shape = (len(block.quantities), len(block.at))
        values = np.array(block.columns, np.float64).reshape(shape) / tests.divisor
        flags, sound = ranges(values, tests, block.status)
        if not values.size:
            return Judged(values=values, flags=flags, revisions=())
        at = np.array(block.at, np.int64)
        if (at[1:] > at[:-1]).all():
            new, revisions = self._neighbours(key, at, values, flags, sound=sound, tests=tests)
        else:
            order = np.argsort(at, kind="stable")
            new, revisions = self._neighbours(
                key, at[order], values[:, order], flags[:, order], sound=sound[:, order], tests=tests
            )
            new = new[:, np.argsort(order)]
        return Judged(values=values, flags=new, revisions=tuple(revisions))

    def keep(self) -> None:
        """Say that all that was judged is stored: it will not come again."""
        self._kept.clear()

    def undo(self) -> None:
        """Say that what was judged since `keep` is not stored: it will come again, and shall be judged as if new."""
        self._segments.update(self._kept)
        self._kept.clear()

    def _meet(self, key: _Key) -> Tests:
        """The tests for a set of quantities that is new; the box's oldest makes room if there are too many."""
        known = self._sets.setdefault(key[0], [])
        known.append(key[1])
        if len(known) > SETS:
            oldest = (key[0], known.pop(0))
            del self._tests[oldest]
            self._segments.pop(oldest, None)
            self._kept.pop(oldest, None)
        return Tests.of(self._settings, *key)

    def _neighbours(
        self, key: _Key, at: Times, values: Floats, flags: Flags, *, sound: Bools, tests: Tests
    ) -> tuple[Flags, list[Revision]]:
        """Run the tests that need neighbours on samples in order of time; gives the flags made worse."""
        first, end = int(at[0]), int(at[-1])
        segments = self._segments.get(key, ())
        self._kept.setdefault(key, segments)
        before = [s for s in segments if s.end < first <= s.end + tests.max_gap]
        last = max(before, key=lambda s: s.end) if before else None
        tail, flags, revised = _continue(
            last.tail if last else Tail.new(len(values)), at, values, flags, sound=sound, tests=tests
        )
        step = end - int(at[-2]) if len(at) > 1 else first - last.end if last else 0
        # A jump may be a hole that the backlog fills later: then the end before it stays open too.
        jumped = last is not None and 0 < 1.5 * last.step < first - last.end
        others = [s for s in segments if s is not last or jumped]
        self._segments[key] = (*others[1 - self._settings.open_segments :], _Segment(end=end, step=step, tail=tail))
        if last is None or not revised.any():
            return flags, []
        return flags, [
            Revision(quantity=key[1][row], at=int(last.tail.at[row, 1]), flag=int(revised[row]))
            for row in np.flatnonzero(revised)
        ]


def _continue(
    tail: Tail, at: Times, values: Floats, flags: Flags, *, sound: Bools, tests: Tests
) -> tuple[Tail, Flags, Flags]:
    """As `extend`, for samples that are not all sound: each set of quantities with the same gaps by itself."""
    if sound.all() and (tail.at == tail.at[0]).all():
        return extend(tail, at, values, flags, tests)
    alike: dict[bytes, list[int]] = {}
    for row in range(len(values)):
        if sound[row].any():
            alike.setdefault(sound[row].tobytes() + tail.at[row].tobytes(), []).append(row)
    tail, all_flags, revised = tail.rows(list(range(len(values)))), flags.copy(), np.zeros(len(values), np.uint8)
    for rows in alike.values():
        kept = np.flatnonzero(sound[rows[0]])
        place = np.ix_(np.array(rows), kept)
        part, all_flags[place], revised[rows] = extend(
            tail.rows(rows), at[kept], values[place], flags[place], tests.rows(rows)
        )
        tail.put(rows, part)
    return tail, all_flags, revised
