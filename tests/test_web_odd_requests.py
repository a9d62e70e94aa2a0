"""Requests that no browser and no library sends: an answer that blames who asks, and no fault of ours in the log."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from city import City
from sqlalchemy import Engine

FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n"
STRANGE = {
    "a token that is no text": (b"GET /api/v1/devices", b"Authorization: Bearer \xff\xfe\r\n", b"", 401),
    "a session that is no text": (b"GET /", b"Cookie: session=\xff\xfe\r\n", b"", 303),
    "a path that is no text": (b"GET /api/v1/\xff", b"", b"", 400),
    "an origin that is none": (b"POST /login", b"Origin: http://[x\r\n" + FORM, b"token=a", 403),
    "an origin that is no text": (b"POST /login", b"Origin: \xff\r\n" + FORM, b"token=a", 403),
    "no HTTP": (b"\x16\x03\x01 \x00", b"", b"", 400),
}
KNOWN = {
    "an event that is none": (b"GET /api/v1/alerts/stream", b"Last-Event-ID: \xff\r\n", b"", 200),
    "a plate that is no text": (b"GET /api/v1/plates/%ff%ed%a0%80/picture", b"", b"", 404),
    "an answer in no character set": (
        b"POST /api/v1/watchlist",
        b"Content-Type: application/json; charset=none\r\nContent-Length: 2\r\n",
        b"{}",
        400,
    ),
    "a right that is another's, asked for in no text": (b"GET /api/v1/reports/%ed%a0%80", b"", b"", 403),
}


async def status(city: City, what: tuple[bytes, bytes, bytes, int], token: bytes = b"") -> int:
    host, port = city.url.removeprefix("http://").split(":")
    line, headers, body, _ = what
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(line + b" HTTP/1.1\r\nHost: x\r\n" + token + headers + b"Connection: close\r\n\r\n" + body)
    async with asyncio.timeout(20):
        said = await reader.readline()
    writer.close()
    return int(said.split()[1])


@pytest.mark.parametrize("name", [*STRANGE, *KNOWN])
async def test_an_odd_request_is_no_fault_of_ours(city: City, name: str, caplog: pytest.LogCaptureFixture) -> None:
    token = f"Authorization: Bearer {city.tokens['police']}\r\n".encode() if name in KNOWN else b""
    what = {**STRANGE, **KNOWN}[name]
    assert await status(city, what, token) == what[3]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text


async def test_the_character_0_is_refused_whatever_the_database(
    tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    city = City(tmp_path, engine)
    entry: dict[str, Any] = {"pattern": "51K12345", "reason": "stolen", "expires": "2026-11-23T00:00:00Z"}
    headers = {"Authorization": f"Bearer {city.tokens['police']}"}
    async with city.served(), aiohttp.ClientSession(city.url, headers=headers) as client:
        for spoilt in ({"pattern": "51K\0"}, {"reason": "\0"}, {"officer": "an\0"}, {"expires": "\0"}):
            async with client.post("/api/v1/watchlist", json={**entry, **spoilt}) as answer:
                assert answer.status == 400, spoilt
        for name in ("plate", "camera", "site", "start"):
            async with client.get("/api/v1/plates", params={name: "\0"}) as answer:
                assert answer.status in (400, 404), name
        async with client.post("/api/v1/watchlist", json={**entry, "reason": "mất cắp\nhôm qua"}) as answer:
            assert answer.status == 201, "any other character is as good as any"
    city.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
