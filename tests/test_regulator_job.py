"""The regulator's files on their way: outages, drains, deaths at the worst moment; each file arrives, and once."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from city import FLEET, City
from file_servers import FORM, files_of, ftp, ftp_server, password_file, vsftpd
from paho.mqtt.publish import single
from ports import free_port
from processes import Centre, wait_until
from regulated import CYCLE, MINUTE, NOON, Spooling, regulated
from servers import Server
from test_client import collector

from collector.averages.touched import Touched
from collector.local_time import local
from collector.regulator.courier import Courier
from collector.regulator.files import CycleFile
from collector.regulator.job import Regulator
from collector.regulator.maker import CONSUMER
from collector.regulator.settings import RegulatorSettings
from collector.settings import SettingsError, load
from collector.state import database, now_ms
from collector.web.access import Access
from edge_agent.contract.events import Reading, Readings
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.quantities import BY_NAME
from edge_agent.contract.topics import up

HOUR = 3_600_000
TESTS = Path(__file__).parent


@pytest.fixture
def spooling(tmp_path: Path) -> Iterator[Spooling]:
    spooling = Spooling(tmp_path, regulated())
    yield spooling
    spooling.close()


def some_files(n: int, station: str = "air-01", first: int = 0) -> list[CycleFile]:
    content = b"PM2,5\t28.6\tug/Nm3\t20261122083000\t00\r\n"
    return [CycleFile(station, NOON + i * CYCLE, f"{station}_{i:05d}.txt", content) for i in range(first, first + n)]


def a_courier(spooling: Spooling, settings: RegulatorSettings, name: str = "department") -> Courier:
    spooling.spool.begin(settings.stations, NOON)
    return Courier(name, settings, spooling.spool, counters=Counter(), now=lambda: NOON, first_pause_s=0.05)


async def until_sent(
    spooling: Spooling, couriers: Sequence[Courier], stations: Sequence[str] = ("air-01", "sea-01")
) -> None:
    tasks = [asyncio.create_task(courier.run()) for courier in couriers]
    try:
        async with asyncio.timeout(15):
            while spooling.spool.waiting(stations, 1):
                assert not any(task.done() for task in tasks)
                await asyncio.sleep(0.02)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def renamed(server: Server) -> list[str]:
    """The final names that the server gave, in its order; over all its lives."""
    return re.findall(r"<- RNTO \S*/(\S+\.txt)", server.log.read_text())


async def test_after_an_outage_everything_comes_once_and_the_oldest_first(
    spooling: Spooling, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "collector.regulator")
    port = free_port()
    courier = a_courier(spooling, regulated(ftp(tmp_path, port)))
    spooling.spool.add(some_files(30) + some_files(30, "sea-01"))
    failing = asyncio.create_task(courier.run())
    await asyncio.sleep(0.5)
    failing.cancel()
    await asyncio.gather(failing, return_exceptions=True)
    for account in spooling.spool.accounts():
        assert account.error is not None and "Connection refused" in account.error and account.waiting == 30
    with ftp_server(tmp_path, port=port) as server:
        await until_sent(spooling, [courier])
        assert renamed(server) == [f"{station}_{i:05d}.txt" for i in range(30) for station in ("air-01", "sea-01")]
    assert [a.error for a in spooling.spool.accounts()] == [None, None]
    said = [record.message for record in caplog.records]
    assert len([text for text in said if "Connection refused" in text]) == 1, "a fault is said once"
    assert "regulator: department takes files again" in said


async def test_a_drain_goes_no_faster_than_set(spooling: Spooling, tmp_path: Path) -> None:
    spooling.spool.add(some_files(20))
    with ftp_server(tmp_path) as server:
        started = time.monotonic()
        await until_sent(spooling, [a_courier(spooling, regulated(ftp(tmp_path, server.port, files_per_minute=1200)))])
        assert 0.95 <= time.monotonic() - started < 3


async def test_a_server_that_dies_in_a_file_gets_it_again_and_nothing_twice(spooling: Spooling, tmp_path: Path) -> None:
    port = free_port()
    spooling.spool.add(some_files(12))
    courier = a_courier(spooling, regulated(ftp(tmp_path, port)))
    with ftp_server(tmp_path, "--die-in", "5", port=port) as dying:
        sending = asyncio.create_task(until_sent(spooling, [courier]))
        await asyncio.to_thread(dying.process.wait, 10)
    with ftp_server(tmp_path, port=port) as server:
        await sending
        assert renamed(server) == [file.name for file in some_files(12)], "of both lives together"
    assert set(files_of(tmp_path / "files").values()) == {some_files(1)[0].content}
    assert len(files_of(tmp_path / "files")) == 12, "the half file is gone"


async def test_a_refused_folder_holds_up_its_station_alone(spooling: Spooling, tmp_path: Path) -> None:
    spooling.spool.add(some_files(3) + some_files(3, "sea-01"))
    with vsftpd(tmp_path) as server:
        (tmp_path / "files" / "in" / "KHI001").mkdir(mode=0o555)  # of the station air-01
        courier = a_courier(spooling, regulated(ftp(tmp_path, server.port, user="anonymous")))
        await until_sent(spooling, [courier], ["sea-01"])
    air, sea = spooling.spool.accounts()
    assert (air.waiting, sea.waiting) == (3, 0)
    assert air.error is not None and "may anonymous write there?" in air.error
    assert sea.error is None


async def test_a_server_that_hangs_delays_neither_the_loop_nor_another_server(
    spooling: Spooling, tmp_path: Path
) -> None:
    both = regulated()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with ftp_server(tmp_path / "a", "--hang-in", "1") as hangs, ftp_server(tmp_path / "b") as works:
        settings = regulated(
            servers={"hangs": ftp(tmp_path, hangs.port, timeout_s=5), "works": ftp(tmp_path, works.port)},
            stations={
                "air-01": msgspec.structs.replace(both.stations["air-01"], server="hangs"),
                "sea-01": msgspec.structs.replace(both.stations["sea-01"], server="works"),
            },
        )
        spooling.spool.add(some_files(2) + some_files(20, "sea-01"))
        longest = 0.0

        async def feel() -> None:
            nonlocal longest
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)

        feeling = asyncio.create_task(feel())
        couriers = [a_courier(spooling, settings, name) for name in ("hangs", "works")]
        started = time.monotonic()
        await until_sent(spooling, couriers, ["sea-01"])
        assert time.monotonic() - started < 3, "and it ends at once, though the server hangs"
        feeling.cancel()
    assert longest < 0.5
    assert spooling.spool.accounts()[0].waiting == 2


def sender(folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    program = [sys.executable, str(TESTS / "courier_program.py"), str(folder), str(port), *options]
    return subprocess.Popen(program, env=environment)


def test_a_death_between_rename_and_record_sends_nothing_twice(spooling: Spooling, tmp_path: Path) -> None:
    spooling.spool.add(some_files(2))
    with ftp_server(tmp_path) as server:
        assert sender(tmp_path, server.port, "--die-unrecorded").wait(20) == -signal.SIGKILL
        assert renamed(server) == ["air-01_00000.txt"]
        assert len(spooling.spool.waiting(["air-01"], 10)) == 2, "it stands there, and nobody knows"
        assert sender(tmp_path, server.port).wait(20) == 0
        assert renamed(server) == ["air-01_00000.txt", "air-01_00001.txt"]
        assert server.log.read_text().count("<- STOR") == 2
    assert spooling.spool.waiting(["air-01"], 10) == []


def test_deaths_at_any_moment_of_a_drain_send_nothing_twice(spooling: Spooling, tmp_path: Path) -> None:
    spooling.spool.add(some_files(200))
    deaths = 0
    with ftp_server(tmp_path) as server:
        while spooling.spool.waiting(["air-01"], 1):
            program = sender(tmp_path, server.port)
            begun = len(renamed(server))
            while program.poll() is None:
                if deaths < 3 and len(renamed(server)) > begun + 20 + 17 * deaths:
                    program.kill()
                    deaths += 1
                time.sleep(0.003)
            assert program.returncode in (0, -signal.SIGKILL)
        assert deaths == 3
        assert renamed(server) == [file.name for file in some_files(200)]
    assert len(files_of(tmp_path / "files")) == 200


def a_regulator(city: City, settings: RegulatorSettings) -> Regulator:
    touched = Touched(city.engine, {CONSUMER: settings.cycle_ms})
    parts = {"boxes": FLEET, "store": city.store, "touched": touched, "engine": city.engine}
    return Regulator(settings, **parts, counters=city.counters, now=lambda: city.time)  # type: ignore[arg-type]


async def test_a_long_silence_is_said_once_and_shown_to_those_who_must_tell_the_department(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "collector.regulator")
    city = City(tmp_path)
    city.regulator = regulator = a_regulator(city, regulated(ftp(tmp_path, 21)))
    regulator.spool.begin(["air-01", "sea-01", "air-99"], NOON)
    regulator.spool.add(some_files(3))
    regulator.spool.failed(["air-01"], "department refuses the login", NOON + HOUR)
    regulator.spool.sent(some_files(1, "sea-01")[0], NOON + HOUR)
    city.time = NOON + 12 * HOUR
    regulator.look()
    assert caplog.messages == []
    async with city.served():
        assert [row["notify_department"] for row in await city.get("officer", "/api/v1/regulator")] == [False, False]
        city.time += 1
        for _ in range(2):
            regulator.look()
        (said,) = caplog.messages
        assert "air-01: nothing was confirmed for 12 h, 3 files wait: tell the department in writing" in said
        assert "refuses the login" in said
        air, sea = await city.get("officer", "/api/v1/regulator")
        assert air == {
            "station": "air-01", "code": "KHI001", "server": "department", "since": "2026-11-22T05:00:00.000Z",
            "last_sent": None, "last_sent_cycle": None, "waiting": 3, "oldest_waiting": "2026-11-22T05:00:00.000Z",
            "last_error": "department refuses the login", "error_since": "2026-11-22T06:00:00.000Z",
            "notify_department": True,
        }  # fmt: skip
        assert (sea["waiting"], sea["last_sent"], sea["notify_department"]) == (0, "2026-11-22T06:00:00.000Z", False)
        async with city.session("operator") as client, client.get("/metrics") as answer:
            measured = await answer.text()
        assert 'collector_regulator_files_waiting{station="air-01"} 3' in measured
        assert 'collector_regulator_silent_seconds{station="sea-01"} 39600' in measured
    regulator.spool.sent(some_files(1)[0], city.time)
    regulator.look()
    assert caplog.messages[1:] == ["regulator: air-01: files are confirmed again"]
    city.time += 61 * 24 * HOUR
    regulator.look()
    assert "2 files were not sent in 60 days and are deleted" in caplog.messages[-1]
    city.close()


def test_only_stations_that_measure_can_send(tmp_path: Path) -> None:
    city = City(tmp_path)
    settings = regulated(stations={"cam-01": regulated().stations["air-01"]})
    with pytest.raises(SettingsError, match=r"regulator\.stations\.cam-01"):
        a_regulator(city, settings)
    city.close()


def settings_of(centre: Centre, folder: Path, port: int) -> None:
    form = ", ".join(f"{key}: {value!r}" for key, value in FORM.items())
    centre.settings.write_text(
        centre.settings.read_text()
        + f"""
