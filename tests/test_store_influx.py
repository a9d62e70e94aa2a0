"""InfluxDB stores: against influxd 1.6.7, VictoriaMetrics, and canned answers of a 2.x server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import urllib3
from frames import MINUTE, T0, air, plates
from servers import Server, free_port, influxd, victoria_metrics

from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, RejectedError, Series, Store, StoreError
from collector.stores.duckdb import DuckStore
from collector.stores.influx import Influx2Store
from collector.stores.influx1 import Influx1Store
from collector.stores.lines import lines

FOREVER = 4_000_000_000_000
NASTY = ['say "hi"', "a\\b", "trailing\\", "a,b=c d", "Đ ü 漢", "'; DROP MEASUREMENT plates", "#hash"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxd(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture
def store(server: Server, request: pytest.FixtureRequest) -> Iterator[Influx1Store]:
    store = Influx1Store(url=server.url, database=request.node.originalname)
    yield store
    store.close()


def series(quantity: str = "pm2_5", station: str = "air-01") -> Series:
    return Series(measurement="air", station=station, quantity=quantity, start=0, stop=FOREVER)


def points(server: Server, database: str, measurement: str) -> list[dict[str, object]]:
    """What the server itself says that it holds, in order of time; with the tags, without absent fields."""
    asked = {"db": database, "epoch": "ns", "q": f'SELECT * FROM "{measurement}" ORDER BY time'}
    (result,) = urllib3.request("POST", f"{server.url}/query", fields=asked).json()["results"]
    return [
        {name: value for name, value in zip(found["columns"], values, strict=True) if value is not None}
        for found in result.get("series", ())
        for values in found["values"]
    ]


def test_lines_hold_types_nanoseconds_and_only_what_is_there():
    frame = Frame(
        measurement="air",
        tags={"station": "air 1", "site": "a,b=c"},
        at=np.array([T0, T0 + 1, T0 + 2]),
        offset_ns=np.array([0, 7000, 999_000]),
        fields={
            "value": np.array([1.5, np.nan, np.inf]),
            "flag": np.array([1, 0, 0], np.uint8),
            "n": np.array([-3, 2**63 - 1, 0]),
            "ok": np.array([True, False, True]),
            "text": ['a "b" \\', None, "two\nlines"],
        },
    )
    assert lines(frame) == [
        f'air,site=a\\,b\\=c,station=air\\ 1 value=1.5,flag=1i,n=-3i,ok=true,text="a \\"b\\" \\\\" {T0}000000',
        f"air,site=a\\,b\\=c,station=air\\ 1 n=9223372036854775807i,ok=false {T0 + 1}007000",
        f'air,site=a\\,b\\=c,station=air\\ 1 n=0i,ok=true,text="two lines" {T0 + 2}999000',
    ]


def test_a_point_without_fields_is_no_line():
    assert lines(air(pm2_5=[None, 2], pm2_5_flag=[0, 1])) == [
        f"air,site=duong-dong,station=air-01 pm2_5=2.0,pm2_5_flag=1i {T0 + MINUTE}000000"
    ]


@pytest.mark.parametrize("tag", ["", "a\nb", "a\\"])
def test_a_tag_that_cannot_be_written_is_rejected(store: Influx1Store, tag: str):
    with pytest.raises(RejectedError, match="not a tag"):
        store.write([air(tag, pm2_5=[1])])


def test_points_come_back_as_they_went(store: Influx1Store):
    store.write([air(pm2_5=[10.5, None, 12], pm2_5_flag=[1, 9, 3], pm2_5_status=[0, 2, 0])])
    assert store.readings(series()) == [
        ReadingRow(at=T0, value=10.5, flag=1),
        ReadingRow(at=T0 + MINUTE, value=None, flag=9, status=2, n=0),
        ReadingRow(at=T0 + 2 * MINUTE, value=12, flag=3),
    ]
    assert store.readings(series("ph")) == store.readings(series(station="air-02")) == []
    assert store.readings(series(station="x' OR station != '")) == []


def test_writing_again_changes_nothing_and_other_fields_merge(store: Influx1Store, server: Server):
    frame = air(pm2_5=[1, 2], pm2_5_flag=[1, 1])
    for _ in range(3):
        store.write([frame, frame])
    store.write([air(humidity=[80, None], humidity_flag=[1, 9]), air(first=1, pm2_5_flag=[4])])
    known = {"station": "air-01", "site": "duong-dong"}
    database = "test_writing_again_changes_nothing_and_other_fields_merge"
    assert points(server, database, "air") == [
        {"time": T0 * 10**6, **known, "pm2_5": 1, "pm2_5_flag": 1, "humidity": 80, "humidity_flag": 1},
        {"time": (T0 + MINUTE) * 10**6, **known, "pm2_5": 2, "pm2_5_flag": 4, "humidity_flag": 9},
    ]


def test_text_and_events_of_one_millisecond(store: Influx1Store, server: Server):
    store.write([plates(*NASTY), plates("51A00001", camera="cam-02", at=T0 + 5)])
    store.write([plates(*NASTY)])
    found = points(server, "test_text_and_events_of_one_millisecond", "plates")
    assert [row["plate"] for row in found] == [*NASTY, "51A00001"]
    assert [row["time"] for row in found] == [*(T0 * 10**6 + 1000 * i for i in range(len(NASTY))), (T0 + 5) * 10**6]
    assert found[-1].items() >= {"camera": "cam-02", "site": "an-thoi", "confidence": 0.75, "valid": True}.items()
    store.forget("plates", T0 + 5)
    assert points(server, "test_text_and_events_of_one_millisecond", "plates") == found[-1:]


def test_the_same_answers_as_the_embedded_store(store: Influx1Store, tmp_path: Path):
    chance = np.random.default_rng(2)
    n = 6000
    codes = chance.choice([1, 2, 3, 4, 9], n)
    values = np.where(codes == 9, np.nan, chance.normal(20, 3, n).round(1))
    frames = [
        air(pm2_5=values, pm2_5_flag=codes, pm2_5_status=chance.choice([0, 0, 1], n)),
        air(humidity=[80], humidity_flag=[1]),
        air("air-02", pm2_5=[None], pm2_5_flag=[9]),
        plates("51A00001", "51A00002"),
    ]
    duck: Store = DuckStore(tmp_path / "points.duckdb")
    for each in (duck, store):
        each.write(frames)
    assert store.readings(series()) == duck.readings(series())
    assert store.readings(series(), limit=7) == duck.readings(series(), limit=7)
    found, expected = (each.readings(series(), 60 * MINUTE) for each in (store, duck))
    assert [r.value for r in found] == pytest.approx([r.value for r in expected])
    assert [(r.at, r.flag, r.status, r.n, r.of) for r in found] == [
        (r.at, r.flag, r.status, r.n, r.of) for r in expected
    ]
    by_key = {(row.station, row.quantity): row for row in duck.latest(0)}
    assert {(row.station, row.quantity): row for row in store.latest(0)} == by_key
    late = T0 + 100 * MINUTE
    assert store.latest(late) == duck.latest(late)
    assert [(row.station, row.quantity) for row in store.latest(late)] == [("air-01", "pm2_5")]
    duck.close()


def test_a_line_that_the_server_rejects_is_said(store: Influx1Store):
    store.write([air(pm2_5=[1], pm2_5_flag=[1])])
    wrong = Frame(
        measurement="air", tags={"station": "air-01", "site": "x"}, at=np.array([T0]), fields={"pm2_5": ["high"]}
    )
    with pytest.raises(RejectedError, match=r"400: .*pm2_5.*type"):
        store.write([wrong])


def test_a_server_that_is_not_there_and_comes_back(tmp_path: Path):
    port = free_port()
    store = Influx1Store(url=f"http://127.0.0.1:{port}", database="island")
    frames = [air(pm2_5=[1], pm2_5_flag=[1])]
    with pytest.raises(StoreError, match="does not answer"):
        store.write(frames)
    with influxd(tmp_path, port) as server:
        store.write(frames)
        server.kill()
        with pytest.raises(StoreError, match="does not answer"):
            store.write([air(first=1, pm2_5=[2], pm2_5_flag=[1])])
    with influxd(tmp_path, port):
        store.write([air(first=1, pm2_5=[2], pm2_5_flag=[1])])
        assert [row.value for row in store.readings(series())] == [1, 2]
    store.close()


def test_user_and_password(tmp_path: Path):
    with influxd(tmp_path, auth=True) as server:
        admin = "CREATE USER admin WITH PASSWORD 'right' WITH ALL PRIVILEGES"
        assert urllib3.request("POST", f"{server.url}/query", fields={"q": admin}).status == 200
        right, wrong = (
            Influx1Store(url=server.url, database="island", user="admin", password=word) for word in ("right", "wrong")
        )
        right.write([air(pm2_5=[1], pm2_5_flag=[1])])
        assert len(right.readings(series())) == 1
        with pytest.raises(StoreError, match="401: authorization failed; check user or token"):
            wrong.write([air(pm2_5=[1], pm2_5_flag=[1])])
        with pytest.raises(StoreError, match="401"):
            wrong.readings(series())


def test_a_database_that_holds_nothing_yet(store: Influx1Store):
    assert store.readings(series()) == store.latest(0) == []


def test_victoria_metrics_takes_the_client_s_writes(tmp_path: Path):
    with victoria_metrics(tmp_path) as server:
        store = Influx2Store(url=server.url, token="t", org="island", bucket="island")
        store.write([air(pm2_5=[10.5, None, 12], pm2_5_flag=[1, 9, 3]), plates("51A00001")])
        store.write([air("air-02", first=i * 1000, pm2_5=[1.0] * 1000, pm2_5_flag=[1] * 1000) for i in range(12)])
        store.close()
        http = urllib3.PoolManager()
        http.request("GET", f"{server.url}/internal/force_flush")
        answer = http.request("GET", f"{server.url}/api/v1/export", fields={"match[]": '{__name__!=""}'})
        found = {}
        for line in answer.data.splitlines():
            metric = json.loads(line)
            names = metric["metric"]
            found[names["__name__"], names.get("station", names.get("camera"))] = metric
    assert found["air_pm2_5", "air-01"]["values"] == [10.5, 12]
    assert found["air_pm2_5", "air-01"]["timestamps"] == [T0, T0 + 2 * MINUTE]
    assert found["air_pm2_5_flag", "air-01"]["values"] == [1, 9, 3]
    assert len(found["air_pm2_5", "air-02"]["values"]) == 12_000
    assert found["plates_confidence", "cam-01"]["values"] == [0.75]
    assert found["plates_plate", "cam-01"]["values"] == [0]  # it keeps no text


class Answering(BaseHTTPRequestHandler):
    """Speaks as InfluxDB 2.x does: what it is asked is kept, what it answers is set by the test."""

    asked: ClassVar[list[tuple[str, str]]] = []
    answers: ClassVar[dict[str, tuple[int, str, str]]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.asked.append((self.path, body))
        status, kind, text = self.answers[self.path.split("?")[0]]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def influx2() -> Iterator[Influx2Store]:
    Answering.asked.clear()
    Answering.answers.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    store = Influx2Store(url=f"http://127.0.0.1:{server.server_port}", token="t", org="island", bucket="bucket")
    yield store
    store.close()
    server.shutdown()
    server.server_close()
    thread.join(5)


def answer_csv(*columns: tuple[str, str, list[str]]) -> None:
    """Annotated CSV with the columns (name, type, values)."""
    rows = [
        ["#datatype", "string", "long", *(kind for _, kind, _ in columns)],
        ["#group", "false", "false", *("false" for _ in columns)],
        ["#default", "_result", "", *("" for _ in columns)],
        ["", "result", "table", *(name for name, _, _ in columns)],
        *(["", "", "0", *values] for values in zip(*(values for _, _, values in columns), strict=True)),
    ]
    text = "\r\n".join(",".join(row) for row in rows) + "\r\n\r\n"
    Answering.answers["/api/v2/query"] = (200, "text/csv; charset=utf-8", text)


TIME = "dateTime:RFC3339"


def test_flux_readings(influx2: Influx2Store):
    answer_csv(
        ("_time", TIME, ["2026-05-28T20:26:40Z", "2026-05-28T20:27:40Z"]),
        ("pm2_5", "double", ["10.5", ""]),
        ("pm2_5_flag", "long", ["1", "9"]),
    )
    assert influx2.readings(series()) == [
        ReadingRow(at=T0, value=10.5, flag=1),
        ReadingRow(at=T0 + MINUTE, value=None, flag=9, n=0),
    ]
    flux = json.loads(Answering.asked[0][1])["query"]
    assert 'r.station == "air-01"' in flux
    assert influx2.readings(series(station='" or true')) == []
    assert len(Answering.asked) == 1
    assert [row.value for row in influx2.readings(series(), 60 * MINUTE)] == [10.5]


def test_flux_latest_joins_the_fields_of_one_time(influx2: Influx2Store):
    answer_csv(
        (
            "_time",
            TIME,
            ["2026-05-28T20:26:40Z", "2026-05-28T20:27:40Z", "2026-05-28T20:26:40Z", "2026-05-28T20:26:40Z"],
        ),
        ("_value", "double", ["10.5", "9", "80", "1"]),
        ("_field", "string", ["pm2_5", "pm2_5_flag", "humidity", "humidity_flag"]),
        ("_measurement", "string", ["air"] * 4),
        ("site", "string", ["duong-dong"] * 4),
        ("station", "string", ["air-01"] * 4),
    )
    known = {"measurement": "air", "station": "air-01", "site": "duong-dong"}
    assert influx2.latest(0) == [
        LatestRow(**known, quantity="humidity", at=T0, value=80, flag=1),
        LatestRow(**known, quantity="pm2_5", at=T0 + MINUTE, value=None, flag=9),
    ]


def test_deletion(influx2: Influx2Store):
    Answering.answers["/api/v2/delete"] = (204, "text/plain", "")
    influx2.forget("plates", T0)
    path, body = Answering.asked[-1]
    assert "bucket=bucket" in path
    assert json.loads(body)["predicate"] == '_measurement="plates"'
    assert json.loads(body)["stop"].startswith("2026-05-28T20:26:40")


def test_a_2x_server_s_refusal_names_our_line(influx2: Influx2Store):
    said = {"code": "invalid", "message": "unable to parse line: missing field value", "line": 2}
    Answering.answers["/api/v2/write"] = (400, "application/json", json.dumps(said))
    with pytest.raises(RejectedError, match=r"400: unable to parse.*line 2 is 'air,.*pm2_5=2\.0") as failed:
        influx2.write([air(pm2_5=[1, 2])])
    assert f"{T0 + MINUTE}000000" in str(failed.value)
    Answering.answers["/api/v2/write"] = (
        401,
        "application/json",
        '{"code":"unauthorized","message":"unauthorized access"}',
    )
    with pytest.raises(StoreError, match="401: unauthorized access; check user or token") as failed:
        influx2.write([air(pm2_5=[1])])
    assert not isinstance(failed.value, RejectedError)
    Answering.answers["/api/v2/write"] = (503, "text/plain", "no room")
    with pytest.raises(StoreError, match="503: no room"):
        influx2.write([air(pm2_5=[1])])
    Answering.answers["/api/v2/write"] = (204, "text/plain", "")
    influx2.write([air(pm2_5=[1])])
