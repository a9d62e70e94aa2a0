"""Calibration on real processes: at the box and through the collector, to the status of the stored points."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiohttp import ClientSession
from collector_double import CollectorDouble, until
from processes import Centre, Program
from servers import mosquitto
from test_agent import AIR, end, station
from test_client import collector as run_collector

from collector.settings import load
from collector.state import database, now_ms
from collector.web.access import Access
from edge_agent.contract.topics import down

SENSOR, QUANTITY, OTHER = "sound", "noise", "air_temperature"
"""What is calibrated, what it gives, and what another sensor gives."""


class Technician:
    """Somebody with a token and a shell on the box."""

    def __init__(self, centre: Centre, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{centre.web_port}"
        self.token = Access(database(load(centre.settings))).issue("lan", "technician", now_ms())
        self.state = folder / "box"
        self._file = folder / "token"
        self._file.write_text(self.token)

    async def at_the_box(self, *arguments: str) -> None:
        command = [
            sys.executable,
            "-m",
            "edge_agent",
            "calibrate",
            str(AIR),
            *arguments,
            "--set",
            f"state={self.state}",
        ]
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0

    async def by_command(self, *arguments: str) -> tuple[int, str, str]:
        connection = ("--url", self.url, "--token-file", str(self._file))
        return await run_collector("calibrate", *arguments, *connection)

    async def by_http(self, device: str, **body: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            ClientSession(headers=headers) as client,
            client.post(f"{self.url}/api/v1/devices/{device}/calibration", json=body) as answer,
        ):
            return answer.status, await answer.json()

    async def readings(self, quantity: str, since: int) -> list[dict[str, Any]]:
        """What is stored of a quantity since a time."""
        headers = {"Authorization": f"Bearer {self.token}"}
        query = {"station": "air-01", "quantity": quantity}
        async with (
            ClientSession(headers=headers) as client,
            client.get(f"{self.url}/api/v1/readings", params=query) as answer,
        ):
            rows = (await answer.json())["rows"]
        return [row for row in rows if row["at"] >= _iso(since)]

    async def stored(self, quantity: str, status: int) -> None:
        """Wait for values that were measured from now on and have this status, all of them."""
        since = now_ms() + 1500  # a poll that has begun may still be of before
        async with asyncio.timeout(40):
            while not (rows := await self.readings(quantity, since)):
                await asyncio.sleep(0.2)
        assert [row["status"] or 0 for row in rows] == [status] * len(rows), rows
        assert all(row["value"] is not None for row in rows), "the number is kept"


def _iso(ms: int) -> str:
    from collector.web.query import iso

    return str(iso(ms))


@asynccontextmanager
async def island(folder: Path, broker: str) -> AsyncIterator[tuple[Centre, Technician, Program]]:
    """A collector, its broker, air-01, and a technician."""
    centre = Centre(folder, broker)
    secret = folder / "secret"
    secret.write_text(centre.enrol("air-01"))
    with ExitStack() as programs:
        if centre.mosquitto is not None:
            programs.enter_context(centre.mosquitto)
        programs.enter_context(centre.collector)
        await asyncio.to_thread(centre.ready)
        technician = Technician(centre, folder)
        async with station(folder, centre.mqtt_port, technician.state, f"broker.password_file={secret}") as agent:
            await technician.stored(QUANTITY, 0)
            yield centre, technician, agent


async def test_at_the_box_and_over_a_restart(tmp_path: Path) -> None:
    async with island(tmp_path, "amqtt") as (centre, technician, agent):
        await technician.at_the_box(SENSOR, "start", "--for", "30m")
        await technician.stored(QUANTITY, 1)
        await technician.stored(OTHER, 0)
        await asyncio.to_thread(agent.kill)
        await technician.stored(QUANTITY, 1)
        await technician.at_the_box(SENSOR, "end")
        await technician.stored(QUANTITY, 0)
        assert await end(agent) == 0
        assert await asyncio.to_thread(centre.collector.stop) == 0
    with duckdb.connect(str(centre.state / "timeseries.duckdb"), read_only=True) as db:
        told = [row[0] for row in db.execute("SELECT DISTINCT calibrating FROM health").fetchall()]
    assert None in told
    assert any(text and text.startswith(f"{SENSOR} since 20") for text in told)


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"])
async def test_through_the_collector(broker: str, tmp_path: Path) -> None:
    async with island(tmp_path, broker) as (_, technician, agent):
        status, out, err = await technician.by_command("air-01", SENSOR, "start", "--for", "1h")
        assert status == 0, err
        assert f"air-01: {SENSOR} is under calibration until" in out and "đang hiệu chuẩn đến" in out
        await technician.stored(QUANTITY, 1)
        assert await technician.by_http("air-01", sensor="no-such", action="start") == (
            409,
            {
                "error": {
                    "vi": "air-01: trạm không có cảm biến 'no-such'; các cảm biến: dust, weather, gases, sound.",
                    "en": "air-01: there is no sensor 'no-such' here; the sensors are: dust, weather, gases, sound.",
                },
                "what_to_do": {
                    "vi": "Không có gì thay đổi; sửa lại rồi gửi lần nữa.",
                    "en": "Nothing was changed; correct it and send it again.",
                },
            },
        )
        answer = await technician.by_http("air-01", sensor=SENSOR, action="end")
        assert answer[0] == 200
        await technician.stored(QUANTITY, 0)

        await end(agent, signal.SIGKILL)
        status, said = await technician.by_http("air-01", sensor=SENSOR, action="start")
        assert status == 504
        assert said["error"]["en"] == "air-01 does not answer; as far as is known nothing was changed."
        await asyncio.to_thread(agent.start)
        await technician.stored(QUANTITY, 0)
        assert "Traceback" not in agent.log.read_text()


async def test_orders_that_are_none_do_not_disturb_the_box(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        async with station(tmp_path, broker.port, tmp_path / "box") as agent:
            await until(lambda: len(collector.heard("readings")) > 4, "readings come", 40)
            for payload in (b"", b"\xc1" * 40, b"\x93\x01\xa1a\x90", bytes(70_000)):
                collector.say(payload, down("air-01", "command"))
            seen = max(collector.heard())
            await until(lambda: max(collector.heard()) > seen + 4, "readings go on")
            assert await end(agent) == 0
