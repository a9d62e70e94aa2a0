"""The store for InfluxDB 2.x: its real client against a double that remembers, and against canned answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from frames import MINUTE, T0, air, plates, series
from influx2_double import Influx2Double

from collector.stores import LatestRow, ReadingRow, RejectedError, StoreError
from collector.stores.influx import Influx2Store


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


def test_flux_tables(influx2: Influx2Store):
    answer_csv(
        ("_time", TIME, ["2026-05-28T20:26:40Z", "2026-05-28T20:27:40Z", "2026-05-28T20:26:40Z"]),
        ("_start", TIME, ["2026-05-28T00:00:00Z"] * 3),
        ("station", "string", ["air-01", "air-01", "air-02"]),
        ("site", "string", ["duong-dong"] * 3),
        ("pm2_5", "double", ["10.5", "", "7"]),
        ("pm2_5_flag", "long", ["1", "9", "1"]),
        ("rule", "string", ["", "flags 1+2", ""]),
    )
    found = influx2.tables("air_1h", ["air-01", "air-02", '" or true'], start=T0, stop=T0 + MINUTE, names=["pm2_5"])
    assert {station: table.at.tolist() for station, table in found.items()} == {
        "air-01": [T0, T0 + MINUTE],
        "air-02": [T0],
    }
    assert found["air-02"].fields.keys() == {"pm2_5", "pm2_5_flag"}
    assert found["air-01"].fields["pm2_5_flag"].tolist() == [1, 9]
    assert found["air-01"].fields["rule"].tolist() == [None, "flags 1+2"]
    flux = json.loads(Answering.asked[0][1])["query"]
    assert '(r.station == "air-01" or r.station == "air-02")' in flux
    assert 'filter(fn: (r) => r._field == "pm2_5")' in flux
    assert "true" not in flux
    assert influx2.tables("air", [], start=0, stop=T0) == influx2.tables("air", ["air-01"], start=0, stop=T0, names=[])
    assert len(Answering.asked) == 1


def test_erasing_is_deletion_of_single_moments(influx2: Influx2Store):
    Answering.answers["/api/v2/delete"] = (204, "text/plain", "")
    influx2.erase("air_1h", "air-01", [T0, T0 + MINUTE])
    asked = [json.loads(body) for _, body in Answering.asked]
    assert [a["predicate"] for a in asked] == ['_measurement="air_1h" AND station="air-01"'] * 2
    assert [a["start"][:19] for a in asked] == ["2026-05-28T20:26:40", "2026-05-28T20:27:40"]
    assert asked[0]["stop"].startswith("2026-05-28T20:26:40.001")


def buckets_written() -> dict[str, str]:
    """Bucket: what was asked of it since the last look."""
    written = {parse_qs(urlsplit(path).query)["bucket"][0]: body for path, body in Answering.asked}
    Answering.asked.clear()
    return written


@pytest.fixture
def double() -> Iterator[tuple[Influx2Double, str]]:
    double = Influx2Double()
    with double.served() as url:
        yield double, url


def test_plates_go_to_their_own_bucket_or_without_text(double: tuple[Influx2Double, str]):
    server, url = double
    frames = [plates("51A00001"), air(pm2_5=[1]), plates("51A00002", at=T0 + 1)]
    Influx2Store(url=url, token="t", org="o", bucket="bucket").write(frames)
    assert {bucket for bucket, *_ in server.values} == {"bucket"}
    assert sum(field == "confidence" for _, _, field, _ in server.values) == 2
    assert "51a0000" not in str(server.values).lower()
    server.values.clear()
    Influx2Store(url=url, token="t", org="o", bucket="bucket", plates_bucket="police").write(frames)
    measurements = {series.split(",")[0] for bucket, series, _, _ in server.values if bucket == "bucket"}
    assert measurements == {"air", "collector_writes"}
    assert [
        value for (bucket, _, field, _), value in server.values.items() if (bucket, field) == ("police", "plate")
    ] == [
        '"51A00001"',
        '"51A00002"',
    ]


def test_a_value_is_asked_for_whatever_its_tags_hold(double: tuple[Influx2Double, str]):
    server, url = double
    store = Influx2Store(url=url, token="t", org="o", bucket="bucket")
    store.write([air(site='chợ đêm, "số 1" = ${x}', pm2_5=[1, None, 3], pm2_5_flag=[1, 9, 1])])
    store.write([air(first=i * 3000, pm2_5=[1.0] * 3000) for i in range(12)])
    store.write([air("air-02", pm2_5=[1.0] * 25_000), plates("51A00001")])  # longer than a request
    assert sum(series.startswith("air,") for _, series, _, _ in server.values) == 5 + 36_000 + 25_000


def test_a_yes_without_the_points_is_no_yes(double: tuple[Influx2Double, str]):
    server, url = double
    server.write = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(StoreError, match=r"said yes but has not got .*collector_writes\.request of lane \d+ at 2026"):
        Influx2Store(url=url, token="t", org="o", bucket="bucket").write([air(pm2_5=[1])])


def test_a_yes_with_the_mark_alone_is_none_either(double: tuple[Influx2Double, str]):
    server, url = double
    take = server.write
    server.write = lambda bucket, body: take(bucket, body.split("\n")[-1])  # type: ignore[method-assign]
    with pytest.raises(
        StoreError, match=r"said yes but has not got .*air\.pm2_5 of station air-01, site duong-dong at 2026"
    ):
        Influx2Store(url=url, token="t", org="o", bucket="bucket").write([air(pm2_5=[1])])


def test_deletion_goes_wherever_plates_may_stand(influx2: Influx2Store):
    Answering.answers["/api/v2/delete"] = (204, "text/plain", "")
    influx2.forget("plates", T0)
    ((bucket, asked),) = buckets_written().items()
    assert bucket == "bucket"
    assert json.loads(asked)["predicate"] == '_measurement="plates"'
    assert json.loads(asked)["stop"].startswith("2026-05-28T20:26:40")
    influx2._plates_bucket = "police"
    influx2.forget("plates", T0)
    assert buckets_written() == {"bucket": asked, "police": asked}
    influx2.forget("air", T0)
    assert buckets_written().keys() == {"bucket"}


def test_a_question_that_is_refused_refuses_no_points(influx2: Influx2Store):
    Answering.answers["/api/v2/write"] = (204, "text/plain", "")
    Answering.answers["/api/v2/query"] = (400, "text/plain", "unsupported path requested")
    with pytest.raises(StoreError, match="400: unsupported path") as failed:
        influx2.write([air(pm2_5=[1])])
    assert not isinstance(failed.value, RejectedError), "or the pack would be given up as lost"


def test_a_2x_server_s_refusal_names_our_line(influx2: Influx2Store):
    said = {"code": "invalid", "message": "unable to parse line: missing field value", "line": 2}
    Answering.answers["/api/v2/write"] = (400, "application/json", json.dumps(said))
    with pytest.raises(RejectedError, match=r"400: unable to parse.*line 2 is 'air,.*pm2_5=2\.0") as failed:
        influx2.write([air(pm2_5=[1, 2])])
    assert f"{T0 + MINUTE}000000" in str(failed.value)
    said["message"] = "cannot parse 'plates,camera=cam-01 plate=\"51A00001\"'"
    Answering.answers["/api/v2/write"] = (400, "application/json", json.dumps(said))
    influx2._plates_bucket = "police"
    with pytest.raises(RejectedError, match="400: its words are left out") as failed:
        influx2.write([plates("51A00001", "51A00002")])
    assert "51A0000" not in str(failed.value)
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
