"""Brings what waits in the spool to one server: oldest first, at a bounded rate, again after a growing pause.

Everything that blocks happens in a thread of the courier's own, so a dead server delays nothing else. A refusal that
concerns one folder or file holds up its station alone; any other error holds up the server.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from collector.database import UNAVAILABLE
from collector.regulator import files
from collector.regulator.files import CycleFile
from collector.regulator.login import log_in
from collector.regulator.push import Kind, PushError, Session, deliver
from collector.regulator.settings import RegulatorSettings
from collector.regulator.spool import Spool

log = logging.getLogger(__name__)

T = TypeVar("T")

IDLE_S = 2.0
AT_ONCE = 100
"""Files read from the spool at a time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 600.0
WHOLE_FILE = 6
"""A file's limit, in limits of a single answer."""
_EVERY = ""
"""Stands for all stations of the server."""


class _Pause(NamedTuple):
    until: float
    """Time of the loop."""
    length: float
    kind: Kind


class Courier:
    """One server's files."""

    def __init__(
        self,
        name: str,
        settings: RegulatorSettings,
        spool: Spool,
        *,
        counters: Counter[str],
        now: Callable[[], int],
        duty: Callable[[], bool] = lambda: True,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._name = name
        self._settings = settings
        self._server = settings.servers[name]
        self._stations = settings.of_server(name)
        self._spool = spool
        self._counters = counters
        self._now = now
        self._duty = duty
        self._first_pause_s = first_pause_s
        self._thread: ThreadPoolExecutor
        self._session: Session | None = None
        self._pauses: dict[str, _Pause] = {}
        """By station, or for all."""

    async def run(self) -> None:
        """Send, again and again, until it is cancelled."""
        with ThreadPoolExecutor(1, thread_name_prefix=f"regulator-{self._name}") as self._thread:
            try:
                while True:
                    if not await self._round():
                        await asyncio.sleep(min(IDLE_S, self._first_pause_s))
            finally:
                self._cut()

    async def _round(self) -> bool:
        """Send what waits, up to the first error; tells whether anything waited that may be sent now."""
        free = [station for station in self._stations if self._duty() and self._is_free(station)]
        try:
            waiting = await self._do(lambda: self._spool.waiting(free, AT_ONCE)) if free else []
            if not waiting:
                await self._do(self._log_out)
            for file in waiting:
                if not self._duty() or not await self._send(file):
                    break
        except UNAVAILABLE as error:
            log.warning("regulator: the database did not answer: %s; tried again", error)
            return False
        return bool(waiting)

    async def _send(self, file: CycleFile) -> bool:
        started = asyncio.get_running_loop().time()
        try:
            await self._do(lambda: self._push(file))
        except PushError as error:
            await self._failed(file, error)
            return False
        self._counters["regulator_files_sent_total"] += 1
        for key in (_EVERY, file.station):
            if self._pauses.pop(key, None) is not None:
                log.info("regulator: %s takes files again%s", self._name, f" of {key}" if key else "")
        rest = started + 60 / self._server.files_per_minute - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, rest))
        return True

    def _push(self, file: CycleFile) -> None:
        if self._session is None:
            self._session = log_in(self._server)
        station = self._settings.stations[file.station]
        at = files.stamp(self._server, file.cycle, self._settings.cycle_ms)
        folder = files.folder(self._server, station, at)
        if not deliver(self._session, folder, file.name, file.content):
            log.info("regulator: %s has %s already", self._name, file.name)
        self._spool.sent(file, self._now())

    async def _failed(self, file: CycleFile, error: PushError) -> None:
        self._cut()
        self._counters[f'regulator_errors_total{{kind="{error.kind}"}}'] += 1
        key = file.station if error.kind == "refused" else _EVERY
        before = self._pauses.get(key)
        length = self._first_pause_s if before is None else min(2 * before.length, LONGEST_PAUSE_S)
        self._pauses[key] = _Pause(asyncio.get_running_loop().time() + length, length, error.kind)
        if before is None or before.kind != error.kind:
            log.warning("regulator: %s: %s; %s waits", self._name, error, file.name)
        stations = [file.station] if key else self._stations
        await self._do(lambda: self._spool.failed(stations, str(error), self._now()))

    def _is_free(self, station: str) -> bool:
        now = asyncio.get_running_loop().time()
        return all(key not in self._pauses or self._pauses[key].until <= now for key in (_EVERY, station))

    async def _do(self, work: Callable[[], T]) -> T:
        """Do what blocks in the courier's thread; what takes too long, and what is cancelled, is cut off."""
        future: Future[T] = self._thread.submit(work)
        waited = asyncio.wrap_future(future)
        waited.add_done_callback(lambda over: over.cancelled() or over.exception())  # nobody may be left to ask
        try:
            done, _ = await asyncio.wait([waited], timeout=WHOLE_FILE * self._server.timeout_s)
            if not done:
                self._abort()
            return await waited
        except asyncio.CancelledError:
            self._abort()
            raise

    def _abort(self) -> None:
        if self._session is not None:
            self._session.abort()

    def _cut(self) -> None:
        """End a session of which nothing can be expected."""
        session, self._session = self._session, None
        if session is not None:
            session.abort()
            session.close()

    def _log_out(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
