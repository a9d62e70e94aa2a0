"""The box's own report on itself, at a steady pace."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge_agent.calibration import Calibrations
from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import Event, Heartbeat
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
    started = time.monotonic()
    while True:
        waiting = await outbox.waiting()
        disk = os.statvfs(state)
        beat = Heartbeat(
            at=now(),
            uptime_s=int(time.monotonic() - started),
            rss_kb=resident_kb(),
            cpu_ms=int(time.process_time() * 1000),
            outbox_events=waiting.events,
            outbox_bytes=waiting.bytes,
            oldest=waiting.oldest,
            disk_free_mb=disk.f_bavail * disk.f_frsize // 1_000_000,
            counters={**health.counters, "outbox.dropped": outbox.dropped},
            faults=health.faults,
            calibrating=calibrations.under_way(now()),
        )
        await emit(beat)
        await asyncio.sleep(every_s)


def resident_kb() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KB
