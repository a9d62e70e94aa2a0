"""Holds what was stored against the limits, soon after it came, and again whenever late data change it.

Limits on single samples are judged for every touched hour, also for the one that still runs; limits on means when the
means are written. What opens or closes is said in the log, and the open events are handed on to be shown.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor

import msgspec

from collector.averages.periods import HOUR
from collector.averages.touched import Touched
from collector.database import UNAVAILABLE
from collector.points import Frame
from collector.standards.exceedances import Change, Exceedance, Exceedances, Finding
from collector.standards.judge import Mean, means, samples
from collector.standards.settings import StandardsSettings
from collector.standards.table import Limit, Standards
from collector.stores import ReadingRow, Series, Store, StoreError
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import MEDIA

log = logging.getLogger(__name__)

CONSUMER = "limits"
EVERY_S = 10.0
AT_ONCE = 500
"""Touched hours that one round takes."""
SHOWN_MS = 366 * 24 * HOUR


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Judges touched hours and written means."""

    settings: StandardsSettings
    standards: Standards
    fleet: dict[str, Box]
    touched: Touched
    store: Store
    exceedances: Exceedances
    thread: Executor
    show: Callable[[Sequence[Exceedance]], None]
    """Takes the events that are open now, in the event loop."""
    duty: Callable[[], bool] = lambda: True
    """Whether samples are judged here, or by another collector; open events are shown in any case."""

    async def run(self, now: Callable[[], int]) -> None:
        """Judge, again and again, until it is cancelled."""
        loop = asyncio.get_running_loop()
        trouble = ""
        while True:
            taken = 0
            try:
                if self.duty():
                    taken = await loop.run_in_executor(self.thread, self.round, now())
                self.show(await loop.run_in_executor(self.thread, self.open, now()))
            except (StoreError, *UNAVAILABLE) as error:
                if str(error) != trouble:
                    log.error("limits: %s; tried again", error)  # noqa: TRY400
                trouble, taken = str(error), 0
            else:
                trouble = ""
            if taken < AT_ONCE:
                await asyncio.sleep(EVERY_S)

    def round(self, now: int) -> int:
        """Judge the samples of the hours that were touched; gives how many hours there were. Blocks."""
        touches = self.touched.take(CONSUMER, before=now + HOUR, limit=AT_ONCE)
        hours: dict[str, list[int]] = {}
        for touch in touches:
            hours.setdefault(touch.station, []).append(touch.start)
        for station, starts in hours.items():
            by_quantity: dict[str, list[Limit]] = {}
            for limit in self.standards.of(station):
                if limit.averaging == "sample":
                    by_quantity.setdefault(limit.quantity, []).append(limit)
            for quantity, limits in by_quantity.items():
                for span in _spans(starts):
                    self._say(self.exceedances.enter(list(self._samples(station, quantity, limits, span))))
        self.touched.done(CONSUMER, touches)
        return len(touches)

    def written(self, frames: Iterable[Frame]) -> None:
        """Judge means as they were written, in the thread that wrote them; other points are passed over."""
        findings: list[Finding] = []
        for frame in frames:
            medium, _, averaging = frame.measurement.rpartition("_")
            station = frame.tags.get("station", "")
            if medium in MEDIA:
                for limit in self.standards.of(station):
                    if limit.averaging == averaging and limit.quantity in frame.fields:
                        findings += _judged(station, limit, frame)
        self._say(self.exceedances.enter(findings))

    def open(self, now: int) -> list[Exceedance]:
        """The events that are open now."""
        return self.exceedances.events(now - SHOWN_MS, now + 1, open_only=True)

    def alarms(self, limit: Limit) -> bool:
        """Whether somebody is to be called for it."""
        return limit.certainty in self.settings.alarm_on

    def _samples(self, station: str, quantity: str, limits: list[Limit], span: tuple[int, int]) -> Iterable[Finding]:
        medium = self.fleet[station].medium
        assert medium is not None
        series = Series(measurement=medium, station=station, quantity=quantity, start=span[0], stop=span[1])
        by_hour: dict[int, list[ReadingRow]] = {}
        for row in self.store.readings(series):
            by_hour.setdefault(row.at // HOUR * HOUR, []).append(row)
        for hour, rows in by_hour.items():
            yield from samples(station, hour, limits, rows)

    def _say(self, changes: Iterable[Change]) -> None:
        for change in changes:
            sure = "" if self.alarms(change.limit) else f" ({change.limit.certainty} limit, no alarm)"
            what = f"{change.station} {change.limit.quantity}: {change.limit.averaging} {change.limit}{sure}"
            if change.evidence is not None:
                log.warning("limits: %s broken, %g; %s", what, change.evidence.worst, change.limit.source)
            else:
                log.info("limits: %s kept again", what)


def _judged(station: str, limit: Limit, frame: Frame) -> Iterator[Finding]:
    columns = [frame.fields[limit.quantity + ending] for ending in ("", "_flag", "_coverage")]
    for at, value, flag, coverage in zip(frame.at.tolist(), *columns, strict=True):
        known = None if math.isnan(value) else float(value)
        yield from means(station, [limit], Mean(limit.averaging, at, known, int(flag), float(coverage)))


def _spans(starts: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring hours as one span, of at most a day."""
    spans: list[tuple[int, int]] = []
    for start in sorted(starts):
        if spans and start == spans[-1][1] and start - spans[-1][0] < 24 * HOUR:
            spans[-1] = (spans[-1][0], start + HOUR)
        else:
            spans.append((start, start + HOUR))
    return spans
