"""One simulated box: the agent's real uplink, an outbox in memory, and timers instead of sensors."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
import zlib
from functools import partial

from edge_agent.clock import now_ms
from edge_agent.health import Health
from edge_agent.settings import BrokerSettings, UplinkSettings
from edge_agent.uplink import Uplink
from scripts.load_generator.link import LeanLink
from scripts.load_generator.mix import KINDS, Maker
from scripts.load_generator.outbox import MemoryOutbox
from scripts.load_generator.plan import Plan
from scripts.load_generator.tally import Tally

POLL_S = 1.0
"""A real poll of all sensors on a line takes about so long, each its own time."""


class Box:
    """Makes events from `start` to `stop` and sends them until `end`."""

    def __init__(
        self,
        device: str,
        kind: str,
        *,
        plan: Plan,
        broker: BrokerSettings,
        password: str | None,
        uplink: UplinkSettings,
        tls: ssl.SSLContext | None,
        tally: Tally,
        health: Health,
    ) -> None:
        """`health` and `tally` are those of all boxes together."""
        self._plan = plan
        self._source = KINDS[kind].source
        seed = zlib.crc32(device.encode())
        self._random = random.Random(seed)
        self._outbox = MemoryOutbox(Maker(kind, seed, plan.watched), tally)
        self._pace_s = 60 / plan.passes if self._source == "plates" else plan.pace_s
        self._samples = plan.samples if self._source == "readings" else 1
        self._uplink = Uplink(
            device=device,
            broker=broker,
            settings=uplink,
            outbox=self._outbox,
            health=health,
            password=password,
            make_link=partial(LeanLink, tally=tally, tls=tls),
        )
        self._task: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Connect and begin to make events, behind the backlog if there is one."""
        if self._plan.outage_h:
            every_ms = int(self._pace_s * 1000 / self._samples)
            count = int(self._plan.outage_h * 3_600_000 / every_ms)
            self._outbox.add(self._source, count, now_ms() - count * every_ms, every_ms, backlog=True)
        self._task = asyncio.create_task(self._uplink.run())
        self._next("source", self._first())
        if self._plan.heartbeat_s:
            self._next("health", self._random.uniform(0, self._plan.heartbeat_s))

    def stop(self) -> None:
        """Make nothing more; what waits is sent."""
        for timer in self._timers.values():
            timer.cancel()

    async def end(self) -> None:
        """Say goodbye to the broker."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _first(self) -> float:
        """Seconds until the first event."""
        if not self._plan.together or self._source == "plates":
            return self._random.uniform(0, self._pace_s)
        return self._pace_s - time.time() % self._pace_s + self._random.uniform(0, POLL_S)

    def _next(self, what: str, after_s: float) -> None:
        self._timers[what] = asyncio.get_running_loop().call_later(after_s, self._make, what)

    def _make(self, what: str) -> None:
        if what == "health":
            self._outbox.add("health", 1, now_ms())
            self._next(what, self._plan.heartbeat_s)
            return
        span_ms = int(self._pace_s * 1000)
        every_ms = span_ms // self._samples
        self._outbox.add(self._source, self._samples, now_ms() - every_ms * (self._samples - 1), every_ms)
        pause = self._random.expovariate(1 / self._pace_s) if self._source == "plates" else self._pace_s
        self._next(what, pause)
