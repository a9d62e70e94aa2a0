"""Drives all boxes through a run: connect, make events, wait for what is under way, say goodbye."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from edge_agent.contract.broker import tls_context
from edge_agent.health import Health
from edge_agent.settings import BrokerSettings, UplinkSettings
from scripts.load_generator.box import Box
from scripts.load_generator.plan import Plan, loopback
from scripts.load_generator.tally import Result, Tally

GOODBYES = 200
"""Boxes that end at the same time."""
LOOK_S = 1.0


async def drive(
    boxes: Mapping[str, tuple[str, str | None]],
    plan: Plan,
    broker: BrokerSettings,
    *,
    uplink: UplinkSettings | None = None,
    tally: Tally | None = None,
    each_second: Callable[[Tally, float], None] = lambda _tally, _seconds: None,
) -> Result:
    """Run boxes, given by name with kind and password, for the plan's time and until nothing waits, or `drain_s`.

    Raises ValueError where the broker is not on this machine, TlsFileError for files of `broker.tls`.
    """
    loopback(broker.host)
    logging.getLogger("edge_agent").setLevel(logging.CRITICAL)  # thousands of boxes would say the same
    tally = tally or Tally()
    tls = tls_context(broker.tls) if broker.tls is not None else None
    fleet = [
        Box(
            device,
            kind,
            plan=plan,
            broker=broker,
            password=password,
            uplink=uplink or UplinkSettings(),
            tls=tls,
            tally=tally,
            health=Health(),
        )
        for device, (kind, password) in boxes.items()
    ]
    began = time.monotonic()

    async def look(until: Callable[[], bool]) -> None:
        while not until():
            each_second(tally, time.monotonic() - began)
            await asyncio.sleep(LOOK_S)

    ramp = asyncio.create_task(_start(fleet, plan.ramp))
    try:
        end = began + plan.minutes * 60
        await look(lambda: time.monotonic() >= end)
        await ramp
        for box in fleet:
            box.stop()
        end = time.monotonic() + plan.drain_s
        await look(lambda: not tally.waiting or time.monotonic() >= end)
        return tally.result(len(fleet), (time.monotonic() - began) / 60)
    finally:
        ramp.cancel()
        for at in range(0, len(fleet), GOODBYES):
            await asyncio.gather(*(box.end() for box in fleet[at : at + GOODBYES]))


async def _start(fleet: Sequence[Box], per_s: float) -> None:
    began = time.monotonic()
    for n, box in enumerate(fleet):
        ahead = began + n / per_s - time.monotonic()
        if ahead > 0.01:
            await asyncio.sleep(ahead)
        elif n % 50 == 0:
            await asyncio.sleep(0)
        box.start()
