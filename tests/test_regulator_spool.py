"""From samples in the store to files in the spool: when a file is made, that it is made once, how long it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from regulated import AIR, CYCLE, MINUTE, NOON, Spooling, regulated
from sqlalchemy import Engine

from collector.averages.touched import Touched
from collector.regulator import maker as maker_
from collector.regulator.files import CycleFile
from collector.regulator.maker import CONSUMER
from collector.stores import Series, StoreError

DAY = 86_400_000
BOTH = ("air-01", "sea-01")


@pytest.fixture
def spooling(tmp_path: Path, engine: Engine) -> Iterator[Spooling]:
    spooling = Spooling(tmp_path, regulated(), engine)
    yield spooling
    spooling.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Spooling]:
    spooling = Spooling(tmp_path, regulated())
    yield spooling
    spooling.close()


def minutes(start: int, n: int = 5) -> list[int]:
    return [start + i * MINUTE for i in range(n)]


def names(spooling: Spooling) -> list[str]:
    return [file.name for file in spooling.spool.waiting(BOTH, 1000)]


def test_a_file_is_made_when_its_cycle_is_over_and_nothing_new_came_for_a_while(spooling: Spooling) -> None:
    spooling.measure("air-01", minutes(NOON), {"pm2_5": [20.0, 22.0, 24.0, 26.0, 28.0], "co": [1145.0] * 5})
    end = NOON + CYCLE
    assert spooling.maker.once(end - 1) == 0, "the cycle is not over"
    assert spooling.maker.once(end) == 0
    assert spooling.maker.once(end + 59_000) == 0, "something may still be on its way"
    assert spooling.maker.once(end + 60_000) == 1
    (file,) = spooling.spool.waiting(BOTH, 10)
    assert file == CycleFile(
        "air-01",
        NOON,
        "AG_PQ01_KHI001_20261122120500.txt",
        b"PM2,5\t24.0\tug/Nm3\t20261122120500\t00\r\nCO\t1.15\tmg/Nm3\t20261122120500\t00\r\n",
    )
    assert spooling.maker.once(end + 600_000) == 0, "once"


def test_what_comes_late_starts_the_wait_again_but_not_for_ever(spooling: Spooling) -> None:
    end = NOON + CYCLE
    spooling.measure("air-01", [NOON], {"pm2_5": [20.0]})
    spooling.maker.once(end)
    spooling.measure("air-01", [NOON + MINUTE], {"pm2_5": [30.0]})
    assert spooling.maker.once(end + 30_000) == 0
    assert spooling.maker.once(end + 60_000) == 0
    assert spooling.maker.once(end + 90_000) == 1
    assert b"25.0" in spooling.spool.waiting(BOTH, 1)[0].content

    other, end = NOON + CYCLE, end + CYCLE
    made_at = 0
    for second in range(0, 300, 10):
        spooling.measure("air-01", [other + second * 1000], {"pm2_5": [20.0]})
        if spooling.maker.once(end + second * 1000):
            made_at = second
            break
    assert made_at == 240, "within five minutes of the cycle's end, as the circular asks"


def test_an_outage_of_a_box_leaves_no_cycle_without_its_file_and_makes_none_twice(spooling: Spooling) -> None:
    late, fresh = NOON - 2 * 3_600_000, NOON + CYCLE
    spooling.measure("air-01", minutes(NOON), {"pm2_5": [20.0] * 5})
    for now in (fresh, fresh + 60_000):
        spooling.maker.once(now)
    assert len(names(spooling)) == 1
    spooling.measure("air-01", minutes(late, 125), {"pm2_5": [40.0] * 125})  # up to the end of the cycle that has one
    for now in (fresh + 120_000, fresh + 180_000):
        spooling.maker.once(now)
    waiting = spooling.spool.waiting(BOTH, 1000)
    assert [file.cycle for file in waiting] == list(range(late, NOON + 1, CYCLE)), "all of them, the oldest first"
    assert b"20.0" in waiting[-1].content, "what has a file keeps it"
    assert spooling.touched.take(CONSUMER, before=NOON + DAY, limit=10) == []


def test_stations_wait_in_order_of_time(spooling: Spooling) -> None:
    for station, quantity, start in (("air-01", "pm2_5", NOON), ("sea-01", "ph", NOON - CYCLE)):
        spooling.measure(station, minutes(start, 10), {quantity: [7.5] * 10})
    for now in (NOON + 2 * CYCLE, NOON + 2 * CYCLE + 60_000):
        spooling.maker.once(now)
    assert [(file.station, (file.cycle - NOON) // CYCLE) for file in spooling.spool.waiting(BOTH, 10)] == [
        ("sea-01", -1),
        ("air-01", 0),
        ("sea-01", 0),
        ("air-01", 1),
    ]
    assert [file.station for file in spooling.spool.waiting(["air-01"], 10)] == ["air-01", "air-01"]


def test_statuses_come_from_the_store(spooling: Spooling) -> None:
    samples = {"pm2_5": [20.0, 400.0, 20.0], "co": [None, None, None]}
    spooling.measure("air-01", minutes(NOON, 3), samples, pm2_5_status=[0, 1, 0], co_status=[2, 2, 2])
    for now in (NOON + CYCLE, NOON + CYCLE + 60_000):
        spooling.maker.once(now)
    assert spooling.spool.waiting(BOTH, 1)[0].content == b"PM2,5\t20.0\tug/Nm3\t20261122120500\t01\r\n"


def test_what_does_not_concern_the_department_is_not_in_the_way(tmp_path: Path) -> None:
    settings = regulated(stations={"air-01": AIR})
    spooling = Spooling(tmp_path, settings)
    spooling.measure("sea-01", minutes(NOON), {"ph": [8.0] * 5})
    spooling.measure("air-01", [NOON - 61 * DAY], {"pm2_5": [20.0]})
    of_an_hour = Touched(spooling.engine, {CONSUMER: 3_600_000})  # as noted under another `cycle_s`
    of_an_hour.note([("air-01", np.array(minutes(NOON - 7_200_000), np.int64))])
    for now in (NOON + DAY, NOON + DAY + 60_000):
        assert spooling.maker.once(now) == 0
    assert spooling.touched.take(CONSUMER, before=NOON + 2 * DAY, limit=10) == []
    spooling.close()


def test_a_store_that_does_not_answer_costs_no_file(spooling: Spooling, monkeypatch: pytest.MonkeyPatch) -> None:
    spooling.measure("air-01", minutes(NOON), {"pm2_5": [20.0] * 5})

    def down(_series: Series, **_rest: object) -> None:
        raise StoreError("down")

    spooling.maker.once(NOON + CYCLE)
    with monkeypatch.context() as patched:
        patched.setattr(spooling.store, "readings", down)
        with pytest.raises(StoreError):
            spooling.maker.once(NOON + CYCLE + 60_000)
    again = spooling.a_maker(regulated())  # as after a restart
    for now in (NOON + CYCLE + 70_000, NOON + CYCLE + 130_000):
        again.once(now)
    assert len(names(spooling)) == 1


def test_files_are_kept_for_sixty_days_sent_or_not(spooling: Spooling) -> None:
    files = [CycleFile("air-01", NOON + day * DAY, f"{day}.txt", b"x") for day in range(62)]
    assert spooling.spool.add(files) == 62
    assert spooling.spool.add(files[:3]) == 0, "each once"
    spooling.spool.sent(files[0], NOON)
    assert spooling.spool.forget(NOON + 2 * DAY) == 1, "the one that was never sent"
    assert [file.name for file in spooling.spool.waiting(BOTH, 100)][:2] == ["2.txt", "3.txt"]
    assert len(spooling.spool.files("air-01", 0, NOON + 100 * DAY)) == 60


def test_the_account_of_a_station(spooling: Spooling) -> None:
    spool = spooling.spool
    spool.begin(BOTH, NOON)
    spool.begin(BOTH, NOON + DAY)
    files = [CycleFile("air-01", NOON + i * CYCLE, f"{i}.txt", b"x") for i in range(3)]
    spool.add(files)
    spool.failed(["air-01"], "nobody there", NOON + 10)
    spool.failed(["air-01"], "login refused", NOON + 20)
    air, sea = spool.accounts()
    assert (air.since, air.sent, air.waiting, air.oldest) == (NOON, None, 3, NOON)
    assert (air.error, air.error_since) == ("login refused", NOON + 10)
    assert (sea.station, sea.waiting, sea.error) == ("sea-01", 0, None)
    assert air.silent_ms(NOON + 100) == 100
    spool.sent(files[2], NOON + 30)
    spool.sent(files[0], NOON + 40)
    (air, _) = spool.accounts()
    assert (air.sent, air.sent_cycle, air.error, air.waiting, air.oldest) == (
        NOON + 40, NOON + 2 * CYCLE, None, 1, NOON + CYCLE
    )  # fmt: skip


def test_sixty_days_of_a_station_fit_and_are_read_at_once(embedded: Spooling, tmp_path: Path) -> None:
    content = b"PM2,5\t28.6\tug/Nm3\t20261122083000\t00\r\n" * 6
    name = "AG_PQ01_KHI001_20261122083000.txt"
    files = [CycleFile("air-01", NOON + i * CYCLE, name, content) for i in range(60 * 288)]
    assert embedded.spool.add(files) == 17_280
    started = time.perf_counter()
    assert len(embedded.spool.waiting(BOTH, 100)) == 100
    assert embedded.spool.accounts() == []
    assert time.perf_counter() - started < 0.5
    size = sum(file.stat().st_size for file in tmp_path.glob("collector.sqlite"))
    print(f"{len(content)} bytes a file, {size / 17_280:.0f} bytes a row, {size / 1e6:.1f} MB")
    assert size < 8_000_000


def test_an_outage_of_sixty_days_is_made_in_one_go(embedded: Spooling) -> None:
    start, n = NOON - 60 * DAY + 2 * CYCLE, 59 * 24 * 60
    for at in range(0, n, 10_000):
        some = minutes(start + at * MINUTE, min(10_000, n - at))
        embedded.measure("air-01", some, {"pm2_5": [20.0] * len(some), "co": [500.0] * len(some)})
    now, made, started = NOON, 0, time.perf_counter()
    while made < 59 * 288 and now < NOON + 600_000:
        made += embedded.maker.once(now)
        now += 30_000
    took = time.perf_counter() - started
    print(f"{made} files in {took:.1f} s")
    assert made == 59 * 288
    assert took < 30
    assert made > maker_.LIMIT, "more than one look was needed"
