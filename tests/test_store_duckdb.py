"""The embedded store on real files: identity of points, merging, durability, queries beside writes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import numpy as np
import pytest
from frames import MINUTE, T0, air, plates, series

from collector.local_time import LOCAL_MS
from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, RejectedError, StoreError, buckets
from collector.stores.duckdb import DuckStore


@pytest.fixture
def store(tmp_path: Path):
    store = DuckStore(tmp_path / "points.duckdb")
    yield store
    store.close()


def rows(store: DuckStore, sql: str) -> list:
    return store._ask(sql, [])


def size(store: DuckStore, table: str) -> int:
    ((n,),) = rows(store, f"SELECT count(*) FROM {table}")
    return n


def test_points_come_back_as_they_went(store: DuckStore):
    store.write([air(pm2_5=[10.5, None, 12], pm2_5_flag=[1, 9, 3], pm2_5_status=[0, 2, 0])])
    assert store.readings(series()) == [
        ReadingRow(at=T0, value=10.5, flag=1),
        ReadingRow(at=T0 + MINUTE, value=None, flag=9, status=2, n=0),
        ReadingRow(at=T0 + 2 * MINUTE, value=12, flag=3),
    ]
    assert rows(store, "SELECT station, site, CAST(time AS VARCHAR), pm2_5_status FROM air LIMIT 1") == [
        ("air-01", "duong-dong", "2026-05-28 20:26:40", None)
    ]
    assert store.readings(series("ph")) == store.readings(series(station="air-02")) == []


def test_writing_again_changes_nothing_and_other_fields_merge(store: DuckStore):
    frame = air(pm2_5=[1, 2], pm2_5_flag=[1, 1])
    store.write([frame])
    store.write([frame, frame])
    store.write([air(humidity=[80, None], humidity_flag=[1, 9])])
    store.write([air(first=1, pm2_5_flag=[4])])
    assert rows(store, "SELECT pm2_5, pm2_5_flag, humidity, humidity_flag FROM air ORDER BY time") == [
        (1, 1, 80, 1),
        (2, 4, None, 9),
    ]


def test_one_write_may_hold_a_point_twice_with_other_fields(store: DuckStore):
    store.write(
        [
            air(pm2_5=[1, 2, 3], pm2_5_flag=[1, 1, 1]),
            air("air-02", pm2_5=[9], pm2_5_flag=[1], site="an-thoi"),
            air(first=1, pm2_5_flag=[3], humidity=[70]),
            plates("51A00001", "51A00002"),
        ]
    )
    assert rows(store, "SELECT station, pm2_5, pm2_5_flag, humidity FROM air ORDER BY station, time") == [
        ("air-01", 1, 1, None),
        ("air-01", 2, 3, 70),
        ("air-01", 3, 1, None),
        ("air-02", 9, 1, None),
    ]


def test_two_events_of_one_millisecond_stay_two(store: DuckStore):
    store.write([plates("51A00001", "29Đ00002")])
    store.write([plates("51A00001", "29Đ00002")])
    assert rows(store, "SELECT plate, epoch_us(time) FROM plates ORDER BY time") == [
        ("51A00001", T0 * 1000),
        ("29Đ00002", T0 * 1000 + 1),
    ]


def test_text_is_data(store: DuckStore):
    nasty = ["'; DROP TABLE plates; --", '"quoted"', "line\nbreak", "a\\b,c=d e", "", "\0"]
    store.write([plates(*nasty)])
    assert rows(store, "SELECT plate FROM plates ORDER BY time") == [(text,) for text in nasty]


@pytest.mark.parametrize("name", ['x" DOUBLE); DROP TABLE air; --', "Größe", ""])
def test_names_that_are_not_ours_are_refused_and_the_rest_goes_on(store: DuckStore, name: str):
    with pytest.raises(RejectedError, match="not a name"):
        store.write([air(pm2_5=[1], **{name: [1]})])
    assert store.readings(series()) == []
    store.write([air(pm2_5=[1], pm2_5_flag=[1])])
    assert size(store, "air") == 1


def test_a_failed_write_stores_nothing_and_the_next_one_works(store: DuckStore):
    store.write([plates("51A00001")])
    wrong = Frame(
        measurement="plates",
        tags={"camera": "cam-01", "site": "x"},
        at=np.array([T0 + 1]),
        fields={"valid": ["perhaps"]},
    )
    with pytest.raises(RejectedError, match="rejects 2 frames"):
        store.write([air(pm2_5=[1], pm2_5_flag=[1]), wrong])
    assert (store.readings(series()), size(store, "plates")) == ([], 1)
    store.write([air(pm2_5=[1], pm2_5_flag=[1]), plates("51A00001")])
    assert (size(store, "air"), size(store, "plates")) == (1, 1)


def test_buckets_in_sql_are_those_of_the_definition(store: DuckStore):
    chance = np.random.default_rng(1)
    n = 3000
    codes = chance.choice([1, 2, 3, 4, 9], n)
    values = np.where(codes == 9, np.nan, chance.normal(20, 3, n))
    store.write([air(pm2_5=values, pm2_5_flag=codes, pm2_5_status=chance.choice([0, 0, 1], n))])
    for every in (5 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE):
        found, expected = store.readings(series(), every), buckets(store.readings(series()), every)
        assert [r.value for r in found] == pytest.approx([r.value for r in expected])
        assert [(r.at, r.flag, r.status, r.n, r.of) for r in found] == [
            (r.at, r.flag, r.status, r.n, r.of) for r in expected
        ]
    assert all((row.at + LOCAL_MS) % (24 * 60 * MINUTE) == 0 for row in found)


def test_a_bucket_leaves_doubtful_values_out_and_says_so():
    def row(minute: int, value: float | None, flag: int, status: int = 0) -> ReadingRow:
        return ReadingRow(at=T0 + minute * MINUTE, value=value, flag=flag, status=status)

    first, second, third = buckets(
        [
            row(0, 10, 1),
            row(1, 20, 2),
            row(2, 90, 3, 1),
            row(15, None, 9),
            row(16, None, 9),
            row(30, 5, 4),
            row(31, None, 9),
        ],
        15 * MINUTE,
    )
    assert (first.value, first.flag, first.status, first.n, first.of) == (15, 3, 1, 2, 3)
    assert (second.value, second.flag, second.n, second.of) == (None, 9, 0, 2)
    assert (third.value, third.flag, third.n, third.of) == (None, 4, 0, 2)


def test_latest_gives_each_quantity_its_own_last_sample(store: DuckStore):
    store.write([air(pm2_5=[1, 2], pm2_5_flag=[1, 3], pm2_5_status=[0, 1]), air(humidity=[80], humidity_flag=[1])])
    store.write([air("air-02", first=5, pm2_5=[None], pm2_5_flag=[9])])
    found = {(row.station, row.quantity): row for row in store.latest(0)}
    assert found["air-01", "pm2_5"] == LatestRow(
        measurement="air",
        station="air-01",
        site="duong-dong",
        quantity="pm2_5",
        at=T0 + MINUTE,
        value=2,
        flag=3,
        status=1,
    )
    assert found["air-01", "humidity"].at == T0
    assert found["air-02", "pm2_5"].value is None
    assert len(found) == 3
    assert {row.station for row in store.latest(T0 + 2 * MINUTE)} == {"air-02"}


def test_forget_deletes_what_is_older(store: DuckStore):
    store.write([plates("51A00001"), plates("51A00002", at=T0 + 1), air(pm2_5=[1], pm2_5_flag=[1])])
    store.forget("plates", T0 + 1)
    store.forget("wifi", T0)
    assert rows(store, "SELECT plate FROM plates") == [("51A00002",)]
    assert size(store, "air") == 1


def test_reopened_file_goes_on_with_its_columns(tmp_path: Path):
    path = tmp_path / "points.duckdb"
    store = DuckStore(path)
    store.write([air(pm2_5=[1], pm2_5_flag=[1])])
    store.close()
    store = DuckStore(path)
    store.write([air(pm2_5=[1, 2], pm2_5_flag=[1, 1], humidity=[70, 71])])
    assert [row.value for row in store.readings(series())] == [1, 2]
    store.close()


def test_a_file_that_is_no_database_is_said(tmp_path: Path):
    path = tmp_path / "points.duckdb"
    path.write_bytes(b"what is this" * 1000)
    with pytest.raises(StoreError, match=r"points\.duckdb"):
        DuckStore(path)


def test_a_full_disk_is_said_and_the_store_works_again_when_there_is_room(store: DuckStore):
    """The limit on a file's size stands in for the disk: first the log cannot grow, then the file itself."""
    store.write([air("air-01", pm2_5=np.random.default_rng(1).random(100_000), pm2_5_flag=[1] * 100_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for grow in (lambda: store.write([air("air-02", pm2_5=[1], pm2_5_flag=[1])]), lambda: store.forget("plates", T0)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            with pytest.raises(StoreError, match="too large"):
                grow()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store.write([air("air-02", pm2_5=[1], pm2_5_flag=[1]), plates("51A00001")])
        assert (size(store, "air"), size(store, "plates")) == (100_001, 1)


def test_queries_from_another_thread_see_whole_writes_only(store: DuckStore):
    """Each write holds two stations; a query beside them must never see one without the other."""
    store.write([air(pm2_5=[0], pm2_5_flag=[1]), air("air-02", pm2_5=[0], pm2_5_flag=[1])])
    seen: list[tuple[int, int]] = []
    errors: list[Exception] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                pairs = store._ask(
                    "SELECT count(*) FILTER (station = 'air-01'), count(*) FILTER (station = 'air-02') FROM air", []
                )
                seen.append(pairs[0])
                store.readings(series(), 60 * MINUTE)
                store.latest(0)
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(1, 60):
        more = {f"q{i}": [1.0]} if i % 20 == 0 else {}  # columns appear meanwhile
        store.write([air(s, first=i, pm2_5=[i], pm2_5_flag=[1], **more) for s in ("air-01", "air-02")])
    done.set()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert len(seen) > 5
    assert all(one == other for one, other in seen)
    assert size(store, "air") == 120


WRITER = """
import sys
from pathlib import Path
from collector.stores.duckdb import DuckStore
from frames import air, plates
store = DuckStore(Path(sys.argv[1]))
for i in range(1_000_000):
    store.write([air(first=10 * i, pm2_5=[i] * 10, pm2_5_flag=[1] * 10), plates(f"{i:08}", at=1_780_000_000_000 + i)])
    print(i, flush=True)
"""


def test_what_was_written_survives_kill_9(tmp_path: Path):
    path, written = tmp_path / "points.duckdb", -1
    for stop_after in (3, 40):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        for line in writer.stdout:
            written = max(written, int(line))
            if int(line) >= stop_after:
                os.kill(writer.pid, signal.SIGKILL)
                break
        written = max([written, *map(int, writer.stdout.read().split())])
        assert writer.wait(10) == -signal.SIGKILL
    with duckdb.connect(str(path)) as db:
        points, least = db.execute("SELECT count(*), count(DISTINCT time) FROM air").fetchone()
        reads = db.execute("SELECT count(DISTINCT plate) FROM plates").fetchone()[0]
    assert points == least
    assert points == 10 * reads, "a write is whole or not at all"
    assert reads in (written + 1, written + 2), "the last write may have been stored without being said"
