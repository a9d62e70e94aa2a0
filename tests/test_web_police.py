"""The HTTP API of plates, alerts and watchlist on a real server."""

from __future__ import annotations

import asyncio
import csv
import io
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import ClientResponse
from city import NOON, City, plate

from collector.web import stream
from collector.web.police import MISSED_AT_ONCE

SAFETY_S = 10


async def text(city: City, role: str, path: str, **query: str) -> tuple[str, str]:
    """One answer as its content type and text."""
    async with city.session(role) as client, client.get(path, params=query) as answer:
        assert answer.status == 200, await answer.text()
        return answer.headers["Content-Type"], await answer.text()


async def test_plates_and_pictures(city: City) -> None:
    city.arrive(1, plate("68A12345", raw="68AI2345", rendered=True))
    city.arrive(2, plate("51K99999", at=NOON + 1000))
    rows = await city.get("police", "/api/v1/plates")
    assert [row["text"] for row in rows] == ["51K99999", "68A12345"]
    row = rows[1]
    assert (row["id"], row["camera"], row["raw"], row["rendered"]) == ("cam-01.7.1", "cam-01", "68AI2345", True)
    assert row["doubts"] == ["repaired", "rendered"]
    assert row["at"] == "2026-11-22T05:00:00.000Z"
    async with city.session("police") as client, client.get(row["picture"]) as answer:
        assert (answer.content_type, await answer.read()) == ("image/jpeg", b"\xff\xd8picture of 68A12345")
    assert [row["text"] for row in await city.get("police", "/api/v1/plates", plate="68a*", camera="cam-01")] == [
        "68A12345"
    ]
    await city.get("police", "/api/v1/plates", status=404, camera="air-01")
    await city.get("police", "/api/v1/plates", status=400, limit="100000")
    await city.get("police", "/api/v1/plates/cam-01.7.3/picture", status=404)


async def test_plates_as_csv_are_no_formulas(city: City) -> None:
    city.arrive(1, plate("=1+1", raw='=HYPERLINK("x")', valid=False))
    _, body = await text(city, "police", "/api/v1/plates", format="csv")
    (row,) = csv.DictReader(io.StringIO(body))
    assert (row["text"], row["raw"], row["valid"]) == ("'=1+1", '\'=HYPERLINK("x")', "False")


async def test_watchlist(city: City) -> None:
    body = {"pattern": "68a-123.45", "reason": "xe mất cắp", "expires": "2026-11-30T00:00:00+07:00"}
    async with city.session("police") as client:
        async with client.post("/api/v1/watchlist", json=body) as answer:
            assert answer.status == 201
            entry = await answer.json()
        assert (entry["pattern"], entry["officer"], entry["active"]) == ("68A12345", "police-1", True)
        assert entry["expires"] == "2026-11-29T17:00:00.000Z"
        assert await city.get("police", "/api/v1/watchlist") == [entry]
        async with client.delete(f"/api/v1/watchlist/{entry['id']}") as answer:
            assert (await answer.json())["active"] is False
        async with client.delete(f"/api/v1/watchlist/{entry['id']}") as answer:
            assert answer.status == 404
    assert await city.get("police", "/api/v1/watchlist") == []
    assert len(await city.get("police", "/api/v1/watchlist", all="true")) == 1


NASTY = ("", "\0", "'; DROP TABLE audit; --", "%", "../../etc/passwd", "9" * 400, "\ud7ff", "-1", "1e999", "٣", "[]")


@pytest.mark.parametrize("nasty", NASTY)
async def test_hostile_input_is_refused_or_finds_nothing(city: City, nasty: str) -> None:
    city.arrive(1, plate())
    async with city.session("police") as client:
        for name in ("plate", "camera", "site", "start", "stop", "limit", "format"):
            async with client.get("/api/v1/plates", params={name: nasty}) as answer:
                found = await answer.json()
                assert answer.status in (400, 404) or found == [] or (name, nasty) == ("plate", ""), (name, found)
        async with client.get(f"/api/v1/plates/{quote(nasty, safe='')}/picture") as answer:
            assert answer.status == 404
        for body in (nasty.encode(), msgspec.json.encode({"pattern": nasty, "reason": nasty, "expires": nasty})):
            async with client.post("/api/v1/watchlist", data=body) as answer:
                assert answer.status == 400
        async with client.get("/api/v1/alerts/stream", headers={"Last-Event-ID": quote(nasty)}) as answer:
            assert answer.status == 200
    async with city.session("officer") as client:
        for name in ("station", "quantity", "start", "stop", "every", "format"):
            query = {"station": "air-01", "quantity": "pm2_5"} | {name: nasty}
            async with client.get("/api/v1/readings", params=query) as answer:
                assert answer.status in (400, 404), name
    async with city.session(None) as client:
        origin = {"Origin": city.url}
        for headers in ({}, {"Content-Type": "multipart/form-data"}, {"Content-Type": "text/plain; charset=none"}):
            async with client.post("/login", data=nasty.encode() + b"\xff", headers={**headers, **origin}) as answer:
                assert answer.status == 403


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pattern": "*"}, "everybody"),
        ({"pattern": "68A#"}, "letters, digits"),
        ({"expires": "2026-11-01T00:00:00Z"}, "in the future"),
        ({"expires": "2036-11-01T00:00:00Z"}, "within 366 days"),
        ({"expires": None}, "expires"),
        ({"reason": "  "}, "reason"),
        ({"color": "red"}, "pattern, reason, expires, officer?"),
    ],
)
async def test_entries_that_cannot_be(city: City, changes: dict[str, Any], says: str) -> None:
    body = {"pattern": "68A12345", "reason": "xe mất cắp", "expires": "2026-11-30T00:00:00Z"} | changes
    async with city.session("police") as client, client.post("/api/v1/watchlist", json=body) as answer:
        said = await answer.json()
        assert answer.status == 400, said
    assert says in said["error"]["en"] + said["what_to_do"]["en"]


