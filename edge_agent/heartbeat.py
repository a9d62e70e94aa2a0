"""The box's own report on itself, at a steady pace."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge_agent.calibration import Calibrations
from edge_agent.clock import Now, now_ms, steady_ms
from edge_agent.contract.events import Event, Heartbeat
from edge_agent.filling import Filling
from edge_agent.health import Health
from edge_agent.outbox import Outbox

_PAGE_KB = resource.getpagesize() // 1024


async def run(
    *,
    every_s: float,
    state: Path,
    outbox: Outbox,
    emit: Callable[[Event], Awaitable[None]],
    health: Health,
    calibrations: Calibrations,
    now: Now = now_ms,
) -> None:
    """Emit a heartbeat every `every_s` seconds, the first at once."""
    started, filling = time.monotonic(), Filling(state / "filling")
    looked_at, counted = steady_ms(), outbox.bytes_put
    while True:
        waiting = await outbox.waiting()
        disk = os.statvfs(state)
        since, before = looked_at, counted
        looked_at, counted = steady_ms(), outbox.bytes_put
        filling.add(counted - before, looked_at - since)
        disk_free = disk.f_bavail * disk.f_frsize
        beat = Heartbeat(
            at=now(),
            uptime_s=int(time.monotonic() - started),
            rss_kb=resident_kb(),
            cpu_ms=int(time.process_time() * 1000),
            outbox_events=waiting.events,
            outbox_bytes=waiting.bytes,
            oldest=waiting.oldest,
            disk_free_mb=disk_free // 1_000_000,
            counters={**health.counters, **{f"outbox.dropped.{kind}": n for kind, n in dict(outbox.dropped).items()}},
            faults=health.faults,
            calibrating=calibrations.under_way(now()),
            bytes_a_day=filling.bytes_a_day,
            days_left=filling.days_left(min(outbox.max_bytes - waiting.bytes, disk_free)),
        )
        await emit(beat)
        await asyncio.sleep(every_s)


def resident_kb() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KB
