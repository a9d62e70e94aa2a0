"""Who asks too much, too slowly or too often costs the others nothing."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from city import City

from collector.web import door, guard, stream
from collector.web.guard import MAX_BODY
from collector.web.rates import REMEMBERED, Rate


async def closed(reader: asyncio.StreamReader, within_s: float) -> bytes:
    """What a server says before it closes the connection; fails if it does not."""
    said = b""
    async with asyncio.timeout(within_s):
        try:
            while part := await reader.read(65_536):
                said += part
        except ConnectionError:
            pass
    return said


def place(city: City) -> tuple[str, int]:
    host, port = city.url.removeprefix("http://").split(":")
    return host, int(port)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_head_that_never_ends_ends_the_connection(
    city: City, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HEAD_S", 0.5)
    reader, writer = await asyncio.open_connection(*place(city))
    writer.write(sent)
    dripping = asyncio.create_task(drip(writer))
    await closed(reader, 10)
    dripping.cancel()
    writer.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, as slowloris does."""
    while True:
        await asyncio.sleep(0.1)
        writer.write(b"x")


async def test_a_body_that_never_ends_is_refused(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.5)
    reader, writer = await asyncio.open_connection(*place(city))
    token = city.tokens["police"]
    writer.write(
        f"POST /api/v1/watchlist HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 1000\r\nConnection: close\r\n\r\n{".encode()
    )
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_who_takes_nothing_of_an_answer_is_let_go(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "TAKE_S", 0.5)
    monkeypatch.setattr(door, "HEAD_S", 3600)  # that is not why
    city.measure("air-01", "pm2_5", [1.0] * 60_000, [1] * 60_000, step=1_000)
    async with city.session("officer") as client:
        query = "/api/v1/readings?station=air-01&quantity=pm2_5"
        whole = len(await (await client.get(query)).read())
    let_go, end = asyncio.Event(), door._Guest._end
    monkeypatch.setattr(door._Guest, "_end", lambda guest: (end(guest), let_go.set()))
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(place(city))
        token = city.tokens["officer"]
        raw.sendall(f"GET {query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        async with asyncio.timeout(60):
            await let_go.wait()  # and reads nothing
        raw.settimeout(60)
        taken = await asyncio.to_thread(take_all, raw)
    assert taken < whole, "the rest was thrown away"


async def test_who_takes_an_answer_slowly_gets_all_of_it(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "TAKE_S", 0.3)
    monkeypatch.setattr(door, "HEAD_S", 0.3)
    city.measure("air-01", "pm2_5", [1.0] * 60_000, [1] * 60_000, step=1_000)
    query = "/api/v1/readings?station=air-01&quantity=pm2_5"
    async with city.session("officer") as client:
        whole = len(await (await client.get(query)).read())
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(place(city))
        token = city.tokens["officer"]
        request = f"GET {query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        raw.sendall(request.encode())
        raw.settimeout(60)
        taken, began = b"", time.monotonic()
        while part := await asyncio.to_thread(raw.recv, 65_536):
            taken += part
            await asyncio.sleep(0.002 if time.monotonic() < began + 3 else 0)
    assert len(taken.partition(b"\r\n\r\n")[2]) == whole


def take_all(raw: socket.socket) -> int:
    """How much of an answer there was to take."""
    taken = 0
    try:
        while part := raw.recv(65_536):
            taken += len(part)
    except ConnectionError:
        pass
    return taken


async def test_a_long_answer_and_a_quiet_stream_are_not_cut(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_S", 0.3)
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 1)
    async with city.session("police") as client, client.get("/api/v1/alerts/stream") as answer:
        assert b"retry" in await answer.content.readline()
        async with asyncio.timeout(5):
            while b"still here" not in await answer.content.readline():
                pass


async def test_who_leaves_a_stream_is_not_waited_for(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HEAD_S", 0.1)
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.1)
    wrong: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: wrong.append(context))
    async with city.session("police") as client, client.get("/api/v1/alerts/stream") as answer:
        assert b"retry" in await answer.content.readline()
    async with asyncio.timeout(10):
        while city.live.subscribers:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    assert not wrong


async def test_more_connections_than_there_may_be(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_CONNECTIONS", 5)
    guests = [await asyncio.open_connection(*place(city)) for _ in range(5)]
    reader, writer = await asyncio.open_connection(*place(city))
    assert await closed(reader, 5) == b""
    for _, guest in [*guests, (reader, writer)]:
        guest.close()
    await asyncio.sleep(0.2)
    assert len(await city.get("technician", "/api/v1/devices")) == 4


async def test_failed_logins_and_wrong_tokens_are_slowed_and_the_right_one_still_comes_in(city: City) -> None:
    async with city.session(None) as client:
        wrong = {"Authorization": "Bearer wrong"}
        seen = [(await client.get("/api/v1/devices", headers=wrong)).status for _ in range(80)]
        assert seen[0] == 401
        assert seen[-1] == 429
        form = {"data": "token=wrong", "headers": {"Sec-Fetch-Site": "same-origin"}}
        async with client.post("/login", **form) as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"]
        right = {"data": f"token={city.tokens['officer']}", "headers": {"Sec-Fetch-Site": "same-origin"}}
        async with client.post("/login", **right, allow_redirects=False) as answer:
            assert answer.status == 303
    assert await city.get("technician", "/api/v1/devices")


async def test_one_holder_cannot_ask_without_end(city: City) -> None:
    async with city.session("technician") as client:
        seen = [(await client.get("/api/v1/notices")).status for _ in range(600)]
    assert set(seen) == {200, 429}
    assert await city.get("officer", "/api/v1/devices"), "another's asking costs nobody else"


async def test_streams_of_one_holder_are_counted(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS_EACH", 2)
    async with city.session("police") as client:
        open_ones = [await client.get("/live") for _ in range(2)]
        async with client.get("/live") as answer:
            assert answer.status == 503
        for each in open_ones:
            each.close()
        await asyncio.sleep(0.1)
    async with city.session("technician") as client, client.get("/live") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /" + "a" * 10_000 + " HTTP/1.1\r\nHost: x\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "a" * 10_000 + "\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "".join(f"X-{i}: 1\r\n" for i in range(500)), 400),
        (f"POST /login HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {MAX_BODY + 9}\r\n", 413),
        ("GET /static/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n", 404),
        ("GET /static/%2e%2e/%2e%2e/page.py HTTP/1.1\r\nHost: x\r\n", 404),
        ("GET /api/v1/reports/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\n", 401),
        ("GET /login%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: x\r\n", 404),
    ],
    ids=["line", "field", "fields", "body", "path", "escaped path", "station", "header"],
)
async def test_what_is_too_large_or_leads_elsewhere_is_refused(city: City, head: str, status: int) -> None:
    reader, writer = await asyncio.open_connection(*place(city))
    body = b"x" * (MAX_BODY + 9) if status == 413 else b""
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
    said = await closed(reader, 15)
    assert said.startswith(b"HTTP/1.1 %d " % status) or said.startswith(b"HTTP/1.0 %d " % status), said[:200]
    assert b"Set-Cookie" not in said.partition(b"\r\n\r\n")[0]
    assert b"Traceback" not in said
    writer.close()


def test_a_rate_and_its_memory() -> None:
    now = 0.0
    rate = Rate(per_s=1, burst=2, clock=lambda: now)
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    assert rate.allows("b")
    now = 1.0
    assert [rate.allows("a") for _ in range(2)] == [True, False]
    for address in range(3 * REMEMBERED):
        rate.allows(address)
    assert len(rate) == REMEMBERED
