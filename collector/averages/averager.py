"""Keeps the averages and air quality indices in the store: made once their time has ended, and again for late data.

    samples stored -> hours touched -> <medium>_1h -> touched periods -> <medium>_8h, _24h, _month, aqi_1h, aqi_24h

What is to be made stands in the database until it is written (see `touched.py`), in both steps, so a collector that
ends anywhere goes on where it was. Only what holds a touched hour is made again: eight running means, its day and
month, twelve hours of NowCast, the day's index and, by the running means of ozone, that of the day after. However far
apart the touched hours lie, the years between them are not walked, and what lies in the future waits until it has
passed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.averages.aqi import DUST, GASES, NOWCAST_HOURS
from collector.averages.indices import BACK_MS, LENGTH_MS
from collector.averages.indices import frame as index_frame
from collector.averages.means import Means
from collector.averages.periods import DAY, HOUR, LONGER, Period, Times, end_of_last, holding, stops
from collector.averages.source import Source, frame
from collector.averages.touched import Touch, Touched
from collector.database import UNAVAILABLE
from collector.points import Column, Frame
from collector.stores import RejectedError, StoreError, Table
from edge_agent.contract.device import Box

log = logging.getLogger(__name__)

EVERY_S = 10.0
AT_ONCE, ROUND_S = 2000, 1.0
"""Periods of one kind that one round makes, of all stations together, and how long it goes on to the next station."""
REST = 4
"""Times as long as a round the averages rest while boxes wait: what is fresh goes first, but they never stand still."""
SAMPLES_MS, HOURS_MS = 2 * DAY, 62 * DAY
"""How much of a station is read at once."""
CONSUMER = "averages"

_Made = tuple[Times, Frame]
"""Periods of one station that were made anew, and the points that came of them."""


class Averager(msgspec.Struct, frozen=True, kw_only=True):
    """Makes what is due; `run` does it until it is cancelled."""

    fleet: Mapping[str, Box]
    touched: Touched
    """Notes the hours under CONSUMER."""
    source: Source
    settle_ms: int
    literal_nowcast: bool
    writing: Executor
    """The thread in which the store writes."""
    thread: Executor
    """The thread in which `round` reads and counts."""
    crowded: Callable[[], bool] = lambda: False
    """Whether what boxes have sent waits for the sinks."""
    duty: Callable[[], bool] = lambda: True
    """Whether averages are made here, or by another collector."""
    written: Callable[[Sequence[Frame]], None] = lambda _: None
    """Told of what was written, in the writing thread; an error that it raises makes the same be written again."""

    async def run(self, now: Callable[[], int]) -> None:
        """Make what is due, again and again, until it is cancelled."""
        trouble = ""
        while True:
            busy, began = False, time.monotonic()
            try:
                if self.duty():
                    busy = await asyncio.get_running_loop().run_in_executor(self.thread, self.round, now())
            except (StoreError, *UNAVAILABLE) as error:
                if str(error) != trouble:
                    log.error("averages: %s; made when it works again", error)  # noqa: TRY400
                trouble = str(error)
            else:
                trouble = ""
            if not busy:
                await asyncio.sleep(EVERY_S)
            elif self.crowded():
                await asyncio.sleep(REST * (time.monotonic() - began))

    def round(self, now: int) -> bool:
        """Make some of what is due at `now` (ms); tells whether there is more. Blocks, and may raise StoreError."""
        before = now - self.settle_ms
        if self._step(CONSUMER, before, partial(self._hours, before)):
            return True  # what is made of hours waits for all of a backlog, lest it be made again and again
        busy = False
        for period in LONGER:
            busy |= self._step(_consumer(period), before, partial(self._longer, period))
        for measurement in ("aqi_1h", "aqi_24h"):
            busy |= self._step(_consumer(measurement), before, partial(self._indices, measurement))
        return busy

    def _step(self, consumer: str, before: int, make: Callable[[Box, Times], Iterator[_Made]]) -> bool:
        """Make and write what one consumer's touches ask for; tells whether there may be more."""
        touches = self.touched.take(consumer, before=before, limit=AT_ONCE)
        by_station: dict[str, list[Touch]] = {}
        for touch in touches:
            by_station.setdefault(touch.station, []).append(touch)
        made: list[_Made] = []
        dealt: list[Touch] = []
        ends = time.monotonic() + ROUND_S
        for station, mine in by_station.items():
            box = self.fleet.get(station)
            if box is not None and box.medium is not None:
                made += make(box, np.array([touch.start for touch in mine], np.int64))
            dealt += mine
            if time.monotonic() > ends:
                break
        if made:
            self.writing.submit(self._write, made).result()
        self.touched.done(consumer, dealt)
        return len(touches) == AT_ONCE or len(dealt) < len(touches)

    def _hours(self, before: int, box: Box, touched: Times) -> Iterator[_Made]:
        # the first rise of a counter in an hour is since the hour before
        hours = np.union1d(touched, touched + HOUR)
        hours = hours[hours + HOUR <= before]
        for part in _parts(hours, SAMPLES_MS):
            means = self.source.of_samples(box, "1h", int(part[0]), int(part[-1]) + HOUR)
            yield part, frame(box, "1h", _only(means, part), self.source.rule.text(longer=False))
        periods = {period: holding(period, hours) for period in LONGER}
        self._note(box, {period: (starts, stops(period, starts)) for period, starts in periods.items()})
        if box.medium == "air":
            casts = np.unique(hours[:, None] + np.arange(NOWCAST_HOURS) * HOUR)
            days = holding("24h", np.concatenate((hours, hours + BACK_MS["aqi_24h"])))
            self._note(box, {"aqi_1h": (casts, casts + HOUR), "aqi_24h": (days, days + DAY)})

    def _note(self, box: Box, periods: Mapping[str, tuple[Times, Times]]) -> None:
        self.touched.note_periods([(_consumer(name), box.device, *ends) for name, ends in periods.items()])

    def _longer(self, period: Period, box: Box, touched: Times) -> Iterator[_Made]:
        for part in _parts(touched, HOURS_MS):
            first, last = int(part[0]), int(part[-1])
            hours = self.source.stored(box, "1h", first, end_of_last(period, last + 1))
            means = self.source.of_hours(box, period, hours, first, last + 1)
            yield part, frame(box, period, _only(means, part), self.source.rule.text(longer=True))

    def _indices(self, measurement: str, box: Box, touched: Times) -> Iterator[_Made]:
        for part in _parts(touched, HOURS_MS):
            first, last = int(part[0]) - BACK_MS[measurement], int(part[-1]) + LENGTH_MS[measurement]
            hours = self.source.stored(box, "1h", first, last, (*DUST, *GASES))
            found = self.source.indices(box, measurement, hours, part, literal=self.literal_nowcast)
            yield part, index_frame(box, measurement, found)

    def _write(self, made: Sequence[_Made]) -> None:
        """Write points, in the thread for it; where one has now less fields than before, it is erased first."""
        store = self.source.store
        for starts, points in made:
            station = points.tags["station"]
            first, last = int(starts[0]), int(starts[-1])
            old = store.tables(points.measurement, [station], start=first, stop=last + 1).get(station)
            if old is not None and (gone := _less(old, points, starts)):
                store.erase(points.measurement, station, gone)
        frames = [points for _, points in made if len(points.at)]
        try:
            store.write(frames)
        except RejectedError:
            frames = [points for points in frames if self._takes(points)]
        self.written(frames)

    def _takes(self, points: Frame) -> bool:
        try:
            self.source.store.write([points])
        except RejectedError:
            log.exception("averages: %s of %s left out", points.measurement, points.tags["station"])
            return False
        return True


