"""Personal data goes when its time is over, from every place that holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from city import DAY, HOUR, NOON, City, plate
from collector_double import until
from frames import plates

from collector.quarantine import Quarantine, Refused
from collector.retention import Belief, Retention
from collector.settings import PlateSettings
from collector.stores import StoreError
from collector.stores.duckdb import DuckStore


class Down(DuckStore):
    """A store that cannot delete now."""

    def forget(self, measurement: str, before: int) -> None:
        raise StoreError("the server does not answer")


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    city = City(tmp_path)
    city.watch("68A12345")
    for number, (text, age) in enumerate([("29A00001", 4 * DAY), ("68A12345", 4 * DAY), ("29A00002", HOUR)]):
        city.arrive(number, plate(text, at=NOON - age))
        city.store.write([plates(text, at=NOON - age)])
    yield city
    city.close()


def retention(city: City, store: DuckStore, thread: ThreadPoolExecutor) -> Retention:
    return Retention(
        keep=PlateSettings(keep_days=3, keep_hit_days=30),
        desk=city.desk,
        quarantine=Quarantine(city.engine),
        store=store,
        live=city.live,
        thread=thread,
    )


async def test_every_place_forgets_and_hits_stay_longer(city: City) -> None:
    refused = [
        Refused(received=NOON - age, topic="v1/up/cam-01/plates", reason="x", payload=b"%d" % age)
        for age in (4 * DAY, 0)
    ]
    Quarantine(city.engine).put(refused)
    with ThreadPoolExecutor(1) as thread:
        of_the_island = retention(city, city.store, thread)
        await of_the_island.once(NOON)
        assert [seen.text for seen in city.desk.plates()] == ["29A00002", "68A12345"]
        assert [seen.text for seen in city.live.last_plates()] == ["29A00002"]
        assert len(city.live.last_alerts()) == len(city.desk.alerts()) == 1
        assert [kept.received for kept in Quarantine(city.engine).list()] == [NOON]
        assert city.store._ask("SELECT plate FROM plates", []) == [("29A00002",)]

        await of_the_island.once(NOON + 27 * DAY)
        assert city.desk.plates() == city.desk.alerts() == city.live.last_plates() == city.live.last_alerts() == []


async def test_a_store_that_is_down_does_not_keep_the_pictures(
    city: City, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as thread:
        down = Down(tmp_path / "other.duckdb")
        await retention(city, down, thread).once(NOON)
        down.close()
    assert [seen.text for seen in city.desk.plates()] == ["29A00002", "68A12345"]
    assert "time series: the server does not answer; tried again in an hour" in caplog.text


async def test_a_database_that_fails_keeps_no_other_place(city: City, caplog: pytest.LogCaptureFixture) -> None:
    with city.engine.begin() as db:
        db.exec_driver_sql("DROP TABLE sightings")
    with ThreadPoolExecutor(1) as thread:
        await retention(city, city.store, thread).once(NOON)
    assert "plates: " in caplog.text and "no such table" in caplog.text
    assert city.store._ask("SELECT plate FROM plates", []) == [("29A00002",)]


async def test_a_clock_that_shows_another_year_deletes_nothing_at_once(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as thread:
        running = asyncio.create_task(retention(city, city.store, thread).run(lambda: NOON + 3650 * DAY))
        await until(lambda: "3650 days ahead of what came last" in caplog.text, "it is said")
        await asyncio.sleep(0.5)
        running.cancel()
    assert [seen.text for seen in city.desk.plates()] == ["29A00002", "68A12345"], "as of when the newest plate came"
    assert len(city.desk.alerts()) == 1


def test_a_clock_that_leaps_ahead_is_believed_after_a_day() -> None:
    steady = 0.0
    belief = Belief(NOON, lambda: steady)
    assert belief.time(NOON + 5 * HOUR) == NOON + 5 * HOUR
    steady = 3600.0
    assert belief.time(NOON + 30 * DAY) == NOON + 6 * HOUR
    assert belief.time(NOON + 6 * HOUR + 5) == NOON + 6 * HOUR + 5, "it was put right"
    assert belief.time(NOON + 30 * DAY) == NOON + 6 * HOUR + 5
    steady += 86_399
    assert belief.time(NOON + 31 * DAY) < NOON + 31 * DAY
    steady += 1
    assert belief.time(NOON + 31 * DAY) == NOON + 31 * DAY
    assert belief.time(NOON) == NOON