async def test_alerts(city: City) -> None:
    city.watch("68A12345")
    city.arrive(1, plate("68A12345", raw="68AI2345", confidence=0.4))
    (alert,) = await city.get("police", "/api/v1/alerts")
    assert (alert["kind"], alert["pattern"], alert["reason"]) == ("lookalike", "68A12345", "xe mất cắp")
    assert alert["differences"] == [{"position": 3, "read": "I", "watched": "1"}]
    assert alert["doubts"] == ["low_confidence", "repaired"]
    assert alert["plate"]["id"] == "cam-01.7.1"
    assert await city.get("police", "/api/v1/alerts", start="2026-11-22T06:00:00Z") == []


async def event(answer: ClientResponse) -> dict[str, str]:
    """The next server-sent event that says something."""
    while True:
        block = (await asyncio.wait_for(answer.content.readuntil(b"\n\n"), SAFETY_S)).decode()
        fields = dict(line.split(": ", 1) for line in block.strip().splitlines() if line[0] != ":")
        if "data" in fields:
            return fields


async def test_alert_stream(city: City) -> None:
    city.watch("68A12345")
    city.arrive(1, plate())
    async with city.session("police") as client:
        async with client.get("/api/v1/alerts/stream") as answer:
            assert answer.content_type == "text/event-stream"
            await asyncio.wait_for(answer.content.readuntil(b"\n\n"), SAFETY_S)
            city.arrive(2, plate())
            fields = await event(answer)
            assert (fields["event"], fields["id"]) == ("alert", "2")  # what was before is not told
            assert msgspec.json.decode(fields["data"])["plate"]["id"] == "cam-01.7.2"
        city.arrive(3, plate())
        async with client.get("/api/v1/alerts/stream", headers={"Last-Event-ID": "1"}) as answer:
            assert [(await event(answer))["id"], (await event(answer))["id"]] == ["2", "3"]  # what was missed
            city.arrive(4, plate())
            assert (await event(answer))["id"] == "4"
    shown = [line.parameters for line in reversed(city.access.trail()) if line.what == "alert.shown"]
    assert shown[0] == '{"alert":2}'
    assert shown[-3:] == ['{"alert":2}', '{"alert":3}', '{"alert":4}']


async def test_a_stream_brings_everything_that_was_missed(city: City) -> None:
    city.watch("68A12345")
    for number in range(1, 2 * MISSED_AT_ONCE + 2):
        city.arrive(number, plate())
    async with (
        city.session("police") as client,
        client.get("/api/v1/alerts/stream", headers={"Last-Event-ID": "0"}) as answer,
    ):
        for number in range(1, 2 * MISSED_AT_ONCE + 2):
            assert (await event(answer))["id"] == str(number)


async def test_a_stream_goes_on_where_an_older_database_was_put_back(city: City) -> None:
    city.watch("68A12345")
    city.arrive(1, plate())
    async with (
        city.session("police") as client,
        client.get("/api/v1/alerts/stream", headers={"Last-Event-ID": "500"}) as answer,
    ):
        await asyncio.wait_for(answer.content.readuntil(b"\n\n"), SAFETY_S)
        city.arrive(2, plate())
        assert (await event(answer))["id"] == "2"


async def test_a_stream_that_is_never_quiet_ends_when_its_token_is_revoked(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.5)
    city.watch("68A12345")
    async with city.session("police") as client, client.get("/api/v1/alerts/stream") as answer:
        await asyncio.wait_for(answer.content.readuntil(b"\n\n"), SAFETY_S)
        city.arrive(1, plate())
        assert (await event(answer))["id"] == "1"
        assert city.access.revoke("police-1", NOON) == 1
        number = 1
        async with asyncio.timeout(SAFETY_S):
            while city.live.subscribers:
                number += 1
                city.arrive(number, plate())
                await asyncio.sleep(0.05)


async def test_a_stream_ends_when_the_server_stops(tmp_path: Path) -> None:
    city = City(tmp_path)
    async with AsyncExitStack() as stack:
        async with city.served():
            client = await stack.enter_async_context(city.session("police"))
            answer = await client.get("/api/v1/alerts/stream")
            await asyncio.wait_for(answer.content.readuntil(b"\n\n"), SAFETY_S)
        # the server has stopped, though the client still listens
        assert await asyncio.wait_for(answer.content.read(), SAFETY_S) == b""
    assert city.live.subscribers == 0
    city.close()