def _consumer(name: str) -> str:
    return f"{CONSUMER} {name}"


def _parts(starts: Times, span: int) -> Iterator[Times]:
    """Sorted starts in groups that lie within a span."""
    starts = np.unique(starts)
    while len(starts):
        end = int(np.searchsorted(starts, starts[0] + span))
        yield starts[:end]
        starts = starts[end:]


def _only(means: Mapping[str, Means], starts: Times) -> dict[str, Means]:
    """The means of these periods and no others between them."""
    return {name: each.only(np.isin(each.at, starts)) for name, each in means.items()}


def _less(old: Table, new: Frame, starts: Times) -> list[int]:
    """When points that are made anew had a field before that they have no longer."""
    less = np.zeros(len(old.at), np.bool_)
    rows = {at: row for row, at in enumerate(new.at.tolist())}
    at = np.array([rows.get(at, -1) for at in old.at.tolist()], np.int64)
    for name, column in old.fields.items():
        had = np.array([value is not None for value in column]) if column.dtype.kind == "O" else ~np.isnan(column)
        less |= had & ((at < 0) | ~_there(new.fields.get(name), len(new.at))[at] if len(new.at) else np.True_)
    return [int(moment) for moment in old.at[less & np.isin(old.at, starts)]]


def _there(column: Column | None, n: int) -> NDArray[np.bool_]:
    if column is None:
        return np.zeros(n, np.bool_)
    if isinstance(column, list):
        return np.array([value is not None for value in column], np.bool_)
    return ~np.isnan(column) if column.dtype.kind == "f" else np.ones(n, np.bool_)
