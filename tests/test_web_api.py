"""The HTTP API on a real server with the real stores."""

from __future__ import annotations

import csv
import io
from contextlib import ExitStack
from pathlib import Path

import pytest
from city import NOON, City
from collector_double import EXAMPLES
from msgspec.structs import replace

from collector.stores import LatestRow, ReadingRow, Series, StoreError
from collector.web.metrics import render
from edge_agent.contract.events import Calibration, Heartbeat, Lost

SAFETY_S = 10


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
    devices = {device["device"]: device for device in await city.get("technician", "/api/v1/devices")}
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


async def test_sensors_under_calibration_stand_with_their_box(city: City) -> None:
    calibration = Calibration(sensor="ph", since=NOON, until=NOON + 60_000, by="minh")
    city.live.beat("sea-01", replace(EXAMPLES[Heartbeat], at=NOON, calibrating=(calibration,)))
    devices = {device["device"]: device for device in await city.get("officer", "/api/v1/devices")}
    assert devices["sea-01"]["calibrating"] == [
        {"sensor": "ph", "since": "2026-11-22T05:00:00.000Z", "until": "2026-11-22T05:01:00.000Z", "by": "minh"}
    ]
    assert devices["air-01"]["calibrating"] == []
    async with city.session("technician") as client, client.get("/") as answer:
        assert "đang hiệu chuẩn ph đến 12:01:00" in await answer.text()


async def test_readings_as_measured(city: City) -> None:
    city.measure("air-01", "pm2_5", [20.0, 22.5, 900.0], [1, 2, 4])
    answer = await city.get("officer", "/api/v1/readings", station="air-01", quantity="pm2_5")
    assert (answer["station"], answer["quantity"], answer["unit"]) == ("air-01", "pm2_5", "µg/m3")
    assert [(row["at"], row["value"], row["flag"]) for row in answer["rows"]] == [
        ("2026-11-22T04:58:00.000Z", 20.0, 1),
        ("2026-11-22T04:59:00.000Z", 22.5, 2),
        ("2026-11-22T05:00:00.000Z", 900.0, 4),
    ]


async def test_readings_in_steps(city: City) -> None:
    city.measure("air-01", "pm2_5", [10.0, 20.0, 30.0, 40.0, 999.0], [1, 1, 1, 1, 4], step=30 * 60_000)
    query = {"station": "air-01", "quantity": "pm2_5", "every": "1h", "stop": "2026-11-22T12:30:00+07:00"}
    rows = (await city.get("technician", "/api/v1/readings", **query))["rows"]
    assert [(row["at"], row["value"], row["flag"], row["n"], row["of"]) for row in rows] == [
        ("2026-11-22T03:00:00.000Z", 15.0, 1, 2, 2),
        ("2026-11-22T04:00:00.000Z", 35.0, 1, 2, 2),
        ("2026-11-22T05:00:00.000Z", None, 4, 0, 1),
    ]


async def test_readings_of_a_span(city: City) -> None:
    city.measure("air-01", "pm2_5", [1.0, 2.0, 3.0, 4.0], [1] * 4)
    query = {"station": "air-01", "quantity": "pm2_5"}
    span = {"start": "2026-11-22T04:58:00Z", "stop": "2026-11-22T05:00:00Z"}
    rows = (await city.get("officer", "/api/v1/readings", **query, **span))["rows"]
    assert [row["value"] for row in rows] == [2.0, 3.0]  # the stop is not in it
    # a + that was not escaped arrives as a space
    rows = (
        await city.get("officer", "/api/v1/readings?station=air-01&quantity=pm2_5&start=2026-11-22T11:59:00+07:00")
    )["rows"]
    assert [row["value"] for row in rows] == [3.0, 4.0]


async def test_readings_as_csv(city: City) -> None:
    city.measure("air-01", "pm2_5", [20.5, float("nan")], [1, 9])
    kind, body = await text(city, "officer", "/api/v1/readings", station="air-01", quantity="pm2_5", format="csv")
    assert kind == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(body))) == [
        ["at", "unit", "value", "flag", "status"],
        ["2026-11-22T04:59:00.000Z", "µg/m3", "20.5", "1", "0"],
        ["2026-11-22T05:00:00.000Z", "µg/m3", "", "9", "0"],
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
        ({"every": "999999d"}, 400, "3660d"),
        ({"format": "xml"}, 400, "format"),
        ({"sort": "up"}, 400, "station, quantity, start, stop, every, format"),
    ],
)
async def test_wrong_questions_are_answered_kindly(city: City, changes: dict[str, str], status: int, says: str) -> None:
    query = {"station": "air-01", "quantity": "pm2_5"} | changes
    answer = await city.get("officer", "/api/v1/readings", status=status, **query)
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

    def latest(self, since: int) -> list[LatestRow]:
        """As `Store.latest`."""
        raise StoreError("secret://influx refused")


@pytest.mark.parametrize(("rows", "status", "says"), [(None, 503, "store"), (200_000, 413, "every=1h")])
async def test_the_store_says_no(tmp_path: Path, rows: int | None, status: int, says: str) -> None:
    city = City(tmp_path)
    city.store.close()
    city.store = BrokenStore(rows)  # type: ignore[assignment]
    async with city.served():
        answer = await city.get("officer", "/api/v1/readings", status, station="air-01", quantity="pm2_5")
    assert says in str(answer)
    assert "secret" not in str(answer)
    city.engine.dispose()


async def test_the_database_does_not_answer(city: City, caplog: pytest.LogCaptureFixture) -> None:
    city.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with ExitStack() as others:
        for _ in range(15):
            others.enter_context(city.engine.connect())
        answer = await city.get("police", "/api/v1/plates", status=503)
    assert "database" in answer["error"]["en"]
    assert "Traceback" not in caplog.text and "database: QueuePool limit" in caplog.text
    await city.get("police", "/api/v1/plates")


async def test_nothing_here_wrong_method_too_large(city: City) -> None:
    assert "address" in (await city.get("police", "/api/v2/plates", status=404))["what_to_do"]["en"]
    async with city.session("police") as client:
        async with client.delete("/api/v1/plates") as answer:
            assert answer.status == 405
        async with client.post("/api/v1/watchlist", data=b"x" * 100_000) as answer:
            assert answer.status == 413
            assert "bytes" in (await answer.json())["what_to_do"]["en"]


async def test_ledger(city: City) -> None:
    city.ledger.enter([("air-01", 9, (1, 5), None), ("air-01", 9, (8, 2), Lost(kind="wifi", reason="outbox full"))])
    (account,) = await city.get("operator", "/api/v1/ledger")
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
