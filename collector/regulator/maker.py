"""Makes the files of cycles that are over: what is touched, and settled, from the store into the spool. Blocking.

It does not matter when the samples come: those of now make the file of now, those of an outage make the files of the
cycles that had none. A cycle that has a file gets no other, since a file is sent once; what comes for it later stands
in the store and in the averages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from collector.averages.touched import Touch, Touched
from collector.regulator import files
from collector.regulator.cycles import lead_ms, outcomes
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
        mine = [t for t in touches if t.start >= oldest and self._is_cycle(t)]
        self._touched.done(CONSUMER, list(set(touches) - set(mine)))
        ready = self._settled(mine, now)
        made = 0
        for together in _spans(ready):
            made += self._spool.add(self._files(together))
            self._touched.done(CONSUMER, together)
        return made

    def _is_cycle(self, touch: Touch) -> bool:
        """Of a station that sends, and of this length: the setting may have been another when it was noted."""
        return touch.station in self._settings.stations and touch.stop - touch.start == self._settings.cycle_ms

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

    def _files(self, touches: Sequence[Touch]) -> list[CycleFile]:
        name, step = touches[0].station, self._settings.cycle_ms
        start, stop = touches[0].start, touches[-1].start + step
        made = self._spool.made(name, start, stop)
        wanted = [touch.start for touch in touches if touch.start not in made]
        samples: dict[str, list[ReadingRow]] = {}
        for quantity in self._settings.stations[name].parameters if wanted else ():
            span = {"start": start - lead_ms(quantity), "stop": stop}
            series = Series(measurement=self._media[name], station=name, quantity=quantity, **span)
            samples[quantity] = self._store.readings(series, limit=_ROWS)
        return make_files(self._settings, name, wanted, samples)


def make_files(
    settings: RegulatorSettings, name: str, cycles: Sequence[int], samples: Mapping[str, Sequence[ReadingRow]]
) -> list[CycleFile]:
    """The files of a station's cycles that begin at `cycles` (ms), of its samples by quantity; none without a line."""
    station = settings.stations[name]
    server, step = settings.servers[station.server], settings.cycle_ms
    found = {quantity: outcomes(quantity, rows, cycles, step, server.value) for quantity, rows in samples.items()}
    made: list[CycleFile] = []
    for cycle in cycles:
        at = files.stamp(server, cycle, step)
        of_cycle = {quantity: by_cycle[cycle] for quantity, by_cycle in found.items() if cycle in by_cycle}
        content = files.content(server, station, at, of_cycle) if of_cycle else b""
        if content:
            made.append(CycleFile(name, cycle, files.name(server, station, at), content))
    return made


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
