"""The store for VictoriaMetrics against a real one, 1.79: what it keeps, what survives, what it drops in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import sleep

import numpy as np
import pytest
from frames import MINUTE, T0, air, plates, series
from ports import free_port
from servers import Server, victoria_metrics

from collector.points import Frame
from collector.settings import load
from collector.stores import LatestRow, ReadingRow, RejectedError, StoreError
from collector.stores.duckdb import DuckStore
from collector.stores.opening import open_store
from collector.stores.requests import requests
from collector.stores.series import series as series_lines
from collector.stores.victoria import VictoriaStore
from collector.stores.victoria_flags import DAY_S, Span, span
from scripts.fault_matrix.faulty_http import Fault, FaultyHttp

FAR = 4_000_000_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, flags = tmp_path_factory.mktemp("victoria"), ["-dedup.minScrapeInterval=0"]
    with victoria_metrics(folder, flags=flags) as server:
        yield server


@pytest.fixture
def store(server: Server) -> Iterator[VictoriaStore]:
    store = VictoriaStore(url=server.url)
    yield store
    store.close()


def test_settings_open_it(tmp_path: Path, server: Server):
    file = tmp_path / "collector.yaml"
    file.write_text(
        "state: s\nfleet: f\nplates: {keep_days: 1, keep_hit_days: 1}\n"
        f"store: {{kind: victoriametrics, url: '{server.url}'}}\n"
    )
    store = open_store(load(file).store, tmp_path)
    store.write([air("air-09", first=-9, pm2_5=[1])])
    store.close()


def test_points_come_back_as_they_went(store: VictoriaStore):
    for _ in range(2):  # again changes nothing
        store.write([air(pm2_5=[10.5, None, 12], pm2_5_flag=[1, 9, 3], pm2_5_status=[0, 2, 0])])
    store.write([air(pm2_5_flag=[4])])  # flagged anew: the greater counts
    assert store.readings(series()) == [
        ReadingRow(at=T0, value=10.5, flag=4),
        ReadingRow(at=T0 + MINUTE, value=None, flag=9, status=2, n=0),
        ReadingRow(at=T0 + 2 * MINUTE, value=12, flag=3),
    ]
    assert store.readings(series("ph")) == store.readings(series(station='x"} or {a="')) == []
    assert store.latest(T0) == [
        LatestRow(
            measurement="air",
            station="air-01",
            site="duong-dong",
            quantity="pm2_5",
            at=T0 + 2 * MINUTE,
            value=12,
            flag=3,
        )
    ]
    assert store.latest(T0 + 3 * MINUTE) == []
    assert store.counts("air", T0, T0 + 2 * MINUTE) == {"pm2_5": 1, "pm2_5_flag": 2, "pm2_5_status": 1}


def test_the_same_answers_as_the_embedded_store(store: VictoriaStore, tmp_path: Path):
    chance = np.random.default_rng(2)
    n = 3000
    codes = chance.choice([1, 2, 3, 4, 9], n)
    values = np.where(codes == 9, np.nan, chance.normal(20, 3, n).round(1))
    more = {"pm2_5": values, "pm2_5_flag": codes, "pm2_5_status": chance.choice([0, 0, 1], n)}
    frames = [air("air-05", **more), air("air-06", humidity=[80], humidity_flag=[1])]
    means = Frame(measurement="air_1h", tags=frames[0].tags, at=np.array([T0]), fields={"pm2_5": np.array([3.0])})
    months = Frame(measurement="air_month", tags=frames[0].tags, at=np.array([T0]), fields={"pm2_5": np.array([4.0])})
    duck = DuckStore(tmp_path / "points.duckdb")
    for each in (duck, store):
        each.write([*frames, means, months])
    for every in (None, 60 * MINUTE):
        found, expected = (each.readings(series(station="air-05"), every) for each in (store, duck))
        assert [(r.at, r.flag, r.status, r.n, r.of) for r in found] == [
            (r.at, r.flag, r.status, r.n, r.of) for r in expected
        ]
        assert [r.value for r in found] == pytest.approx([r.value for r in expected])
    for measurement in ("air", "air_1h", "air_month"):
        for names in (None, ["pm2_5"]):
            found, expected = (
                each.tables(measurement, ["air-05", "air-06"], start=0, stop=FAR, names=names) for each in (store, duck)
            )
            assert found.keys() == expected.keys()
            for station, table in found.items():
                assert table.at.tolist() == expected[station].at.tolist()
                assert table.fields.keys() == expected[station].fields.keys()
    duck.close()


def test_of_plates_nothing_tells_which_vehicle_it_was(store: VictoriaStore, server: Server):
    store.write([plates("51A00001")])
    text = store._server.ask("/api/v1/export", b"match[]=%7Bcamera!%3D%22%22%7D").decode()
    names = {json.loads(line)["metric"]["__name__"] for line in text.splitlines()}
    assert "plates_confidence" in names and "51A" not in text
    assert names.isdisjoint({"plates_plate", "plates_raw", "plates_classes"})


def test_what_it_took_survives_its_kill(tmp_path: Path):
    """At random moments, new series among them; without the snapshot all of it would be gone."""
    chance, port, written = Random(5), free_port(), 0
    for number in range(4):
        with victoria_metrics(tmp_path, port) as server:
            store = VictoriaStore(url=server.url, chance=chance)
            found = store.tables("air", [f"air-{n}" for n in range(number)], start=0, stop=FAR)
            assert sum(len(table.at) for table in found.values()) == written
            for _ in range(chance.randrange(1, 10)):
                store.write([air(f"air-{number}", first=written, pm2_5=[1.0] * 100, pm2_5_flag=[1] * 100)])
                written += 100
            sleep(chance.uniform(0, 0.05))
            server.kill()
            with pytest.raises(StoreError, match="does not answer"):
                store.write([air(pm2_5=[1])])
            store.close()


def test_what_it_would_drop_in_silence_is_refused(tmp_path: Path):
    now = T0 / 1000 + 3600
    with victoria_metrics(tmp_path, flags=["-retentionPeriod=30d"]) as server:
        store = VictoriaStore(url=server.url, now=lambda: now)
        real = VictoriaStore(url=server.url)
        with pytest.raises(RejectedError, match=r"keeps 30 days \(-retentionPeriod\); this is older"):
            store.write([air(first=-31 * 1440, pm2_5=[1])])
        with pytest.raises(RejectedError, match="more than 2 days ahead; is the box's clock right"):
            store.write([air(pm2_5=[1]), air(first=3 * 1440, pm2_5=[1])])
        with pytest.raises(RejectedError, match="keeps 30 days"):
            real.write([air(pm2_5=[1], first=-1440 * 60)])
        store._span, store._span_read = Span(back=FAR), 1e18  # it was started again, and keeps less than it said
        store._now = real._now
        with pytest.raises(RejectedError, match="keeps 30 days"):
            store.write([air(first=-1440 * 60, pm2_5=[1])])


def test_the_server_s_clock_decides_not_the_collector_s(server: Server, monkeypatch: pytest.MonkeyPatch):
    """A collector that boots in 1970 must not give up all it hears as lying in the future."""
    monkeypatch.setattr("time.time", lambda: 1000.0)
    store = VictoriaStore(url=server.url)
    store.write([air("air-90", pm2_5=[1])])
    assert [row.value for row in store.readings(series(station="air-90"))] == [1]
    store.close()


@pytest.mark.parametrize(
    ("flags", "back", "ahead"),
    [
        ("", 31, 2),
        ('-retentionPeriod="100y"\n', 36_500, 2),
        ('-a="b"\n-retentionPeriod="2"\n-futureRetention="1w"\n', 62, 7),
        ('-retentionPeriod="36h"\n-futureRetention="30d"\n', 1.5, 30),
        ("-retentionPeriod=1M", 31, 2),
    ],
)
def test_its_flags_say_what_it_keeps(flags: str, back: float, ahead: float):
    assert span(flags) == Span(back=back * DAY_S, ahead=ahead * DAY_S)


def test_marks_of_requests_that_are_as_new_keep_apart():
    """Boxes sample on the whole minute, and a server may keep one of several values of a series for one moment."""
    chance, places = Random(1), set()
    for _ in range(1000):
        (request,) = requests([air(pm2_5=[1.5])], "", None, render=series_lines, chance=chance)
        mark = request.witnesses[0]
        assert 0 <= T0 - mark.at_ns // 10**6 < 1000
        places.add((mark.tags["lane"], mark.at_ns // 10**6))
    assert len(places) > 990


@pytest.mark.parametrize(
    "answer",
    [b'{"metric":{"__name__":"air_pm2_5"},"values":[1],"timestamps":[]}', b'{"metric":{},"values":[],"timestamps":[]}'],
)
def test_what_is_no_series_is_an_answer_of_something_else(server: Server, answer: bytes):
    with FaultyHttp(server.url) as proxy:
        store = VictoriaStore(url=proxy.url)
        proxy.fault = Fault(kind="status", status=200, body=answer)
        with pytest.raises(StoreError, match="answers what VictoriaMetrics does not"):
            store.readings(series())
        store.close()
