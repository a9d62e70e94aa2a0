"""Quality flags for readings, from their values and their true neighbours in time and space; pure, by column.

Tests (the worst wins; raw values are never changed):

    no value                                              9 missing
    gross range      outside the registry's range         4 fail; outside the settings' narrower range 3 suspect
    climatology      outside what is usual in its month   3
    spike            above, or below, both neighbours     by more than spike_suspect 3, spike_fail 4
    rate of change   since the neighbour before           faster than rate_per_min 3
    flat line        within flat_tolerance of the value   for flat_suspect_s 3, flat_fail_s 4
                     with which the run began
    attenuated       moves too little over a window       3, 4
    neighbours       far from the median of the stations  3
                     around it
    twins            far from the second sensor           3, both
    status           calibrating or an unknown code 3, fault 4

Everything else is 1, pass: the gross range always applies, so 2 (not evaluated) is never given here.

A point's spike test needs its next neighbour, and the test of twins the other's value. It is flagged without, and
revised, only to the worse, when that comes: `Judged.revisions`. Neighbours in time are points of the same box and
quantity with a sound value (in the gross range, plainly measured) at most `max_gap_s` apart. The pace of a point behind
a spike is taken from the point before the spike. A gap flags nothing: it is told (`Judged.gaps`).

Boxes send fresh samples first and their backlog beside them, so a series grows in several places at once. Each such
segment remembers its last points, and a block continues the segment that ends last before it. Over the seam where a
backlog meets newer samples nothing is compared, nor over a restart of the collector. After a restart every series
begins anew, as after a gap: a spike, a jump or a flat line across it goes without its flag, windows are judged again
when they are whole, and no good value gets a flag for it, save that the pace of the next value is measured from the
first, which nothing can show to be a spike. However samples are cut into blocks, their flags are the same in the end;
only what the neighbours said depends on who came first.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from collector.quality.attenuation import Test, Window, attenuated
from collector.quality.companions import Companions, Derived, Revision
from collector.quality.gaps import Gap, Gaps
from collector.quality.memory import Memory
from collector.quality.neighbourhood import Neighbourhood, View, alone
from collector.quality.qartod import Flags, Floats, Samples, Tail, Tests, extend, ranges
from collector.quality.settings import QualitySettings
from edge_agent.contract.device import Box
from edge_agent.contract.packs import Block


class Judged(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the tests say of one block; rows are quantities and columns are samples, as in the block."""

    values: Floats
    """In the registry's units; NaN where there is none."""
    flags: Flags
    revisions: tuple[Revision, ...]
    """Of points of earlier blocks."""
    derived: tuple[Derived, ...] = ()
    """Computed points that this block makes or changes."""
    gaps: tuple[Gap, ...] = ()
    """Seen now; what comes later may fill them."""


class _Segment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a stretch of samples ends."""

    end: int
    """Time of the last sample, sound or not."""
    step: int
    """Time between the last two samples; 0 if there was only one."""
    tail: Tail
    windows: tuple[Window, ...]


class _Plan(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The tests of a set of quantities: by next neighbours in time, by windows, by neighbours in space."""

    tests: Tests
    windowed: tuple[Test, ...]
    views: tuple[View, ...]


_Key = tuple[str, tuple[int, ...]]
"""A box and the quantities that it sends together."""

SETS = 32
"""Sets of quantities that are remembered of one box: more than its sensors can be."""


