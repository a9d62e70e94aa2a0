"""Watches the watcher: work that takes longer than it may is named, and systemd is told that all is well, or not.

    pulse = Pulse()
    with pulse.work("outbox", limit_s=60): ...      # from the event loop or a thread
    async with pulse.watched(say): ...              # the program's life

While something is stuck, systemd's watchdog is not fed, so that it starts the program anew after WatchdogSec. An event
loop that hangs feeds it neither. Either is named before in the log, with the place in the code where every thread is.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_S = 5.0
LOOP_S = 20.0
"""An event loop that does not come round for so long hangs."""


class Stuck(NamedTuple):
    """Work that takes longer than it may."""

    task: str
    seconds: float
    """For how long it has been at work."""


class Pulse:
    """What is being worked on, and by when it must be done. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._works: dict[object, tuple[str, float, float]] = {}
        """Task, when it began, when it must be done."""

    @contextmanager
    def work(self, task: str, limit_s: float) -> Iterator[None]:
        """Say that `task` is at work now, and must be done within `limit_s` seconds."""
        key, now = object(), self._monotonic()
        self._works[key] = (task, now, now + limit_s)
        try:
            yield
        finally:
            del self._works[key]

    def stuck(self) -> list[Stuck]:
        """What should be done by now, the longest first."""
        now = self._monotonic()
        late = [Stuck(task, now - began) for task, began, until in list(self._works.values()) if now > until]
        return sorted(late, key=lambda stuck: -stuck.seconds)

    @asynccontextmanager
    async def watched(
        self, say: Callable[[list[Stuck]], None] = lambda _: None, look_s: float = LOOK_S
    ) -> AsyncIterator[None]:
        """Watch while the context is entered; `say` hears at every look what is stuck, mostly nothing."""
        notify("READY=1")
        watcher = asyncio.create_task(self._watch(say, look_s), name="pulse")
        try:
            yield
        finally:
            notify("STOPPING=1")
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            faulthandler.cancel_dump_traceback_later()

    async def _watch(self, say: Callable[[list[Stuck]], None], look_s: float) -> None:
        named: set[str] = set()
        while True:
            if sys.__stderr__ is not None:
                # a thread of the interpreter that needs no interpreter: it says where a loop hangs that cannot
                faulthandler.dump_traceback_later(LOOP_S, file=sys.__stderr__)
            late = self.stuck()
            say(late)
            for stuck in late:
                if stuck.task not in named:
                    log.error("%s: stuck for %.0f s; below is where every thread is", stuck.task, stuck.seconds)
                    faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
            for task in named - {stuck.task for stuck in late}:
                log.warning("%s: moves again", task)
            named = {stuck.task for stuck in late}
            if not late:
                notify("WATCHDOG=1")
            await asyncio.sleep(look_s)


class WatchedThread(ThreadPoolExecutor):
    """One thread whose every piece of work must be done within `limit_s` seconds."""

    def __init__(self, pulse: Pulse, name: str, limit_s: float) -> None:
        super().__init__(1, thread_name_prefix=name)
        self._pulse, self._name, self._limit_s = pulse, name, limit_s

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As of an executor; what waits for its turn is not at work yet."""
        return super().submit(self._watched, fn, *args, **kwargs)

    def _watched(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        with self._pulse.work(self._name, self._limit_s):
            return fn(*args, **kwargs)


def notify(state: str) -> None:
    """Tell systemd (sd_notify's protocol); nothing happens where no systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as there:
        there.settimeout(1)
        there.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
