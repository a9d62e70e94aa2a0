"""Sixty days in an outbox and their way home; a year of all stations in DuckDB; flags a second."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from collector.credentials import enrol
from collector.state import password_file
from edge_agent.clock import now_ms
from scripts.benchmarks._outage import MINUTE
from scripts.benchmarks._quality import judging
from scripts.benchmarks._return import carry_home, fill
from scripts.benchmarks._year import year
from scripts.benchmarks.figure import Figure, Line
from scripts.benchmarks.store import one_core
from scripts.stage import Stage

DAYS = 60
DEVICE = "air-01"
START_S = 5.0


def measure() -> Figure:
    """Measure all of it: some minutes, the first time one more for the year."""
    home = asyncio.run(_sixty_days())
    of_year = year()
    with one_core():
        flags = judging()
    return Figure(
        title="Stations: sixty days without a link, a year in the store",
        lines=[*home, *of_year, *flags],
        note=f"{os.cpu_count()} cores for all together. Outboxes: six quantities and a heartbeat by the minute.",
    )


async def _sixty_days() -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stage = Stage(Path(folder))
        password = enrol(password_file(stage.settings), DEVICE)
        start = now_ms() // MINUTE * MINUTE - DAYS * 1440 * MINUTE
        lines = []
        for sensors in (1, 3):
            path = Path(folder) / f"{sensors}.sqlite"
            events = await fill(path, DAYS, sensors=sensors, start=start)
            size = path.stat().st_size
            what = f"outbox of {DAYS} days, {'one sensor' if sensors == 1 else f'{sensors} sensors'}"
            each = f"{events:,} events of {size / events:.1f} bytes"
            lines.append(Line(name=what, value=size / 1e6, unit="MB", at_most=10, compare=each))
        async with stage.collector():
            await asyncio.sleep(START_S)
            home = await carry_home(path, device=DEVICE, port=stage.mqtt_port, password=password, limit_s=600)
    return [
        *lines,
        Line(name="  all stored after the link's return", value=home.seconds, unit="s", at_most=600),
        Line(name="  new samples meanwhile, slowest", value=max(home.delays), unit="s", at_most=5),
    ]
