"""Deletes personal data whose time is over, wherever it stands; now and every hour.

One place that cannot delete now does not keep the others from it, nor the collector from taking in alerts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor

import msgspec

from collector.alerts.desk import PlateDesk
from collector.database import UNAVAILABLE
from collector.live import Live
from collector.points import PLATES
from collector.quarantine import Quarantine
from collector.settings import PlateSettings
from collector.stores import Store, StoreError

log = logging.getLogger(__name__)

EVERY_S = 3600.0
DAY_S, DAY_MS = 86_400.0, 86_400_000


class Belief:
    """The time by which is deleted. What is gone stays gone, so a clock that leaps ahead is believed after a day."""

    def __init__(self, last: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`last`: a time (ms) that has passed."""
        self._monotonic = monotonic
        self._known = last, monotonic()
        self._doubted: float | None = None

    def time(self, now: int) -> int:
        """The clock shows `now`: that, or by how much time went on since it was last believed (ms)."""
        steady = self._monotonic()
        expected = self._known[0] + round((steady - self._known[1]) * 1000)
        if now - expected > DAY_MS:
            if self._doubted is None:
                days = (now - expected) / DAY_MS
                log.warning("retention: the clock is %.0f days ahead of what came last; believed in a day", days)
                self._doubted = steady
            if steady - self._doubted < DAY_S:
                return expected
        self._doubted, self._known = None, (now, steady)
        return now


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What holds personal data, and how long it may."""

    keep: PlateSettings
    desk: PlateDesk
    quarantine: Quarantine
    store: Store
    live: Live
    thread: Executor
    """In which desk, quarantine and store write."""
    duty: Callable[[], bool] = lambda: True
    """Whether this collector deletes, or another does; none goes on showing what is too old."""

    async def run(self, now: Callable[[], int]) -> None:
        """Delete, again and again, until it is cancelled."""
        belief = Belief(await self._last_plate(now()))
        while True:
            await self.once(belief.time(now()))
            await asyncio.sleep(EVERY_S)

    async def _last_plate(self, now: int) -> int:
        """When the newest plate came; now if there is none."""
        try:
            last = await asyncio.get_running_loop().run_in_executor(self.thread, self.desk.last_plate, now)
        except UNAVAILABLE as error:
            log.error("retention: plates: %s; nothing is deleted for a day", error)  # noqa: TRY400
            return 0
        return now if last is None else last

    async def once(self, now: int) -> None:
        """Delete what is too old at `now` (ms); what cannot be deleted is logged."""
        before, hits_before = (now - round(days * DAY_MS) for days in (self.keep.keep_days, self.keep.keep_hit_days))
        self.live.forget(before, hits_before)
        if not self.duty():
            return
        await self._do("plates", lambda: self._sightings(before, hits_before))
        await self._do("quarantine", lambda: self.quarantine.forget(before))
        await self._do("time series", lambda: self.store.forget(PLATES, before))

    def _sightings(self, before: int, hits_before: int) -> None:
        gone = self.desk.forget(before, hits_before)
        if gone.sightings or gone.hits:
            log.info("retention: deleted %s plates and %s plates with alerts", gone.sightings, gone.hits)

    async def _do(self, where: str, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self.thread, work)
        except (StoreError, *UNAVAILABLE) as error:
            log.error("retention: %s: %s; tried again in an hour", where, error)  # noqa: TRY400
