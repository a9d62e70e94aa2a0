"""The HTTP API on a real server with the real stores."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse
from city import FLEET, HOUR, NOON, City, plate

from collector.__main__ import main
from collector.database import open_database
from collector.live import QUEUE, Live
from collector.state import now_ms
from collector.stores import ReadingRow, Series, StoreError
from collector.web.access import Access, Who
from collector.web.app import make_app
from collector.web.metrics import render
from edge_agent.contract.events import BoxStatus, Lost

SAFETY_S = 10


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    city = City(tmp_path)
    async with city.served():
        yield city
    city.close()


async def get(city: City, role: str, path: str, status: int = 200, **query: str) -> Any:
    """One answer as JSON."""
    async with city.session(role) as client, client.get(path, params=query) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def text(city: City, role: str, path: str, **query: str) -> tuple[str, str]:
    """One answer as its content type and text."""
    async with city.session(role) as client, client.get(path, params=query) as answer:
        assert answer.status == 200, await answer.text()
        return answer.headers["Content-Type"], await answer.text()


async def test_healthz_needs_nothing(city: City) -> None:
    async with city.session(None) as client, client.get("/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_devices_with_state_and_lateness(city: City) -> None:
    city.morning()
    devices = {device["device"]: device for device in await get(city, "technician", "/api/v1/devices")}
    assert {name: device["state"] for name, device in devices.items()} == {
        "air-01": "online",
        "ap-01": "offline",
        "cam-01": "online",
        "sea-01": "late",
    }
    assert devices["sea-01"]["late_s"] == 3600 - 180
    assert devices["air-01"]["seen"] == "2026-11-22T04:59:56.000Z"
    assert devices["air-01"]["version"] == "0.1.0"
    assert devices["air-01"]["position"] == {"lat": 10.2172, "lon": 103.9564}


async def test_readings_as_measured(city: City) -> None:
    city.measure("air-01", "pm2_5", [20.0, 22.5, 900.0], [1, 2, 4])
    answer = await get(city, "officer", "/api/v1/readings", station="air-01", quantity="pm2_5")
    assert (answer["station"], answer["quantity"], answer["unit"]) == ("air-01", "pm2_5", "µg/m3")
    assert [(row["at"], row["value"], row["flag"]) for row in answer["rows"]] == [
        ("2026-11-22T04:58:00.000Z", 20.0, 1),
        ("2026-11-22T04:59:00.000Z", 22.5, 2),
        ("2026-11-22T05:00:00.000Z", 900.0, 4),
    ]


async def test_readings_in_steps(city: City) -> None:
    city.measure("air-01", "pm2_5", [10.0, 20.0, 30.0, 40.0, 999.0], [1, 1, 1, 1, 4], step=30 * 60_000)
    query = {"station": "air-01", "quantity": "pm2_5", "every": "1h", "stop": "2026-11-22T12:30:00+07:00"}
    rows = (await get(city, "technician", "/api/v1/readings", **query))["rows"]
    assert [(row["at"], row["value"], row["flag"], row["n"], row["of"]) for row in rows] == [
        ("2026-11-22T03:00:00.000Z", 15.0, 1, 2, 2),
        ("2026-11-22T04:00:00.000Z", 35.0, 1, 2, 2),
        ("2026-11-22T05:00:00.000Z", None, 4, 0, 1),
    ]


async def test_readings_of_a_span(city: City) -> None:
    city.measure("air-01", "pm2_5", [1.0, 2.0, 3.0, 4.0], [1] * 4)
    query = {"station": "air-01", "quantity": "pm2_5"}
    span = {"start": "2026-11-22T04:58:00Z", "stop": "2026-11-22T05:00:00Z"}
    rows = (await get(city, "officer", "/api/v1/readings", **query, **span))["rows"]
    assert [row["value"] for row in rows] == [2.0, 3.0]  # the stop is not in it
    # a + that was not escaped arrives as a space
    rows = (
        await get(city, "officer", "/api/v1/readings?station=air-01&quantity=pm2_5&start=2026-11-22T11:59:00+07:00")
    )["rows"]
    assert [row["value"] for row in rows] == [3.0, 4.0]


async def test_readings_as_csv(city: City) -> None:
    city.measure("air-01", "pm2_5", [20.5, float("nan")], [1, 9])
    kind, body = await text(city, "officer", "/api/v1/readings", station="air-01", quantity="pm2_5", format="csv")
    assert kind == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(body))) == [
        ["at", "value", "flag", "status"],
        ["2026-11-22T04:59:00.000Z", "20.5", "1", "0"],
        ["2026-11-22T05:00:00.000Z", "", "9", "0"],
    ]


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"station": "air-1"}, 404, "air-01"),
        ({"station": "cam-01"}, 404, "station"),
        ({"quantity": "pm25"}, 404, "pm2_5"),
        ({"start": "yesterday"}, 400, "2026-11-22T07:00:00Z"),
        ({"start": "2026-11-22T07:00:00"}, 400, "zone"),  # whose seven o'clock?
        ({"start": "2026-11-22T07:00:00Z", "stop": "2026-11-22T06:00:00Z"}, 400, "before"),
        ({"every": "1 hour"}, 400, "15m"),
        ({"every": "0s"}, 400, "15m"),
        ({"format": "xml"}, 400, "format"),
        ({"sort": "up"}, 400, "station, quantity, start, stop, every, format"),
    ],
)
async def test_wrong_questions_are_answered_kindly(city: City, changes: dict[str, str], status: int, says: str) -> None:
    query = {"station": "air-01", "quantity": "pm2_5"} | changes
    answer = await get(city, "officer", "/api/v1/readings", status=status, **query)
    assert says in answer["error"]["en"] + answer["what_to_do"]["en"]
    assert answer["error"]["vi"] != answer["error"]["en"]


class BrokenStore:
    """A store that is down, or that holds more than is given out."""

    def __init__(self, rows: int | None) -> None:
        self._rows = rows

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """As `Store.readings`."""
        if self._rows is None:
            raise StoreError("secret://influx refused")
        return [ReadingRow(at=NOON, value=1.0, flag=1)] * min(self._rows, limit)


@pytest.mark.parametrize(("rows", "status", "says"), [(None, 503, "store"), (200_000, 413, "every=1h")])
async def test_the_store_says_no(tmp_path: Path, rows: int | None, status: int, says: str) -> None:
    city = City(tmp_path)
    city.store.close()
    city.store = BrokenStore(rows)  # type: ignore[assignment]
    async with city.served():
        answer = await get(city, "officer", "/api/v1/readings", status, station="air-01", quantity="pm2_5")
    assert says in str(answer)
    assert "secret" not in str(answer)
    city.engine.dispose()


async def test_nothing_here_wrong_method_too_large(city: City) -> None:
    assert "address" in (await get(city, "police", "/api/v2/plates", status=404))["what_to_do"]["en"]
    async with city.session("police") as client:
        async with client.delete("/api/v1/plates") as answer:
            assert answer.status == 405
        async with client.post("/api/v1/watchlist", data=b"x" * 100_000) as answer:
            assert answer.status == 413
            assert "bytes" in (await answer.json())["what_to_do"]["en"]


async def test_plates_and_pictures(city: City) -> None:
    city.arrive(1, plate("68A12345", raw="68AI2345", rendered=True))
    city.arrive(2, plate("51K99999", at=NOON + 1000))
    rows = await get(city, "police", "/api/v1/plates")
    assert [row["text"] for row in rows] == ["51K99999", "68A12345"]
    row = rows[1]
    assert (row["id"], row["camera"], row["raw"], row["rendered"]) == ("cam-01.7.1", "cam-01", "68AI2345", True)
    assert row["doubts"] == ["repaired", "rendered"]
    assert row["at"] == "2026-11-22T05:00:00.000Z"
    async with city.session("police") as client, client.get(row["picture"]) as answer:
        assert (answer.content_type, await answer.read()) == ("image/jpeg", b"\xff\xd8picture of 68A12345")
    assert [row["text"] for row in await get(city, "police", "/api/v1/plates", plate="68a*", camera="cam-01")] == [
        "68A12345"
    ]
    await get(city, "police", "/api/v1/plates", status=404, camera="air-01")
    await get(city, "police", "/api/v1/plates", status=400, limit="100000")
    await get(city, "police", "/api/v1/plates/cam-01.7.3/picture", status=404)


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
        assert await get(city, "police", "/api/v1/watchlist") == [entry]
        async with client.delete(f"/api/v1/watchlist/{entry['id']}") as answer:
            assert (await answer.json())["active"] is False
        async with client.delete(f"/api/v1/watchlist/{entry['id']}") as answer:
            assert answer.status == 404
    assert await get(city, "police", "/api/v1/watchlist") == []
    assert len(await get(city, "police", "/api/v1/watchlist", all="true")) == 1


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
    (alert,) = await get(city, "police", "/api/v1/alerts")
    assert (alert["kind"], alert["pattern"], alert["reason"]) == ("lookalike", "68A12345", "xe mất cắp")
    assert alert["differences"] == [{"position": 3, "read": "I", "watched": "1"}]
    assert alert["doubts"] == ["low_confidence", "repaired"]
    assert alert["plate"]["id"] == "cam-01.7.1"
    assert await get(city, "police", "/api/v1/alerts", start="2026-11-22T06:00:00Z") == []


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


async def test_ledger(city: City) -> None:
    city.ledger.enter([("air-01", 9, (1, 5), None), ("air-01", 9, (8, 2), Lost(kind="wifi", reason="outbox full"))])
    (account,) = await get(city, "operator", "/api/v1/ledger")
    assert {key: account[key] for key in ("device", "outbox", "highest", "stored", "lost", "missing")} == {
        "device": "air-01",
        "outbox": 9,
        "highest": 9,
        "stored": 5,
        "lost": 2,
        "missing": 2,
    }
    assert account["lost_ranges"] == [{"first": 8, "last": 9, "kind": "wifi", "reason": "outbox full"}]


async def test_metrics(city: City) -> None:
    city.morning()
    city.ledger.enter([("air-01", 9, (1, 5), None)])
    kind, body = await text(city, "operator", "/metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    lines = body.splitlines()
    assert "# TYPE collector_packs_total counter" in lines
    assert 'collector_packs_total{kind="plates"} 3' in lines
    assert "collector_receipts_total 3" in lines
    assert 'collector_devices{state="late"} 1' in lines
    assert "collector_events_stored 5" in lines


def test_metrics_with_wrong_names_are_refused() -> None:
    assert render({"a": 1, 'b_total{kind="x"}': 2.5}).splitlines() == [
        "# TYPE collector_a gauge",
        "collector_a 1",
        "# TYPE collector_b_total counter",
        'collector_b_total{kind="x"} 2.5',
    ]
    with pytest.raises(ValueError, match="not the name"):
        render({'a{kind="x\ny"}': 1})


def test_the_live_picture_stays_small_and_current() -> None:
    now = NOON
    live = Live(FLEET, now=lambda: now, expected_s={"air-01": 60})
    states = lambda: {state.box.device: state.state for state in live.devices()}  # noqa: E731
    assert set(states().values()) == {"never"}
    live.saw("air-01", NOON + 10 * HOUR, NOON)  # its clock runs ahead
    live.saw("ghost-01", NOON, NOON)
    assert states()["air-01"] == "online"
    now += 61_000
    assert states()["air-01"] == "late"
    live.status("air-01", BoxStatus(online=False, at=NOON, version="1", outbox=1))
    assert states()["air-01"] == "offline"
    live.saw("air-01", now + 1000, now + 1000)  # it speaks after its last will
    now += 2000
    assert states()["air-01"] == "online"
    live.status("sea-01", BoxStatus(online=True, at=NOON, version="1", outbox=1))
    assert states()["sea-01"] == "online"
    now += 181_000
    assert states()["sea-01"] == "late"  # connected, but nothing ever came


async def test_a_slow_subscriber_is_dropped_and_others_are_not() -> None:
    now = NOON
    live = Live(FLEET, now=lambda: now)
    slow, quick, other = live.subscribe(["devices"]), live.subscribe(["devices"]), live.subscribe(["alerts"])
    got = 0
    for i in range(QUEUE + 10):
        now += 1000
        live.saw("air-01", now, now)
        got += (await quick.next(SAFETY_S)) is not None
        assert slow.ended == (i >= QUEUE)
    assert got == QUEUE + 10
    assert (quick.ended, other.ended, live.subscribers, live.dropped_subscribers) == (False, False, 2, 1)


async def test_a_restarted_collector_shows_the_last_plates_and_alerts(city: City) -> None:
    city.watch("68A12345")
    for number in range(20):
        city.arrive(number, plate(at=NOON + number))
    fresh = Live(FLEET, now=lambda: NOON)
    context = msgspec.structs.replace(city.context, live=fresh)
    app = make_app(context)
    app.freeze()
    await app.startup()
    assert [seen.number for seen in fresh.last_plates()] == list(range(19, 7, -1))
    assert [alert.id for alert in fresh.last_alerts()] == list(range(20, 0, -1))
    await app.cleanup()


async def collector(*arguments: str) -> tuple[int, str, str]:
    """Run the command line in a thread; status and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = await asyncio.wait_for(asyncio.to_thread(main, list(arguments)), 3 * SAFETY_S)
    return status, out.getvalue(), err.getvalue()


