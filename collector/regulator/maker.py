"""Makes the files of cycles that are over: what is touched, and settled, from the store into the spool. Blocking.

It does not matter when the samples come: those of now make the file of now, those of an outage make the files of the
cycles that had none. A cycle that has a file gets no other, since a file is sent once; what comes for it later stands
in the store and in the averages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from collector.averages.touched import Touch, Touched
from collector.regulator import files
from collector.regulator.files import CycleFile
from collector.regulator.settings import RegulatorSettings
from collector.regulator.spool import Spool
from collector.stores import ReadingRow, Series, Store
from edge_agent.contract.device import Medium

CONSUMER = "regulator"
"""The name under which touched cycles are remembered."""
LIMIT = 10_000
"""Touched cycles looked at in one pass."""
LATEST_MS = 240_000
"""A cycle for which something new comes again and again is made after so long all the same."""
DAY_MS = 86_400_000
_APART_MS = 3_600_000
"""Cycles of one station that are no further apart are read from the store together."""
_ROWS = 200_000
"""Of one quantity in at most a day."""


class Maker:
    """Makes files of the stations that send."""

    def __init__(
        self, settings: RegulatorSettings, media: Mapping[str, Medium], store: Store, touched: Touched, spool: Spool
    ) -> None:
        """`media` says for every station that sends what it measures."""
        self._settings = settings
        self._media = media
        self._store = store
        self._touched = touched
        self._spool = spool
        self._settling: dict[tuple[str, int], tuple[int, int, int]] = {}
        """Station and cycle: the touch, when it was seen, and when the first of the cycle was."""

    def once(self, now: int) -> int:
        """Make what is ready at `now` (ms); returns how many files.

        Raises StoreError, or an error of SQLAlchemy; then what was not made is made the next time.
        """
        touches = self._touched.take(CONSUMER, before=now, limit=LIMIT)
        oldest = now - self._settings.keep_days * DAY_MS
        idle = [t for t in touches if t.station not in self._settings.stations or t.start < oldest]
        self._touched.done(CONSUMER, idle)
        ready = self._settled([t for t in touches if t.station in self._settings.stations and t.start >= oldest], now)
        made = 0
        for together in _spans(ready):
            made += self._spool.add(list(self._files(together)))
            self._touched.done(CONSUMER, together)
        return made

    def _settled(self, touches: Sequence[Touch], now: int) -> list[Touch]:
        """Those for which nothing new came for the time that the settings say."""
        settling: dict[tuple[str, int], tuple[int, int, int]] = {}
        ready: list[Touch] = []
        for touch in touches:
            key = (touch.station, touch.start)
            seen, since, first = self._settling.get(key, (touch.seen, now, now))
            if seen != touch.seen:
                since = now
            if now - since >= self._settings.settle_s * 1000 or now - first >= LATEST_MS:
                ready.append(touch)
            else:
                settling[key] = (touch.seen, since, first)
        self._settling = settling
        return ready

    def _files(self, touches: Sequence[Touch]) -> Iterator[CycleFile]:
        name, step = touches[0].station, self._settings.cycle_ms
        start, stop = touches[0].start, touches[-1].start + step
        made = self._spool.made(name, start, stop)
        wanted = [touch.start for touch in touches if touch.start not in made]
        station = self._settings.stations[name]
        samples: dict[str, dict[int, list[ReadingRow]]] = {}
        for quantity in station.parameters if wanted else ():
            series = Series(measurement=self._media[name], station=name, quantity=quantity, start=start, stop=stop)
            rows = self._store.readings(series, limit=_ROWS)
            samples[quantity] = {at: list(cycle) for at, cycle in groupby(rows, lambda row: row.at // step * step)}
        for cycle in wanted:
            made_of = {quantity: by_cycle.get(cycle, []) for quantity, by_cycle in samples.items()}
            file = cycle_file(self._settings, name, cycle, made_of)
            if file is not None:
                yield file


def cycle_file(
    settings: RegulatorSettings, name: str, cycle: int, samples: Mapping[str, Sequence[ReadingRow]]
) -> CycleFile | None:
    """The file of a cycle that begins at `cycle` (ms), of the samples by quantity; None where there is none to make."""
    station = settings.stations[name]
    server = settings.servers[station.server]
    if not any(samples.values()):
        return None
    outcomes = {quantity: files.outcome(quantity, rows, server.value) for quantity, rows in samples.items()}
    at = files.stamp(server, cycle, settings.cycle_ms)
    content = files.content(server, station, at, outcomes)
    return CycleFile(name, cycle, files.name(server, station, at), content) if content else None


def _spans(touches: Sequence[Touch]) -> Iterator[list[Touch]]:
    """Touches of one station that are near each other, at most a day of them at a time."""
    span: list[Touch] = []
    for touch in sorted(touches):
        if span and (
            touch.station != span[0].station
            or touch.start - span[-1].start > _APART_MS
            or touch.start - span[0].start >= DAY_MS
        ):
            yield span
            span = []
        span.append(touch)
    if span:
        yield span
