"""What an agent costs its box: resident memory and processor time at one sample a second, in real use."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import psutil

from scripts.benchmarks.figure import Figure, Line
from scripts.stage import Stage, free_port

WARM_S, MEASURED_S = 8.0, 30.0
BOXES = {"air-01": "station (PMS5003, SDS011, two Modbus RTU)", "ap-01": "access point (two radios)"}


def measure() -> Figure:
    """Run a collector and two agents, and look at the agents' processes."""
    lines = []
    for (device, what), (memory, share) in zip(BOXES.items(), asyncio.run(_watch()), strict=True):
        lines.append(Line(name=f"{what}: resident", value=memory, unit="MiB", at_most=32, compare=device))
        lines.append(Line(name="  of one core", value=share, unit="%", at_most=1))
    return Figure(
        title="An agent on its box, one sample a second", lines=lines, note=f"Measured over {MEASURED_S:g} s."
    )


async def _watch() -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stage = Stage(Path(folder), mqtt_port=free_port(), web_port=free_port())
        async with stage.collector():
            await asyncio.sleep(3)
            async with stage.agent("air-01", every_s=1) as station, stage.agent("ap-01", every_s=1) as access_point:
                await asyncio.sleep(WARM_S)
                watched = [psutil.Process(pid) for pid in (station, access_point)]
                before = [_busy_s(process) for process in watched]
                started = time.monotonic()
                await asyncio.sleep(MEASURED_S)
                spent = time.monotonic() - started
                return [
                    (process.memory_info().rss / 2**20, 100 * (_busy_s(process) - busy) / spent)
                    for process, busy in zip(watched, before, strict=True)
                ]


def _busy_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