class Quality:
    """Judges the readings of every box; one thread uses it.

    What it remembers is bounded: boxes times SETS times `QualitySettings.open_segments`, and the bounds of the tests'
    own modules.
    """

    def __init__(
        self, settings: QualitySettings | None = None, fleet: Mapping[str, Box] | None = None, *, began: int = 0
    ) -> None:
        """fleet: the boxes, whose positions and media say who is whose neighbour; began: when (ms UTC) this collector
        did, since gaps from before are not known."""
        self._settings = settings or QualitySettings()
        self._plans: dict[_Key, _Plan] = {}
        self._segments: Memory[_Key, tuple[_Segment, ...]] = Memory()
        """The one that grew last stands last."""
        self._sets: dict[str, list[tuple[int, ...]]] = {}
        """Of each box, in the order in which they came."""
        self._gaps = Gaps(self._settings, began)
        self._companions = Companions(self._settings)
        self._around = Neighbourhood(self._settings, fleet or {})

    def judge(self, device: str, block: Block) -> Judged:
        """Flag the readings of a block, which may lie anywhere in time."""
        key = (device, block.quantities)
        tests = (self._plans.get(key) or self._meet(key)).tests
        at = np.array(block.at, np.int64)
        ticks = np.array(block.columns, np.float64).reshape(len(block.quantities), len(at))
        values = ticks / tests.divisor
        flags, sound = ranges(at, values, tests, block.status)
        if not values.size:
            return Judged(values=values, flags=flags, revisions=())
        if (at[1:] > at[:-1]).all():
            return self._judge(key, Samples(at=at, ticks=ticks, values=values, flags=flags, sound=sound))
        order = np.argsort(at, kind="stable")
        judged = self._judge(
            key,
            Samples(
                at=at[order],
                ticks=ticks[:, order],
                values=values[:, order],
                flags=flags[:, order],
                sound=sound[:, order],
            ),
        )
        return msgspec.structs.replace(judged, values=values, flags=judged.flags[:, np.argsort(order)])

    def keep(self) -> None:
        """Say that all that was judged is stored: it will not come again."""
        for memory in (self._segments, self._gaps.series, self._companions.recent):
            memory.keep()

    def undo(self) -> None:
        """Say that what was judged since `keep` is not stored: it will come again, and shall be judged as if new.

        Only what it told its neighbours stands.
        """
        for memory in (self._segments, self._gaps.series, self._companions.recent):
            memory.undo()

    def _meet(self, key: _Key) -> _Plan:
        """The tests for a set of quantities that is new; the box's oldest makes room if there are too many."""
        known = self._sets.setdefault(key[0], [])
        known.append(key[1])
        if len(known) > SETS:
            oldest = (key[0], known.pop(0))
            del self._plans[oldest]
            self._segments.forget(oldest)
        self._plans[key] = _Plan(
            tests=Tests.of(self._settings, *key),
            windowed=Test.of(self._settings, *key),
            views=self._around.views(*key),
        )
        return self._plans[key]

    def _judge(self, key: _Key, samples: Samples) -> Judged:
        device, quantities = key
        for view in self._plans[key].views:
            _worsen(samples.flags, view.rows, alone(view, samples))
        flags, revisions = self._in_time(key, samples)
        flags, revisions, derived = self._companions.join(device, quantities, samples, flags, revisions)
        return Judged(
            values=samples.values,
            flags=flags,
            revisions=tuple(revisions),
            derived=derived,
            gaps=self._gaps.add(device, quantities, samples.at),
        )

    def _in_time(self, key: _Key, samples: Samples) -> tuple[Flags, list[Revision]]:
        """Run the tests that need neighbours in time; the next neighbours last, for a tail keeps the flags so far."""
        tests, windowed = self._plans[key].tests, self._plans[key].windowed
        at = samples.at
        first, end = int(at[0]), int(at[-1])
        segments = self._segments.get(key) or ()
        before = [s for s in segments if s.end < first <= s.end + tests.max_gap]
        last = max(before, key=lambda s: s.end) if before else None
        windows = _move(windowed, last.windows if last else tuple(map(Window.new, windowed)), samples)
        tail, flags, revised = _continue(last.tail if last else Tail.new(len(key[1])), samples, tests)
        step = end - int(at[-2]) if len(at) > 1 else first - last.end if last else 0
        # A jump may be a hole that the backlog fills later: then the end before it stays open too.
        jumped = last is not None and 0 < 1.5 * last.step < first - last.end
        others = [s for s in segments if s is not last or jumped]
        new = _Segment(end=end, step=step, tail=tail, windows=windows)
        self._segments.set(key, (*others[1 - self._settings.open_segments :], new))
        if last is None or not revised.any():
            return flags, []
        return flags, [
            Revision(quantity=key[1][row], at=int(last.tail.at[row, 1]), flag=int(revised[row]))
            for row in np.flatnonzero(revised)
        ]


def _continue(tail: Tail, samples: Samples, tests: Tests) -> tuple[Tail, Flags, Flags]:
    """As `extend`, for samples that are not all sound: each set of quantities with the same gaps by itself."""
    at, values, flags, sound = samples.at, samples.values, samples.flags, samples.sound
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


def _move(tests: tuple[Test, ...], windows: tuple[Window, ...], samples: Samples) -> tuple[Window, ...]:
    """Run the tests that look at windows, on the samples' own flags; gives the windows behind the samples."""
    moved = []
    for test, window in zip(tests, windows, strict=True):
        marks, after = attenuated(test, window, samples.at, samples.ticks[test.rows], samples.sound[test.rows])
        _worsen(samples.flags, test.rows, marks)
        moved.append(after)
    return tuple(moved)


def _worsen(flags: Flags, rows: list[int], marks: Flags) -> None:
    flags[rows] = np.maximum(flags[rows], marks)