async def command(city: City, role: str, tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command against the city's server with a role's token."""
    file = tmp_path / "token"
    file.write_text(city.tokens[role] + "\n")
    return await collector(*arguments, "--url", city.url, "--token-file", str(file))


async def test_commands(city: City, tmp_path: Path) -> None:
    city.time = now_ms()  # the commands are processes with the machine's own clock
    city.measure("air-01", "pm2_5", [20.0, 22.5, 900.0], [1, 1, 4])
    add = ("watch", "add", "68a*", "--reason", "xe mất cắp", "--officer", "CA-1", "--for", "30m")
    status, out, err = await command(city, "police", tmp_path, *add)
    assert status == 0, err
    assert "68A*" in out and "CA-1: xe mất cắp" in out
    status, out, _ = await command(city, "police", tmp_path, "watch", "list")
    assert status == 0 and "68A*" in out
    status, out, _ = await command(city, "police", tmp_path, "watch", "remove", out.split()[0])
    assert status == 0 and "removed" in out
    status, _, err = await command(city, "officer", tmp_path, "watch", "list")
    assert status == 1 and "officer may not use this" in err and "không được xem" in err
    status, out, _ = await command(city, "officer", tmp_path, "query", "air-01", "pm2_5", "--last", "1h")
    assert [line.split()[2:] for line in out.splitlines()][1:] == [
        ["22.5", "µg/m3", "✓", "pass"],
        ["900.0", "µg/m3", "✕", "fail"],
    ]
    status, out, _ = await command(city, "officer", tmp_path, "query", "air-01", "pm2_5", "--csv", "--every", "1d")
    assert out.splitlines()[0] == "at,value,flag,status,n,of"
    status, _, err = await command(city, "officer", tmp_path, "query", "air-1", "pm2_5")
    assert status == 1 and "air-01" in err


async def test_tokens_by_command(tmp_path: Path) -> None:
    settings = tmp_path / "collector.yaml"
    settings.write_text(f"state: {tmp_path}\nfleet: {tmp_path}\nplates: {{keep_days: 1, keep_hit_days: 2}}\n")

    status, token, _ = await collector("token", "add", str(settings), "đội 3", "--role", "police")
    access = Access(open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}"))
    who = access.holder(token.strip())
    assert status == 0 and who == Who(name="đội 3", role="police")
    access.record(who, "plates.search", {"plate": "68A*"}, now=NOON)
    status, lines, _ = await collector("audit", str(settings))
    assert msgspec.json.decode(lines)["parameters"] == {"plate": "68A*"}
    assert await collector("token", "revoke", str(settings), "đội 3") == (0, "1 ended\n", "")
    assert access.holder(token.strip()) is None