regulator:
  settle_s: 0
  servers:
    department: {{kind: ftp, host: 127.0.0.1, port: {port}, user: pq, password_file: {password_file(folder)}, {form}}}
  stations:
    air-01:
      {{code: KHI001, facility: PQ01, server: department, parameters: {{
        pm2_5: {{symbol: "PM2,5", unit: ug/Nm3, decimals: 1}}}}}}
"""
    )


async def test_from_the_box_to_the_department_and_over_a_death_of_the_collector(tmp_path: Path) -> None:
    centre, port = Centre(tmp_path, "amqtt"), free_port()
    settings_of(centre, tmp_path, port)
    engine = database(load(centre.settings))
    quantity = BY_NAME["pm2_5"]
    at = now_ms() // CYCLE * CYCLE - CYCLE

    def say(number: int, when: int) -> None:
        auth = {"username": "air-01", "password": password}
        reading = Readings(at=when, readings=(Reading(quantity.number, quantity.ticks(31.7)),))
        payload = encode_pack(7, "readings", [(number, reading)])
        single(up("air-01", "readings"), payload, 1, port=centre.mqtt_port, client_id="air-01", auth=auth)

    password = centre.enrol("air-01")
    with centre.collector:
        centre.ready()
        for number in range(1, 4):  # two cycles ago, one ago, and that again
            say(number, at - CYCLE + (number // 2) * CYCLE + number * MINUTE)
        wait_until(lambda: centre.count("SELECT count(*) FROM regulator_files") == 2, 20, "two files are made")
        wait_until(lambda: centre.count("SELECT count(error) FROM regulator_stations") == 1, 20, "nobody takes them")
        centre.collector.kill()
        with ftp_server(tmp_path, port=port) as server:
            sent = "SELECT count(sent) FROM regulator_files"
            wait_until(lambda: centre.count(sent) == 2, 40, "both are sent")
            files = files_of(tmp_path / "files")
            assert [path.count("/") for path in files] == [5, 5]
            for path, content in files.items():
                stamp = re.search(r"AG_PQ01_KHI001_(\d{14})\.txt$", path)
                assert stamp is not None
                assert content == f"PM2,5\t31.7\tug/Nm3\t{stamp[1]}\t00\r\n".encode()
            say(4, at - 3 * CYCLE)
            wait_until(lambda: centre.count(sent) == 3, 40, "late data makes the file of a cycle that had none")
            assert len(renamed(server)) == 3
        token = tmp_path / "token"
        token.write_text(Access(engine).issue("officer", "officer", now_ms()))
        access = ("--url", f"http://127.0.0.1:{centre.web_port}", "--token-file", str(token))
        start, stop = (f"{when:%Y-%m-%dT%H:%M}" for when in (local(at - 3 * CYCLE), local(at + CYCLE)))
        span = (str(centre.settings), "air-01", start, stop)
        status, out, err = await collector("regulator", "make", *span, "--folder", str(tmp_path / "look"), *access)
        assert (status, out) == (0, f"3 files of 4 cycles in {tmp_path / 'look'}\n"), err
        assert list(files_of(tmp_path / "look").values()) == list(files_of(tmp_path / "files").values())
        status, out, _ = await collector("regulator", "files", *span)
        assert status == 0 and out.count("  sent ") == 3
        status, out, _ = await collector("regulator", "status", str(centre.settings))
        assert status == 0 and re.search(r"^air-01 +KHI001 +department +last sent 20.*; 0 wait$", out, re.MULTILINE)
    engine.dispose()


async def test_the_command_that_tries_a_server(tmp_path: Path) -> None:
    centre, port = Centre(tmp_path, "amqtt"), free_port()
    settings_of(centre, tmp_path, port)
    trying = ("regulator", "test", str(centre.settings), "department")
    status, out, err = await collector(*trying)
    assert status == 1 and out.endswith("... no\n") and "Connection refused" in err
    with ftp_server(tmp_path, port=port):
        status, out, _ = await collector(*trying)
        assert status == 0 and out.startswith("warning: plain FTP") and out.endswith("everything works\n")
        assert files_of(tmp_path / "files") == {}
        Path(password_file(tmp_path)).write_text("wrong")
        status, out, err = await collector(*trying)
        assert status == 1 and "refuses the login of pq" in err
        status, _, err = await collector("regulator", "test", str(centre.settings), "departement")
        assert status == 1 and "did you mean 'department'?" in err
    status, out, _ = await collector("regulator", "status", str(centre.settings))
    assert "not begun" in out
    status, _, err = await collector("regulator", "files", str(centre.settings), "air-1", "2026-11-22", "2026-11-23")
    assert status == 1 and "did you mean 'air-01'?" in err
    status, _, err = await collector("regulator", "files", str(centre.settings), "air-01", "yesterday", "2026-11-23")
    assert status == 1 and "write it like 2026-11-22T08:00" in err
