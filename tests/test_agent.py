"""The agent of an air station as a real process, its sensors played, and what one source's failure does to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from collector_double import EXAMPLES, CollectorDouble, HandClock, until
from disks import fill, small_disk
from ports import free_port
from processes import FLEET, Centre, Program
from servers import mosquitto

from collector.settings import load as load_settings
from collector.state import database, now_ms
from collector.web.access import Access
from edge_agent.agent import run, sane_clock
from edge_agent.config import DeviceConfig, load
from edge_agent.contract.events import Event, Readings
from edge_agent.contract.sane import SANE_SINCE
from edge_agent.errors import ConfigError, FrameError, LineError, ModelError, Silence
from edge_agent.health import Health
from edge_agent.supervise import keep
from scripts.simulated import simulate
from scripts.stage import hurried

AIR = FLEET / "devices" / "air-01.yaml"
Emit = Callable[[Event], Awaitable[None]]


def sets_for(port: int, state: Path) -> list[str]:
    return [
        f"state={state}",
        "broker.host=127.0.0.1",
        f"broker.port={port}",
        "broker.tls=null",
        "broker.password_file=null",
        "health.every_s=1",
        "uplink.gather_s=0",
    ]


@asynccontextmanager
async def station(folder: Path, port: int, state: Path, *sets: str) -> AsyncIterator[Program]:
    """`edge-agent run` for air-01, with its sensors played and polled every second."""
    every = [*sets_for(port, state), *sets]
    config = load(AIR, every)
    assert config.station is not None
    async with simulate(config.station) as places:
        every += [f"station.lines.{line}.port={place}" for line, place in places.items()]
        for name, sensor in config.station.sensors.items():
            every += [f"station.sensors.{name}.{option}" for option in hurried(sensor, 1)]
        arguments = [argument for value in every for argument in ("--set", value)]
        command = [sys.executable, "-m", "edge_agent", "run", str(AIR), *arguments]
        with Program("air-01", command, folder) as agent:
            yield agent


async def end(agent: Program, number: signal.Signals = signal.SIGTERM) -> int:
    return await asyncio.to_thread(agent.stop, number)


async def said(agent: Program, text: str) -> None:
    await until(lambda: text in agent.log.read_text(), f"the log says {text!r}", 30)


async def silence_of(collector: CollectorDouble) -> None:
    """Wait until nothing came for longer than any sensor's pace: what is measured now is not written."""
    async with asyncio.timeout(60):
        heard = -1
        while len(collector.heard()) != heard:
            heard = len(collector.heard())
            await asyncio.sleep(2.5)


async def test_a_station_measures_until_it_is_asked_to_end(tmp_path: Path) -> None:
    centre = Centre(tmp_path, "amqtt")
    secret = tmp_path / "secret"
    secret.write_text(centre.enrol("air-01"))
    token = Access(database(load_settings(centre.settings))).issue("test", "operator", now_ms())

    def ask(path: str) -> list[dict[str, object]]:
        request = Request(
            f"http://127.0.0.1:{centre.web_port}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urlopen(request) as answer:
            return list(json.load(answer))

    def state() -> object:
        return next(device["state"] for device in ask("devices") if device["device"] == "air-01")

    with centre.collector:
        await asyncio.to_thread(centre.ready)
        async with station(tmp_path, centre.mqtt_port, tmp_path / "box", f"broker.password_file={secret}") as agent:
            known = "SELECT coalesce(max(last), 0) FROM ledger_runs WHERE device = 'air-01' AND first = 1"
            await until(lambda: centre.count(known) > 8, "readings are stored", 40)
            assert state() == "online"
            assert await end(agent) == 0
            assert "Traceback" not in agent.log.read_text()
            await until(lambda: state() == "offline", "the collector knows that the box is off")


async def test_while_the_disk_is_full_the_agent_lives_and_afterwards_it_goes_on(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 2) as disk,
        mosquitto(tmp_path) as broker,
        CollectorDouble(broker.port) as collector,
    ):
        async with station(tmp_path, broker.port, disk / "state") as agent:
            await until(lambda: len(collector.heard("readings")) > 4, "readings come", 40)
            fill(disk / "ballast")
            await said(agent, "free some disk space")  # of an event, or of what was confirmed and cannot be deleted
            await silence_of(collector)
            (disk / "ballast").unlink()
            await until(lambda: bool(collector.heard("lost")), "what could not be written is told as lost")
            assert "outbox: works again" in agent.log.read_text()
            numbers = max(collector.heard())
            await until(lambda: max(collector.heard()) > numbers + 4, "readings go on")
            assert await end(agent) == 0, "it was the same process all the time"


