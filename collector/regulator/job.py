"""The regulator's files as one part of the collector: makes them, sends them, watches for long interruptions."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from collector.averages.touched import Touched
from collector.database import UNAVAILABLE
from collector.regulator.courier import FIRST_PAUSE_S, Courier
from collector.regulator.maker import DAY_MS, Maker
from collector.regulator.settings import Ftp, RegulatorSettings
from collector.regulator.spool import Account, Spool
from collector.settings import SettingsError
from collector.stores import Store, StoreError
from edge_agent.contract.device import Box, Medium

log = logging.getLogger(__name__)

MAKE_S = 2.0
WATCH_S = 60.0


class Regulator:
    """Everything that serves the department. Threads of its own do what blocks, so that it never delays the intake."""

    def __init__(
        self,
        settings: RegulatorSettings,
        *,
        boxes: Mapping[str, Box],
        store: Store,
        touched: Touched,
        engine: Engine,
        counters: Counter[str],
        now: Callable[[], int],
        duty: Callable[[], bool] = lambda: True,
        make_s: float = MAKE_S,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """`duty`: whether files are made and sent here, or by another collector.

        Raises SettingsError for a station that measures nothing.
        """
        self._duty = duty
        self.settings = settings
        self.spool = Spool(engine)
        self._now = now
        self._counters = counters
        self._make_s = make_s
        self._maker = Maker(settings, _media(settings, boxes), store, touched, self.spool)
        self._couriers = [
            Courier(name, settings, self.spool, counters=counters, now=now, duty=duty, first_pause_s=first_pause_s)
            for name in settings.servers
            if settings.of_server(name)
        ]
        self._told: set[str] = set()
        """Stations whose long interruption was said."""

    async def run(self) -> None:
        """Make and send until it is cancelled."""
        for name, server in self.settings.servers.items():
            if isinstance(server, Ftp):
                log.warning("regulator: %s is plain FTP: password and files can be read and changed on the way", name)
        with ThreadPoolExecutor(1, thread_name_prefix="regulator") as thread:
            self._thread = thread
            await self._in_thread(lambda: self.spool.begin(self.settings.stations, self._now()))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._make(), name="regulator-files")
                tasks.create_task(self._watch(), name="regulator-watch")
                for courier in self._couriers:
                    tasks.create_task(courier.run(), name="regulator-courier")

    def accounts(self) -> list[Account]:
        """How every station stands that sends now, by name. Blocks."""
        return [account for account in self.spool.accounts() if account.station in self.settings.stations]

    def overdue(self, account: Account, now: int) -> bool:
        """Tell whether the department must be told in writing that nothing comes from a station."""
        return account.silent_ms(now) > self.settings.notify_after_h * 3_600_000

    async def _in_thread(self, work: Callable[[], object]) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _make(self) -> None:
        failed = False
        while True:
            try:
                if self._duty():
                    self._counters["regulator_files_made_total"] += await asyncio.get_running_loop().run_in_executor(
                        self._thread, lambda: self._maker.once(self._now())
                    )
                if failed:
                    log.info("regulator: files are made again")
                failed = False
            except (StoreError, *UNAVAILABLE) as error:
                if not failed:
                    log.warning("regulator: no files can be made: %s; tried again", error)
                failed = True
            await asyncio.sleep(self._make_s)

    async def _watch(self) -> None:
        while True:
            try:
                if self._duty():
                    await self._in_thread(self.look)
            except UNAVAILABLE as error:
                log.warning("regulator: the database did not answer: %s", error)
            await asyncio.sleep(WATCH_S)

    def look(self) -> None:
        """Say which stations' silence must be reported, once; and forget what is too old."""
        now = self._now()
        for account in self.accounts():
            name = account.station
            if not self.overdue(account, now):
                if name in self._told:
                    log.info("regulator: %s: files are confirmed again", name)
                self._told.discard(name)
            elif name not in self._told:
                self._told.add(name)
                log.error(
                    "regulator: %s: nothing was confirmed for %d h, %d files wait: tell the department in writing; %s",
                    name,
                    account.silent_ms(now) // 3_600_000,
                    account.waiting,
                    account.error or "the last try did not fail, so the station gives no values",
                )
        given_up = self.spool.forget(now - self.settings.keep_days * DAY_MS)
        if given_up:
            self._counters["regulator_files_given_up_total"] += given_up
            days = self.settings.keep_days
            log.error("regulator: %d files were not sent in %d days and are deleted", given_up, days)


def _media(settings: RegulatorSettings, boxes: Mapping[str, Box]) -> dict[str, Medium]:
    media: dict[str, Medium] = {}
    for name in settings.stations:
        box = boxes.get(name)
        if box is None or box.medium is None:
            raise SettingsError(f"regulator.stations.{name}: it is no station of the fleet and measures nothing")
        media[name] = box.medium
    return media
