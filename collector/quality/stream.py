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

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakValueDictionary

import msgspec
import numpy as np

from collector.quality.attenuation import Test, Window, attenuated
from collector.quality.companions import Companions, Derived, Revision
from collector.quality.gaps import Gap, Gaps
from collector.quality.lot import Lot
from collector.quality.memory import Memory
from collector.quality.neighbourhood import Neighbourhood, View, alone
from collector.quality.qartod import Flags, Floats, Tests
from collector.quality.segment import Segment
from collector.quality.settings import QualitySettings
from collector.quality.sharing import Remembered
from collector.quality.tails import LAST, extend, no_tail
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


class _Plan(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The tests of a set of quantities: by next neighbours in time, by windows, by neighbours in space."""

    tests: Tests
    """Boxes for which the same is set share it."""
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
        self,
        settings: QualitySettings | None = None,
        fleet: Mapping[str, Box] | None = None,
        *,
        began: int = 0,
        pace: Callable[[str, int], int | None] | None = None,
    ) -> None:
        """fleet: the boxes, whose positions and media say who is whose neighbour; began: when (ms UTC) this collector
        did, since gaps from before are not known; pace: given where other collectors judge samples of the same boxes,
        the ms from one sample of a station's quantity to the next, if known. What is further apart is not compared
        then, as the samples between are on their way."""
        self._pace = pace
        self._settings = settings or QualitySettings()
        self._plans: dict[_Key, _Plan] = {}
        self._tests: WeakValueDictionary[_Key, Tests] = WeakValueDictionary()
        """By station, "" for all of which nothing else is said, and quantities."""
        self._segments: Memory[_Key, tuple[Segment, ...]] = Memory()
        """The one that grew last stands last."""
        self._sets: dict[str, list[tuple[int, ...]]] = {}
        """Of each box, in the order in which they came."""
        self._gaps = Gaps(self._settings, began)
        self._companions = Companions(self._settings)
        self._around = Neighbourhood(self._settings, fleet or {})

    def judge(self, device: str, block: Block) -> Judged:
        """Flag the readings of a block, which may lie anywhere in time."""
        return self.judge_all([(device, block)])[0]

    def judge_all(self, blocks: Sequence[tuple[str, Block]]) -> list[Judged]:
        """Flag blocks of any boxes, those of one box in the order in which they came.

        The result is that of `judge` for one after the other, save that it is not said which box the neighbours in
        space heard first.
        """
        judged: dict[int, Judged] = {}
        lots: dict[tuple[int, Tests], list[int]] = {}
        turns: Counter[str] = Counter()
        for i, (device, block) in enumerate(blocks):
            key = (device, block.quantities)
            if not block.at or not block.quantities:
                none = np.empty((len(block.quantities), len(block.at)))
                judged[i] = Judged(values=none, flags=none.astype(np.uint8), revisions=())
                continue
            if key not in self._plans:
                if len(self._sets.get(device, ())) == SETS:  # the set that makes room must not be waiting here
                    self._judge_lots(blocks, lots, judged)
                self._meet(key)
            lots.setdefault((turns[device], self._plans[key].tests), []).append(i)
            turns[device] += 1
        self._judge_lots(blocks, lots, judged)
        return [judged[i] for i in range(len(blocks))]

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

    def remembered(self, device: str) -> Remembered:
        """What the next block of a box rests on, but for what its neighbours said."""
        sets = self._sets.get(device, [])
        numbers = sorted({number for quantities in sets for number in quantities})
        return Remembered(
            segments=[(one, known) for one in sets if (known := self._segments.get((device, one)))],
            series=[(n, series) for n in numbers if (series := self._gaps.series.get((device, n)))],
            recent=[(n, recent) for n in numbers if (recent := self._companions.recent.get((device, n)))],
        )

    def recall(self, device: str, remembered: Remembered) -> None:
        """Remember of a box what another collector with the same settings did; no `undo` takes it back."""
        self.begin_anew(device)
        for quantities, segments in remembered.segments:
            if (device, quantities) not in self._plans:
                self._meet((device, quantities))
            self._segments.set((device, quantities), segments)
        for number, series in remembered.series:
            self._gaps.series.set((device, number), series)
        for number, recent in remembered.recent:
            self._companions.recent.set((device, number), recent)
        self.keep()

    def begin_anew(self, device: str) -> None:
        """Forget the samples of a box: what comes next is not compared with them, as after a restart."""
        for quantities in self._sets.get(device, ()):
            self._segments.forget((device, quantities))
            for number in quantities:
                self._companions.recent.forget((device, number))

    def _meet(self, key: _Key) -> None:
        """Plan the tests for a set of quantities that is new; the box's oldest makes room if there are too many."""
        device, quantities = key
        known = self._sets.setdefault(device, [])
        known.append(quantities)
        if len(known) > SETS:
            oldest = (device, known.pop(0))
            del self._plans[oldest]
            self._segments.forget(oldest)
        shared = (device if device in self._settings.stations else "", quantities)
        tests = self._tests.get(shared)
        if tests is None:
            tests = self._tests[shared] = Tests.of(self._settings, *key, careful=self._pace is not None)
        self._plans[key] = _Plan(tests=tests, windowed=Test.of(self._settings, *key), views=self._around.views(*key))

    def _judge_lots(
        self, blocks: Sequence[tuple[str, Block]], lots: dict[tuple[int, Tests], list[int]], judged: dict[int, Judged]
    ) -> None:
        """Judge together what has the same tests, a box's blocks one after the other; nothing is left in `lots`."""
        for (_, tests), indices in sorted(lots.items(), key=lambda lot: lot[0][0]):
            lot = Lot.of([blocks[i][1] for i in indices], tests)
            devices = [blocks[i][0] for i in indices]
            judged |= zip(indices, self._judge_lot(devices, blocks[indices[0]][1].quantities, lot, tests), strict=True)
        lots.clear()

    def _judge_lot(self, devices: Sequence[str], quantities: tuple[int, ...], lot: Lot, tests: Tests) -> list[Judged]:
        keys, places = [(device, quantities) for device in devices], lot.places()
        views = [self._plans[key].views for key in keys]
        if any(views):
            alone(views, lot.samples, lot.stops)
        flags, revised = self._in_time(keys, lot, tests)
        samples, judged = lot.samples, []
        for i, (device, place) in enumerate(zip(devices, places, strict=True)):
            own, revisions = flags[:, place], revised.get(i, [])
            derived: tuple[Derived, ...] = ()
            if self._companions.watches(device, quantities):
                own, revisions, derived = self._companions.join(device, quantities, samples.part(place), own, revisions)
            came = slice(None) if lot.came is None else lot.came[place] - place.start
            judged.append(
                Judged(
                    values=samples.values[:, place][:, came],
                    flags=own[:, came],
                    revisions=tuple(revisions),
                    derived=derived,
                    gaps=self._gaps.add(device, quantities, samples.at[place]),
                )
            )
        return judged

    def _in_time(self, keys: Sequence[_Key], lot: Lot, tests: Tests) -> tuple[Flags, dict[int, list[Revision]]]:
        """Run the tests that need neighbours in time; the next neighbours last, for a tail keeps the flags so far.

        Gives the flags, and the revisions of each box that has some, by its place in the lot.
        """
        at, stops = lot.samples.at, lot.stops
        places = lot.places()
        firsts, ends = at[[place.start for place in places]].tolist(), at[stops - 1].tolist()
        befores = at[stops - 2].tolist()
        lasts = [self._before(key, first, tests) for key, first in zip(keys, firsts, strict=True)]
        windows = _move(self._plans[keys[0]].windowed, lasts, lot)
        fresh = no_tail(len(tests.divisor))
        jumps = [last is not None and last.jumps_to(first) for last, first in zip(lasts, firsts, strict=True)]
        near = [
            last if last and self._follows(key, last, first) else None
            for key, last, first in zip(keys, lasts, firsts, strict=True)
        ]
        tails = np.stack([last.tail if last else fresh for last in near], axis=2)
        after, flags, revised = extend(tails, lot.samples, stops, tests)
        for i, (key, last, place) in enumerate(zip(keys, lasts, places, strict=True)):
            alone = place.stop - place.start == 1
            step = ends[i] - befores[i] if not alone else ends[i] - last.end if last else 0
            segment = Segment(end=ends[i], step=step, tail=after[:, :, i].copy(), windows=windows[i])
            # A jump may be a hole that the backlog fills later: then the end before it stays open too.
            others = [s for s in self._segments.get(key) or () if s is not last or jumps[i]]
            self._segments.set(key, (*others[1 - self._settings.open_segments :], segment))
        found: dict[int, list[Revision]] = {}
        for box, row in np.argwhere(revised.T).tolist():
            revision = Revision(quantity=keys[box][1][row], at=int(tails[LAST, row, box]), flag=int(revised[row, box]))
            found.setdefault(box, []).append(revision)
        return flags, found

    def _follows(self, key: _Key, last: Segment, first: int) -> bool:
        """Whether nothing can be on its way between a segment and what comes behind it."""
        if self._pace is None:
            return True
        paces = [pace for number in key[1] if (pace := self._pace(key[0], number))]
        return bool(paces) and first - last.end < 1.5 * min(paces)

    def _before(self, key: _Key, first: int, tests: Tests) -> Segment | None:
        """The segment that a block continues which begins at `first`."""
        before = [s for s in self._segments.get(key) or () if s.end < first <= s.end + tests.max_gap]
        return max(before, key=lambda s: s.end) if before else None


def _move(tests: tuple[Test, ...], lasts: Sequence[Segment | None], lot: Lot) -> list[tuple[Window, ...]]:
    """Run the tests that look at windows, on the samples' own flags; gives each box's windows behind its samples."""
    samples, moved = lot.samples, []
    for i, test in enumerate(tests):
        before = [last.windows[i] if last else Window.new(test) for last in lasts]
        ticks, sound = samples.ticks[test.rows], samples.sound[test.rows]
        marks, after = attenuated(test, before, samples.at, ticks, sound, lot.stops)
        _worsen(samples.flags, test.rows, marks)
        moved.append(after)
    return list(zip(*moved, strict=True)) if tests else [()] * len(lasts)


def _worsen(flags: Flags, rows: list[int], marks: Flags) -> None:
    flags[rows] = np.maximum(flags[rows], marks)
