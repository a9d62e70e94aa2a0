"""Deletes personal data whose time is over, wherever it stands; now and every hour.

One place that cannot delete now does not keep the others from it, nor the collector from taking in alerts.
"""

from __future__ import annotations

import asyncio
import logging
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
DAY_MS = 86_400_000


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
        while True:
            await self.once(now())
            await asyncio.sleep(EVERY_S)

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
