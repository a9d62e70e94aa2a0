"""From the camera's frame to the alert at whoever watches the page, through every real part."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from scripts.benchmarks.figure import Figure, Line
from scripts.demonstration_view import Api
from scripts.stage import Stage
from scripts.street_clip import render_clip

ROUNDS = 3
CLIP_S = 28


def measure() -> Figure:
    """Play the street clip a few times, watch for every plate in it, and take the times of each alert."""
    return asyncio.run(_measure())


async def _measure() -> Figure:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        clip = folder / "street.mp4"
        passes = render_clip(clip, CLIP_S, 1)
        stage = Stage(folder)
        api = await stack.enter_async_context(Api.opened(stage.address, stage.tokens()))
        await stack.enter_async_context(stage.collector())
        await api.ready()
        for passage in passes:
            await api.watch(passage.text)
        sets = [f"camera.source={clip}", "camera.password_file=null", "camera.loop=true", "camera.rendered=true"]
        await stack.enter_async_context(stage.agent("cam-01", every_s=1, sets=sets))
        alerts: list[tuple[int, dict[str, Any]]] = []
        try:
            async with asyncio.timeout(ROUNDS * CLIP_S + 20):
                async for event in api.alerts():
                    alerts.append((time.time_ns() // 1_000_000, event))
                    if len(alerts) == ROUNDS * len(passes):
                        break
        except TimeoutError:
            pass
    return _figure(alerts, ROUNDS * len(passes))


def _figure(alerts: list[tuple[int, dict[str, Any]]], expected: int) -> Figure:
    plates = [(arrived, alert["plate"], _ms(alert["raised"])) for arrived, alert in alerts]
    settled = sorted(arrived - _ms(plate["last"]) for arrived, plate, _ in plates)
    first = sorted(arrived - _ms(plate["first"]) for arrived, plate, _ in plates)
    reading = [(_ms(p["last"]) - _ms(p["first"])) / max(1, p["frames"] - 1) for _, p, _ in plates]
    box = [_ms(plate["received"]) - _ms(plate["last"]) for _, plate, _ in plates]
    desk = [raised - _ms(plate["received"]) for _, plate, raised in plates]
    shown = [arrived - raised for arrived, _, raised in plates]
    return Figure(
        title="Frame to alert",
        lines=[
            Line(name="alerts for the passes of the clip", value=len(alerts), unit=f"of {expected}", at_least=expected),
            Line(name="frame that settled the vote to alert, 95 %", value=_high(settled), unit="ms", at_most=1000),
            Line(name="  first frame with the plate to alert, median", value=median(first), unit="ms"),
            Line(name="  95 %", value=_high(first), unit="ms"),
            Line(name="  of it: from one read frame to the next", value=median(reading), unit="ms"),
            Line(name="  of it: reading the last frame, outbox, broker", value=median(box), unit="ms"),
            Line(name="  of it: watchlist and commit", value=median(desk), unit="ms"),
            Line(name="  of it: to the page", value=median(shown), unit="ms"),
        ],
        note="The vote wants three frames that agree; the reader decides how soon there are three.",
    )


def _high(values: list[int]) -> float:
    return float(values[min(len(values) - 1, len(values) * 95 // 100)])


def _ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)
