"""Puts one box's agent together: its sources, its outbox, its uplink. The only file that knows all parts."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

from edge_agent import heartbeat
from edge_agent.clock import is_sane, now_ms
from edge_agent.config import DeviceConfig
from edge_agent.contract.events import Event
from edge_agent.errors import ConfigError
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.supervise import keep
from edge_agent.uplink import Uplink

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


async def run(config: DeviceConfig) -> None:
    """Run the agent until the process is asked to end (SIGTERM, SIGINT)."""
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.cancel)
    try:
        await _run(config)
    except asyncio.CancelledError:
        log.info("%s: ends as asked", config.device)


async def _run(config: DeviceConfig) -> None:
    state = Path(config.state)
    health = Health()
    outbox = Outbox.open(state / "outbox.sqlite", int(config.outbox.max_mb * 1_000_000))
    uplink = Uplink(
        device=config.device,
        broker=config.broker,
        settings=config.uplink,
        outbox=outbox,
        health=health,
        password=_password(config),
    )
    emit = partial(_emit, outbox, health)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(uplink.run(), name="uplink")
            await _sane_clock(health)
            beat = heartbeat.run(every_s=config.health.every_s, state=state, outbox=outbox, emit=emit, health=health)
            tasks.create_task(beat, name="heartbeat")
            for part, job in _sources(config, state, emit, health):
                tasks.create_task(keep(part, job, health), name=part)
    finally:
        await outbox.close()


def _sources(
    config: DeviceConfig, state: Path, emit: Callable[[Event], Awaitable[None]], health: Health
) -> Iterator[tuple[str, Job]]:
    # a part's libraries are loaded only on the boxes that have the part
    if config.station is not None:
        from edge_agent.station import poll

        yield "station", partial(poll.run, config.station, emit, health)
    if config.camera is not None:
        from edge_agent.camera import watch

        yield "camera", partial(watch.run, config.camera, emit, health)
    if config.access_point is not None:
        from edge_agent.access_point import watch as usage

        yield "access point", partial(usage.run, config.access_point, state, emit, health)


async def _emit(outbox: Outbox, health: Health, event: Event) -> None:
    try:
        await outbox.put(event)
    except sqlite3.OperationalError as error:  # the disk is full; a damaged file is another error and ends the process
        health.count("outbox.not_written")
        health.fault("outbox", f"an event could not be written ({error}); free some disk space")
    else:
        health.clear("outbox")


async def _sane_clock(health: Health) -> None:
    """Wait until the box has learnt the time: an event with a wrong stamp can never be put right."""
    while not is_sane(now_ms()):
        health.fault("clock", "the time is not set; waiting for the network to tell it")
        await asyncio.sleep(1)
    health.clear("clock")


def _password(config: DeviceConfig) -> str | None:
    if config.broker.password_file is None:
        return None
    try:
        return Path(config.broker.password_file).read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"broker.password_file: {error.strerror}: {config.broker.password_file}\n"
            "  put the password that `collector enrol` printed into this file, readable by the agent alone"
        ) from error
