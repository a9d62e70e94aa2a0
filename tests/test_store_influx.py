"""The store for InfluxDB 1.x against a real influxd 1.6.7; lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from frames import MINUTE, T0, air, plates, series
from ports import free_port
from servers import Server, influxd

from collector.points import Frame
from collector.settings import SettingsError, load
from collector.stores import ReadingRow, RejectedError, Store, StoreError
from collector.stores.duckdb import DuckStore
from collector.stores.influx1 import Influx1Store
from collector.stores.lines import lines
from collector.stores.opening import open_store

NASTY = ['say "hi"', "a\\b", "trailing\\", "a,b=c d", "Đ ü 漢", "'; DROP MEASUREMENT plates", "#hash"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxd(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture
def store(server: Server, request: pytest.FixtureRequest) -> Iterator[Influx1Store]:
    name = request.node.originalname
    store = Influx1Store(url=server.url, database=name, plates_database=f"{name}_plates")
    yield store
    store.close()


def points(server: Server, database: str, measurement: str) -> list[dict[str, Any]]:
    """What the server itself says that it holds, in order of time; with the tags, without absent fields."""
    answer = ask(server, f'SELECT * FROM "{measurement}" ORDER BY time', database)
    return [
        {name: value for name, value in zip(found["columns"], values, strict=True) if value is not None}
        for found in answer["results"][0].get("series", ())
        for values in found["values"]
    ]


def ask(server: Server, influxql: str, database: str = "", user: str = "admin") -> Any:
    """The server's answer; the password of every user is `right`."""
    headers, fields = urllib3.make_headers(basic_auth=f"{user}:right"), {"db": database, "epoch": "ns", "q": influxql}
    return urllib3.request("POST", f"{server.url}/query", fields=fields, headers=headers).json()


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


def test_plates_have_a_place_of_their_own(store: Influx1Store, server: Server):
    database = "test_plates_have_a_place_of_their_own"
    store.write([plates(*NASTY), air(pm2_5=[1], pm2_5_flag=[1]), plates("51A00001", camera="cam-02", at=T0 + 5)])
    store.write([plates(*NASTY)])
    assert points(server, database, "plates") == []
    assert len(points(server, database, "air")) == 1
    found = points(server, f"{database}_plates", "plates")
    assert [row["plate"] for row in found] == [*NASTY, "51A00001"]
    assert [row["time"] for row in found] == [*(T0 * 10**6 + 1000 * i for i in range(len(NASTY))), (T0 + 5) * 10**6]
    assert found[-1].items() >= {"camera": "cam-02", "site": "an-thoi", "confidence": 0.75, "valid": True}.items()
    assert points(server, f"{database}_plates", "air") == []


def test_without_a_place_of_their_own_plates_are_written_without_text(store: Influx1Store, server: Server):
    database = "test_without_a_place_of_their_own_plates_are_written_without_text"
    frame = plates("51A00001", "51A00002")
    Influx1Store(url=server.url, database=database).write([frame])
    found = points(server, database, "plates")
    assert [row["time"] for row in found] == [T0 * 10**6, T0 * 10**6 + 1000]
    assert found[0].keys() == {"time", *frame.tags, *frame.fields} - {"plate", "raw"}
    assert "51a0000" not in str(found).lower()

    store.write([plates("51A00003")])  # the settings name a place from now on
    store.forget("plates", T0 + 1)
    assert points(server, database, "plates") == points(server, f"{database}_plates", "plates") == []


def test_retention_leaves_what_is_younger(store: Influx1Store, server: Server):
    store.write([plates("51A00001"), plates("51A00002", at=T0 + 5), air(pm2_5=[1], pm2_5_flag=[1])])
    store.forget("plates", T0 + 5)
    assert [row["plate"] for row in points(server, f"{store._database}_plates", "plates")] == ["51A00002"]
    assert len(store.readings(series())) == 1


def test_an_officer_s_user_reads_air_and_no_plate(tmp_path: Path):
    secret, file = tmp_path / "secret", tmp_path / "collector.yaml"
    secret.write_text("right\n")
    with influxd(tmp_path, auth=True) as server:
        ask(server, "CREATE USER admin WITH PASSWORD 'right' WITH ALL PRIVILEGES")
        file.write_text(
            f"state: {tmp_path}\nfleet: {tmp_path}\nplates: {{keep_days: 1, keep_hit_days: 1}}\n"
            f"store: {{kind: influx1, url: '{server.url}', database: island, plates_database: police, "
            f"user: admin, password_file: {secret}}}\n"
        )
        store = open_store(load(file).store, tmp_path)
        store.write([air(pm2_5=[1], pm2_5_flag=[1]), plates("51A00001")])
        store.close()
        ask(server, "CREATE USER officer WITH PASSWORD 'right'; GRANT READ ON island TO officer")
        everything = [ask(server, "SELECT * FROM /.*/", place, "officer") for place in ("island", "police")]
        everything.append(ask(server, 'SELECT * FROM "police"."autogen"."plates"', "island", "officer"))
        assert [found["name"] for found in everything[0]["results"][0]["series"]] == ["air", "collector_writes"]
        assert ["not authorized" in found.get("error", "") for found in everything] == [False, True, True]
        assert "51A00001" in str(ask(server, "SELECT * FROM plates", "police"))


@pytest.mark.parametrize(
    "store",
    [
        "kind: influx1, database: island, plates_database",
        "kind: influx2, org: o, token_file: t, bucket: island, plates_bucket",
    ],
)
def test_one_place_for_both_is_refused(tmp_path: Path, store: str):
    file = tmp_path / "collector.yaml"
    text = "state: s\nfleet: f\nplates: {keep_days: 1, keep_hit_days: 1}\nstore: {url: 'http://x', %s: %s}\n"
    file.write_text(text % (store, "police"))
    load(file)
    file.write_text(text % (store, "island"))
    with pytest.raises(SettingsError, match="whoever reads the one could read the other"):
        load(file)


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
