"""What an agent costs its box: resident memory and processor time, in real use."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from scripts.benchmarks.figure import Figure, Line
from scripts.stage import Stage

WARM_S, MEASURED_S = 8.0, 30.0


class Case(NamedTuple):
    """One agent that is watched."""

    device: str
    every_s: int
    what: str
    judged: bool


CASES = (
    Case("air-01", 4, "station, four sensors every 4 s (one sample a second)", True),
    Case("ap-01", 1, "access point, two radios every second", True),
    Case("air-01", 1, "station, four sensors every second", False),
)


def measure() -> Figure:
    """Run a collector and the agents, one after another, and look at their processes."""
    lines = []
    for case in CASES:
        memory, share = asyncio.run(_watch(case))
        lines.append(Line(name=f"{case.what}: resident", value=memory, unit="MiB", at_most=30))
        lines.append(Line(name="  of one core", value=share, unit="%", at_most=0.5 if case.judged else None))
    return Figure(title="What an agent costs its box", lines=lines, note=f"Each over {MEASURED_S:g} s.")


async def _watch(case: Case) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stage = Stage(Path(folder))
        async with stage.collector():
            await asyncio.sleep(3)
            async with stage.agent(case.device, every_s=case.every_s) as pid:
                await asyncio.sleep(WARM_S)
                process = psutil.Process(pid)
                before, started = _busy_s(process), time.monotonic()
                await asyncio.sleep(MEASURED_S)
                share = 100 * (_busy_s(process) - before) / (time.monotonic() - started)
                return process.memory_info().rss / 2**20, share


def _busy_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
