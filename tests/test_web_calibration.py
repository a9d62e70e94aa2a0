"""Calibration through the collector: by HTTP and by command; who may, what is recorded, and a box that is silent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from city import City
from test_client import command

from collector.commands import Commands
from edge_agent.contract.events import Answer, Calibrate, Command
from edge_agent.contract.topics import up

PATH = "/api/v1/devices/sea-01/calibration"
START = {"sensor": "ph", "action": "start", "for": "30m"}


async def post(city: City, body: Any, path: str = PATH, role: str = "technician") -> tuple[int, Any]:
    async with city.session(role) as client, client.post(path, json=body) as answer:
        return answer.status, await answer.json()


async def test_a_box_says_what_it_did_and_who_asked_is_recorded(city: City) -> None:
    status, said = await post(city, START)
    assert status == 200
    assert said == {
        "device": "sea-01",
        "sensor": "ph",
        "seconds": 1800,
        "action": "start",
        "said": {"vi": "xong", "en": "done"},
    }
    assert (await post(city, {"sensor": "ph", "action": "end"}))[1]["seconds"] == 0
    lines = city.access.trail()
    assert [(line.who, line.what) for line in lines] == [
        ("technician-1", "calibration.end"),
        ("technician-1", "calibration.start"),
    ]
    assert msgspec.json.decode(lines[1].parameters) == {"device": "sea-01", "sensor": "ph", "seconds": 1800}


async def test_a_silent_box_is_said_in_both_tongues_and_what_to_do(city: City) -> None:
    city.obeys = False
    status, said = await post(city, START)
    assert status == 504
    assert "as far as is known nothing was changed" in said["error"]["en"]
    assert "chưa có gì thay đổi" in said["error"]["vi"]
    assert all("edge-agent calibrate" in said["what_to_do"][tongue] for tongue in ("vi", "en"))


@pytest.mark.parametrize(
    ("body", "path", "status", "says"),
    [
        ({**START, "sensor": "chlorine"}, PATH, 409, "sea-01: there is none."),
        ({**START, "for": "25h"}, PATH, 400, "at most 24 hours"),
        ({**START, "for": "1d"}, PATH, 200, None),
        ({**START, "for": "soon"}, PATH, 400, "not a span of time"),
        ({**START, "action": "stop"}, PATH, 400, "Invalid enum value 'stop'"),
        ({**START, "why": "x"}, PATH, 400, "why"),
        ({**START, "sensor": "x" * 65}, PATH, 400, "sensor"),
        ([], PATH, 400, "Wrong content"),
        (START, PATH.replace("sea-01", "sea-1"), 404, "There is no station 'sea-1'"),
        (START, PATH.replace("sea-01", "cam-01"), 404, "There is no station 'cam-01'"),
    ],
)
async def test_what_cannot_be_is_refused(city: City, body: Any, path: str, status: int, says: str | None) -> None:
    found, said = await post(city, body, path)
    assert found == status, said
    assert says is None or says in said["error"]["en"]


async def test_the_command_line_says_it_in_both_tongues(city: City, tmp_path: Path) -> None:
    status, out, err = await command(city, "technician", tmp_path, "calibrate", "sea-01", "ph", "start", "--for", "30m")
    assert (status, out, err) == (0, "sea-01: xong\nsea-01: done\n", "")
    status, _, err = await command(city, "technician", tmp_path, "calibrate", "sea-01", "orp", "end")
    assert status == 1 and "there is none" in err and "không có" in err
    status, _, err = await command(city, "officer", tmp_path, "calibrate", "sea-01", "ph", "start")
    assert status == 1 and "officer may not use this" in err
    city.obeys = False
    status, _, err = await command(city, "technician", tmp_path, "calibrate", "sea-01", "ph", "start")
    assert status == 1 and "calibrate at the box" in err and "làm tại trạm" in err


async def test_answers_that_nobody_waits_for_or_can_read_are_passed_over() -> None:
    sent: list[tuple[str, Command]] = []

    def publish(topic: str, payload: bytes) -> None:
        sent.append((topic, msgspec.msgpack.decode(payload, type=Command)))

    def answer(device: str, number: int, en: str) -> tuple[str, bytes]:
        return up(device, "answer"), msgspec.msgpack.encode(Answer(id=number, ok=True, vi="", en=en))

    commands = Commands(publish, limit_s=20)
    asking = asyncio.create_task(commands.ask("sea-01", Calibrate(sensor="ph", seconds=60), by="minh"))
    while not sent:
        await asyncio.sleep(0)
    topic, asked = sent[0]
    assert (topic, asked.by, asked.order) == ("v1/down/sea-01/command", "minh", Calibrate(sensor="ph", seconds=60))
    for stale in (
        (up("sea-01", "answer"), b"\xc1"),
        (up("sea-01", "answer"), b""),
        ("v1/up/sea-01/x/answer", msgspec.msgpack.encode(Answer(id=asked.id, ok=True, vi="", en="odd"))),
        answer("sea-01", asked.id + 1, "of yesterday"),
        answer("sea-02", asked.id, "of another box"),
        answer("sea-01", asked.id, "right"),
        answer("sea-01", asked.id, "again"),
    ):
        commands.answered(*stale)
    assert (await asking).en == "right"
    commands.answered(*answer("sea-01", asked.id, "late"))
