"""Puts one box's agent together: its sources, its outbox, its uplink. The only file that knows all parts."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from edge_agent import certificate, heartbeat
from edge_agent.calibration import Calibrations
from edge_agent.clock import Now, now_ms
from edge_agent.commands import Commands
from edge_agent.contract.events import Event
from edge_agent.contract.pulse import Stuck
from edge_agent.contract.sane import is_sane
from edge_agent.contract.secret_file import SecretFileError, read_secret
from edge_agent.device_config import DeviceConfig
from edge_agent.errors import ConfigError
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import cure
from edge_agent.state_lock import claim_state, lock_state
from edge_agent.supervise import keep, leaves
from edge_agent.uplink import Uplink

log = logging.getLogger(__name__)

Emit = Callable[[Event], Awaitable[None]]
Job = Callable[[], Awaitable[None]]
Sources = Callable[[DeviceConfig, Path, Callable[[str], Emit], Health], Iterator[tuple[str, Job]]]
"""Gives the sources of a box by the name of their part, which each gives its events to."""

T = TypeVar("T")

RETRY_S = 2.0
"""Pause before the state folder is tried again."""
DISK, DISK_S = "the box's disk", 60.0
"""A commit that takes longer is a disk that hangs, as flash does when it dies."""


def sources_of(
    config: DeviceConfig, state: Path, emit_of: Callable[[str], Emit], health: Health
) -> Iterator[tuple[str, Job]]:
    """Give the sources of a box; a part's libraries are loaded only on the boxes that have the part."""
    if config.station is not None:
        from edge_agent.station import poll

        calibrations = _calibrations(config, health)
        covers, emit = calibrations.covers, emit_of("station")
        yield "station", partial(poll.run, config.station, emit, health, calibrating=covers, state=state)
    if config.camera is not None:
        from edge_agent.camera import watch

        yield "plates", partial(watch.run, config.camera, emit_of("plates"), health)
    if config.access_point is not None:
        from edge_agent.access_point import watch as usage

        yield "access point", partial(usage.run, config.access_point, state, emit_of("access point"), health)


async def run(config: DeviceConfig, sources: Sources = sources_of) -> None:
    """Run the agent until the process is asked to end (SIGTERM, SIGINT).

    Raises ConfigError where a file that the configuration names cannot be used; any other error is a bug.
    """
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.cancel)
    try:
        await _run(config, sources)
    except asyncio.CancelledError:
        log.info("%s: ends as asked", config.device)
    except BaseExceptionGroup as group:
        wrong = [error for error in leaves(group) if isinstance(error, ConfigError)]
        if not wrong:
            raise
        raise wrong[0] from None


async def _run(config: DeviceConfig, sources: Sources) -> None:
    health = Health()
    state = Path(config.state)
    async with health.pulse.watched(partial(_say_stuck, health)):
        password = _password(config)
        certificate.check_name(config.device, config.broker)
        with await _on_disk(partial(lock_state, state), state, health):
            await _run_locked(config, state, sources, health, password)


async def _run_locked(
    config: DeviceConfig, state: Path, sources: Sources, health: Health, password: str | None
) -> None:
    settings = config.outbox
    open_outbox = partial(
        Outbox.open,
        state / "outbox.sqlite",
        int(settings.max_mb * 1_000_000),
        commit_s=settings.commit_s,
        storage=settings.storage,
    )
    outbox = await _on_disk(open_outbox, state, health)
    waiting = await outbox.waiting()
    log.info("%s: runs; %d events wait in %s", config.device, waiting.events, state)

    def emit_of(part: str) -> Emit:
        return partial(_emit, outbox, health, part)

    commands = Commands(_calibrations(config, health), health)
    try:
        waits = waiting.events > 0 or outbox.has_lost
        await _on_disk(partial(claim_state, state, config.device, waits=waits), state, health)
        uplink = Uplink(
            device=config.device,
            broker=config.broker,
            settings=config.uplink,
            outbox=outbox,
            health=health,
            password=password,
            on_command=commands.heard,
            paces=_paces(config),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(uplink.run(), name="uplink")
            tasks.create_task(commands.run(uplink.answer), name="commands")
            await sane_clock(health)
            if config.broker.tls is not None and config.broker.tls.certificate is not None:
                tasks.create_task(certificate.watch(config.broker.tls.certificate, health), name="certificate")
            emit, every_s = emit_of("heartbeat"), config.health.every_s
            beat = heartbeat.run(
                every_s=every_s,
                state=state,
                outbox=outbox,
                emit=emit,
                health=health,
                calibrations=_calibrations(config, health),
            )
            tasks.create_task(beat, name="heartbeat")
            for part, job in sources(config, state, emit_of, health):
                tasks.create_task(keep(part, job, health), name=part)
    finally:
        await outbox.close()


def _calibrations(config: DeviceConfig, health: Health) -> Calibrations:
    """One for each user of the file, since commands are carried out in a thread."""
    return Calibrations(Path(config.state), config.station.sensors if config.station else (), health)


async def _on_disk(open_: Callable[[], T], state: Path, health: Health) -> T:
    """Open what stands in the state folder; while the disk does not let us, wait: nothing else can replace it."""
    while True:
        try:
            opened = open_()
        except (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError) as error:
            cure = "it must be a folder that belongs to the user that runs the agent"
            raise ConfigError(f"state: {error.strerror}: {error.filename}\n  {cure}") from error
        except (OSError, sqlite3.OperationalError) as error:
            health.fault("outbox", f"{state} cannot be written ({error}); is the disk full, or read-only?")
            await asyncio.sleep(RETRY_S)
        else:
            health.clear("outbox")
            return opened


async def _emit(outbox: Outbox, health: Health, part: str, event: Event) -> None:
    """Put an event of a part into the outbox; returns when it is on disk, or counted where that cannot be."""
    if not is_sane(event.at):
        health.count("clock.events_dropped")
        health.fault(
            "clock", f"the time went wrong ({event.at} ms since 1970); events without a right time are dropped"
        )
        return
    health.clear("clock")
    try:
        with health.pulse.work(f"{part}, which writes to {DISK}", DISK_S):
            await outbox.put(event)
    except sqlite3.OperationalError as error:  # the disk is full; a damaged file is another error and ends the process
        health.count("outbox.not_written")
        health.fault("outbox", f"an event could not be written ({error}); {cure(error)}")
    else:
        health.clear("outbox")
        health.clear(part)  # whatever it failed of, it works


async def sane_clock(health: Health, now: Now = now_ms, look_s: float = 1.0) -> None:
    """Wait until the box has learnt the time: an event with a wrong stamp can never be put right."""
    while not is_sane(now()):
        health.fault("clock", "the time is not set; waiting for the network to tell it")
        await asyncio.sleep(look_s)
    health.clear("clock")


def _say_stuck(health: Health, stuck: list[Stuck]) -> None:
    if stuck:
        health.fault("stuck", "; ".join(f"{task} takes {seconds:.0f} s" for task, seconds in stuck))
    else:
        health.clear("stuck")


def _paces(config: DeviceConfig) -> dict[int, int]:
    if config.station is None:
        return {}
    from edge_agent.station.settings import paces

    return paces(config.station)


def _password(config: DeviceConfig) -> str | None:
    if config.broker.password_file is None:
        return None
    try:
        return read_secret(config.broker.password_file)
    except SecretFileError as error:
        raise ConfigError(
            f"broker.password_file: {error}\n"
            "  put the password that `collector enrol` printed into this file, readable by the agent alone"
        ) from error
