"""The return of a station's link: a full outbox is carried to a running collector while new samples keep coming."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edge_agent.clock import now_ms
from edge_agent.contract.events import MAX_TIME, Event
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.settings import BrokerSettings, UplinkSettings
from edge_agent.uplink import Uplink
from scripts.benchmarks._island import samples
from scripts.benchmarks._outage import outage

CAP = 128_000_000
FRESH_EVERY_S = 1.0
"""A new sample comes so often meanwhile: a station of many sensors."""


class Home(NamedTuple):
    """How a backlog came home."""

    seconds: float
    """From the start of the uplink until the last event of the backlog was confirmed and deleted."""
    delays: list[float]
    """Seconds that each new sample waited until it was confirmed and deleted, which happens once a second."""
    last_number: int


async def fill(path: Path, days: int, *, sensors: int, start: int) -> int:
    """Make an outage's events at full speed; returns how many."""
    outbox, events = Outbox.open(path, CAP), 0
    for hour in outage(days, sensors=sensors, start=start):
        await asyncio.gather(*(outbox.put(event) for event in hour))
        events += len(hour)
    await outbox.close()
    return events


async def carry_home(path: Path, *, device: str, port: int, password: str, limit_s: float) -> Home:
    """Run the box's real outbox and uplink, as `fleet.yaml` sets them, until nothing older than now waits.

    Raises TimeoutError after `limit_s`.
    """
    outbox = _Watched.open(path, CAP)
    uplink = Uplink(
        device=device,
        broker=BrokerSettings(host="127.0.0.1", port=port),
        settings=UplinkSettings(),
        outbox=outbox,
        health=Health(),
        password=password,
    )
    started, began = now_ms(), time.perf_counter()
    async with asyncio.timeout(limit_s), asyncio.TaskGroup() as tasks:
        sending, measuring = tasks.create_task(uplink.run()), tasks.create_task(_go_on_measuring(outbox))
        while await _oldest(outbox) < started:
            await asyncio.sleep(0.1)
        seconds = time.perf_counter() - began
        measuring.cancel()
        while (await outbox.waiting()).events:  # one may have been written as the measuring ended
            await asyncio.sleep(0.1)
        sending.cancel()
    await outbox.close()
    return Home(seconds=seconds, delays=outbox.delays, last_number=outbox.last_number)


class _Watched(Outbox):
    """An outbox that notes how long new events wait for the collector."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int, commit_s: float = 0.0) -> None:
        super().__init__(connection, max_bytes, commit_s)
        self.put_at: dict[int, float] = {}
        self.delays: list[float] = []
        self.heard = asyncio.Event()
        """The first receipt has come; what was put before is backlog."""

    async def put(self, event: Event) -> int:
        began = time.perf_counter()
        number = await super().put(event)
        self.put_at[number] = began
        return number

    async def forget(self, spans: Sequence[tuple[int, int]]) -> None:
        await super().forget(spans)
        self.heard.set()
        for number in [n for n in self.put_at if any(first <= n <= last for first, last in spans)]:
            self.delays.append(time.perf_counter() - self.put_at.pop(number))


async def _go_on_measuring(outbox: _Watched) -> None:
    await outbox.heard.wait()
    while True:
        await outbox.put(samples(1, start=now_ms())[0])
        await asyncio.sleep(FRESH_EVERY_S)


async def _oldest(outbox: Outbox) -> int:
    """Time of the oldest event that waits; the end of time if none does."""
    waiting = await outbox.waiting()
    return MAX_TIME if waiting.oldest is None else waiting.oldest