async def test_an_agent_whose_disk_is_full_from_the_start_waits(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, mosquitto(tmp_path) as broker:
        fill(disk / "ballast")
        async with station(tmp_path, broker.port, disk / "state") as agent:
            await said(agent, "is the disk full")
            with CollectorDouble(broker.port) as collector:
                (disk / "ballast").unlink()
                await until(lambda: bool(collector.heard()), "it begins")
            assert await end(agent) == 0


async def test_a_damaged_outbox_is_set_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(b"SQLite format 3\0" + b"\xa5" * 50_000)
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        async with station(tmp_path, broker.port, tmp_path) as agent:
            await until(lambda: bool(collector.statuses) and bool(collector.heard()), "it begins")
            assert "outbox.sqlite was damaged" in collector.statuses[0].set_aside
            assert collector.packs[0].outbox == collector.statuses[0].outbox
            assert (tmp_path / "outbox.damaged-0001").read_bytes().endswith(b"\xa5" * 1000)
            assert await end(agent) == 0


async def test_an_error_that_nobody_foresaw_ends_the_process_with_a_traceback(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        async with station(tmp_path, broker.port, state) as agent:
            await until(lambda: bool(collector.heard()), "it runs")
            shutil.rmtree(state)
            await said(agent, "FileNotFoundError")
            assert "Traceback" in agent.log.read_text()
            assert await end(agent, signal.SIGCONT) == 1, "systemd sees a failure and starts it again"
            assert [status.online for status in collector.statuses] == [True, False]


async def test_before_the_clock_is_set_nothing_is_measured() -> None:
    health, clock = Health(), HandClock()
    clock.at = 1000  # 1970, as on a board without a battery
    waiting = asyncio.create_task(sane_clock(health, now=lambda: int(clock.at), look_s=0.001))
    await until(lambda: [fault.part for fault in health.faults] == ["clock"], "said")
    clock.at = SANE_SINCE - 1
    await asyncio.sleep(0.05)
    assert not waiting.done()
    clock.at = SANE_SINCE
    await asyncio.wait_for(waiting, 20)
    assert health.faults == ()


Job = Callable[[Emit], Awaitable[None]]


@asynccontextmanager
async def agent_with(folder: Path, job: Job) -> AsyncIterator[tuple[asyncio.Task[None], CollectorDouble, Health]]:
    """The agent in this process, with one source called `probe`."""
    healths: list[Health] = []

    def sources(
        _config: DeviceConfig, _state: Path, emit_of: Callable[[str], Emit], health: Health
    ) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        healths.append(health)
        yield "probe", lambda: job(emit_of("probe"))

    with mosquitto(folder) as broker, CollectorDouble(broker.port) as collector:
        task = asyncio.create_task(run(load(AIR, sets_for(broker.port, folder / "state")), sources))
        await until(lambda: bool(healths), "the source begins")
        yield task, collector, healths[0]
        task.cancel()
        with suppress(Exception):
            await task


async def test_a_wire_that_fails_restarts_only_its_source(tmp_path: Path) -> None:
    began = []

    async def job(emit: Emit) -> None:
        began.append(1)
        if len(began) == 1:
            raise ExceptionGroup("lines", [LineError("cut")])
        await emit(EXAMPLES[Readings])
        await asyncio.Event().wait()

    async with agent_with(tmp_path, job) as (task, collector, health):
        await until(lambda: [fault.part for fault in health.faults] == ["probe"], "said")
        assert health.faults[0].text == "cut"
        await until(lambda: bool(collector.heard("readings")), "begun again")
        assert len(collector.heard("health")) >= 1, "the rest of the agent went on"
        await until(lambda: health.faults == (), "it works again")
        assert not task.done()


@pytest.mark.parametrize(
    "error",
    [
        ModelError("no model"),
        FrameError("odd"),
        ExceptionGroup("", [LineError("a"), ExceptionGroup("", [Silence("b")])]),
    ],
)
async def test_what_is_foreseen_is_tried_again_for_ever(error: Exception) -> None:
    health, began = Health(), []

    async def job() -> None:
        began.append(1)
        raise error

    task = asyncio.create_task(keep("probe", job, health, again_after_s=0.001))
    await until(lambda: len(began) > 5, "begun again and again")
    assert [fault.text for fault in health.faults] == ["a; b" if isinstance(error, ExceptionGroup) else str(error)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), ConfigError("a wrong file")])
async def test_a_bug_or_a_wrong_file_ends_the_agent(tmp_path: Path, error: Exception) -> None:
    async def job(_emit: Emit) -> None:
        raise error

    async with agent_with(tmp_path, job) as (task, _, _):
        with pytest.raises((ExceptionGroup, ConfigError)) as ended:
            await asyncio.wait_for(task, 20)
    if isinstance(error, ConfigError):
        assert ended.value is error, "so that the command ends with status 78"
    else:
        assert ended.group_contains(ZeroDivisionError)


async def test_events_with_an_impossible_time_are_dropped_and_counted(tmp_path: Path) -> None:
    """The collector refuses their whole pack, so they would keep good events from being stored."""

    async def job(emit: Emit) -> None:
        for at in (0, 10**14, EXAMPLES[Readings].at):
            await emit(Readings(at=at, readings=EXAMPLES[Readings].readings))  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with agent_with(tmp_path, job) as (_, collector, health):
        await until(lambda: bool(collector.heard("readings")), "the good one")
        assert health.counters["clock.events_dropped"] == 2


def test_a_password_or_state_folder_that_cannot_be_used_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").touch()
    (tmp_path / "two").write_text("one\nanother\n")
    for wrong, names in (
        (f"broker.password_file={tmp_path}/none", "broker.password_file: No such file"),
        (f"broker.password_file={tmp_path}/binary", "broker.password_file: holds no text"),
        (f"broker.password_file={tmp_path}/empty", "broker.password_file: is empty"),
        (f"broker.password_file={tmp_path}/two", "broker.password_file: holds more than one line"),
        ("state=/proc/x", "state: "),
    ):
        config = load(AIR, [*sets_for(free_port(), tmp_path), wrong])
        with pytest.raises(ConfigError, match=names):
            asyncio.run(asyncio.wait_for(run(config), 20))
