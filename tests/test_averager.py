"""Averages and indices in real stores: made when their time has ended, again for late data, over any failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from averaging import MINUTE, Centre, hours, local, samples

from collector.averages import averager
from collector.averages.periods import DAY, HOUR
from collector.points import Frame
from collector.stores import RejectedError, Store, StoreError
from collector.stores.duckdb import DuckStore

NOON = local("2026-11-20 12:00")
MIDNIGHT = local("2026-11-20 00:00")


@pytest.fixture
def centre(store: Store, tmp_path: Path) -> Iterator[Centre]:
    centre = Centre(store, tmp_path)
    yield centre
    centre.close()


def test_an_hour_is_averaged_when_it_has_ended_and_settled(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, tmp_path, settle_ms=2 * MINUTE)
    centre.feed(samples(NOON, [10, 20, None, 60], flags=[1, 2, 9, 4]))
    centre.settle(NOON + HOUR + 2 * MINUTE - 1)
    assert centre.points("air_1h") == {}
    centre.settle(NOON + HOUR + 2 * MINUTE)
    assert centre.points("air_1h") == {
        NOON: {"pm2_5": 15, "pm2_5_flag": 2, "pm2_5_coverage": pytest.approx(200 / 60),
               "rule": "flags 1+2; no coverage rule"}
    }  # fmt: skip
    centre.close()


def test_every_period_is_made_when_its_own_time_has_ended(centre: Centre) -> None:
    centre.feed(hours(MIDNIGHT, [*range(1, 9)]), hours(MIDNIGHT, [5.0], station="sea-01", quantity="ph"))
    centre.settle(MIDNIGHT + 8 * HOUR)
    assert {at: point["pm2_5"] for at, point in centre.points("air_8h").items()} == {
        MIDNIGHT - k * HOUR: sum(range(1, 9 - k)) / (8 - k) for k in range(8)
    }
    assert centre.points("air_24h") == centre.points("air_month") == centre.points("aqi_24h") == {}
    centre.settle(MIDNIGHT + DAY - 1)
    assert len(centre.points("air_8h")) == 15, "a window begins with each of the hours and each of the seven before"
    assert centre.points("air_24h") == {}
    centre.settle(MIDNIGHT + DAY)
    assert centre.points("air_24h") == {
        MIDNIGHT: {"pm2_5": 4.5, "pm2_5_flag": 2, "pm2_5_coverage": pytest.approx(16 / 14.4),
                   "rule": "flags 1+2; no coverage rule"}
    }  # fmt: skip
    assert centre.points("aqi_24h")[MIDNIGHT]["aqi"] == 9
    centre.settle(local("2026-12-01 00:00"))
    assert list(centre.points("air_month")) == [local("2026-11-01 00:00")]
    assert centre.points("seawater_24h", "sea-01")[MIDNIGHT]["ph"] == 5
    assert centre.points("aqi_1h", "sea-01") == {}, "water has no air quality"


def test_with_a_rule_too_little_data_is_said_and_not_used_further(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, tmp_path, coverage=75)
    full, thin = [45, 45.0], [44, 100.0]
    frames = []
    for hour in range(24):
        n, value = full if hour < 18 else thin
        frames.append(samples(MIDNIGHT + hour * HOUR, [value] * n))
    centre.feed(*frames, samples(MIDNIGHT + DAY, [45.0] * 60 * 17), samples(MIDNIGHT + DAY + 17 * HOUR, [None] * 60))
    centre.settle(MIDNIGHT + 2 * DAY)
    one = centre.points("air_1h")
    assert [one[MIDNIGHT + h * HOUR]["pm2_5_flag"] for h in (0, 17, 18, 23)] == [1, 1, 3, 3]
    assert one[MIDNIGHT]["rule"] == "flags 1+2; coverage >= 75 %"
    assert one[MIDNIGHT + 18 * HOUR]["pm2_5"] == 100, "it is given, and flagged"
    day = centre.points("air_24h")
    assert day[MIDNIGHT] == {
        "pm2_5": 45, "pm2_5_flag": 1, "pm2_5_coverage": pytest.approx(56.25),
        "rule": "flags 1+2; coverage >= 75 % in >= 75 % of the hours",
    }  # fmt: skip
    assert (day[MIDNIGHT + DAY]["pm2_5"], day[MIDNIGHT + DAY]["pm2_5_flag"]) == (45, 3), "17 hours of 24"
    assert one[MIDNIGHT + DAY + 17 * HOUR] == {"pm2_5_flag": 9, "pm2_5_coverage": 0, "rule": one[MIDNIGHT]["rule"]}
    assert list(centre.points("aqi_24h")) == [MIDNIGHT]
    eight = centre.points("air_8h")
    assert [eight[MIDNIGHT + h * HOUR]["pm2_5_flag"] for h in (10, 12, 13)] == [1, 1, 3], "6 of 8 hours, then 5"
    centre.close()


def test_late_data_change_everything_that_they_touch_and_nothing_else(centre: Centre) -> None:
    centre.feed(hours(MIDNIGHT - 10 * HOUR, [20.0] * 58))
    centre.settle(MIDNIGHT + 3 * DAY)
    before = {name: centre.points(name) for name in ("air_1h", "air_8h", "air_24h", "aqi_1h", "aqi_24h", "air_month")}
    late = MIDNIGHT + 5 * HOUR
    centre.feed(samples(late + 10 * MINUTE, [80.0, 80.0]))
    centre.settle(MIDNIGHT + 3 * DAY)
    changed = {
        name: [at for at in sorted(old | centre.points(name)) if old.get(at) != centre.points(name).get(at)]
        for name, old in before.items()
    }
    assert changed["air_1h"] == [late]
    assert changed["air_8h"] == [late + h * HOUR for h in range(-7, 1)]
    assert changed["air_24h"] == changed["aqi_24h"] == [MIDNIGHT]
    assert changed["aqi_1h"] == [late + h * HOUR for h in range(12)], "NowCast looks eleven hours back"
    assert centre.points("air_1h")[late]["pm2_5"] == 50
    assert centre.points("air_24h")[MIDNIGHT]["pm2_5"] == pytest.approx(21.25)


def test_ozone_late_in_a_day_is_in_the_next_day_s_index(centre: Centre) -> None:
    """Its first running means look back; at 17:00 and later an hour is in one that ends after midnight."""
    centre.feed(hours(MIDNIGHT, [10.0] * 48), hours(MIDNIGHT, [20.0] * 48, "o3"))
    centre.settle(MIDNIGHT + 3 * DAY)
    assert centre.points("aqi_24h")[MIDNIGHT + DAY]["aqi_o3"] == 10
    centre.feed(samples(MIDNIGHT + 23 * HOUR, [980.0] * 18, "o3"))
    centre.settle(MIDNIGHT + 3 * DAY)
    # seven hours of 20 and one of 980 make 140, which is 100 + (140 - 120) / (170 - 120) * 50
    assert centre.points("aqi_24h")[MIDNIGHT + DAY]["aqi_o3"] == 120


def test_the_same_again_changes_nothing(centre: Centre) -> None:
    frame = hours(MIDNIGHT, [20.0, 30, 40] * 10)
    centre.feed(frame)
    centre.settle(MIDNIGHT + 3 * DAY)
    before = [centre.points(name) for name in ("air_1h", "air_8h", "air_24h", "aqi_1h", "aqi_24h")]
    centre.feed(frame)
    centre.settle(MIDNIGHT + 3 * DAY)
    assert before == [centre.points(name) for name in ("air_1h", "air_8h", "air_24h", "aqi_1h", "aqi_24h")]


def test_a_value_that_turns_out_to_be_unusable_is_taken_back(centre: Centre) -> None:
    centre.feed(hours(NOON, [30.0] * 3), hours(NOON, [40.0] * 3, "o3"))
    centre.settle(NOON + DAY)
    assert centre.points("aqi_1h")[NOON + HOUR].keys() >= {"aqi", "aqi_o3", "aqi_pm2_5"}
    centre.feed(samples(NOON + HOUR, [40.0] * 2, "o3", flags=[4, 4]))
    centre.settle(NOON + DAY)
    point = centre.points("air_1h")[NOON + HOUR]
    assert (point["o3_flag"], point["o3_coverage"], point["pm2_5"]) == (9, 0, 30)
    assert "o3" not in point, "not the mean of before"
    assert "aqi_o3" not in centre.points("aqi_1h")[NOON + HOUR]
    centre.feed(*(samples(NOON + h * HOUR, [30.0] * 2, flags=[4, 4]) for h in range(3)))
    centre.settle(NOON + DAY)
    assert centre.points("aqi_1h") == {}, "without dust there is no index"
    assert "pm2_5" not in centre.points("air_1h")[NOON]


def test_clock_jumps_make_only_the_periods_that_hold_them(centre: Centre) -> None:
    past, future = 400 * DAY, local("2090-01-01 00:00")
    centre.feed(samples([past, NOON, future], [1.0, 2.0, 3.0]))
    assert centre.settle(NOON + 40 * DAY) == 1
    assert list(centre.points("air_1h")) == [past, NOON]
    assert list(centre.points("air_month")) == [local("1971-02-01 00:00"), local("2026-11-01 00:00")]
    assert centre.averages.ask("air-01", "pm2_5", "1h", 0, local("2100-01-01"))[-1].at == future
    centre.settle(future + HOUR)
    assert centre.points("air_1h")[future]["pm2_5"] == 3


def test_a_restart_anywhere_loses_nothing(store: Store, tmp_path: Path) -> None:
    """The store fails at each call in turn; each time a new collector goes on."""
    frame = hours(MIDNIGHT, [20.0, 40.0] * 15)
    plain = Centre(store, tmp_path, name="plain")
    plain.feed(frame)
    plain.settle(MIDNIGHT + 3 * DAY)
    names = ("air_1h", "air_8h", "air_24h", "aqi_1h", "aqi_24h")
    expected = [plain.points(name) for name in names]
    plain.close()
    store.erase("air_24h", "air-01", [MIDNIGHT, MIDNIGHT + DAY])
    centre = Centre(store, tmp_path, name="restarted")
    centre.feed(frame)
    centre.close()
    for broken in range(60):
        again = Centre(Failing(store, broken), tmp_path, name="restarted")
        try:
            again.settle(MIDNIGHT + 3 * DAY)
        except StoreError:
            continue
        finally:
            again.close()
        assert broken > 5
        break
    else:
        raise AssertionError("it never got through")
    assert [plain.points(name) for name in names] == expected


class Failing(Store):
    """A store that fails at its nth call."""

    def __init__(self, store: Store, after: int) -> None:
        self._store, self._left = store, after

    def __getattribute__(self, name: str) -> object:
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        self._left -= 1
        if self._left < 0:
            raise StoreError("is down")
        return getattr(self._store, name)


def test_a_long_backlog_is_made_in_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty days: far fewer questions than hours, and the longer periods once at the end."""
    monkeypatch.setattr(averager, "AT_ONCE", 500)
    monkeypatch.setattr(averager, "ROUND_S", 600)
    asked: list[str] = []

    class Counting(DuckStore):
        def tables(self, measurement, *given, **more):
            asked.append(measurement)
            return super().tables(measurement, *given, **more)

    centre = Centre(Counting(tmp_path / "c.duckdb"), tmp_path)
    start = MIDNIGHT - 60 * DAY
    centre.feed(*(hours(start + day * DAY, [float(day)] * 24) for day in range(60)))
    rounds = centre.settle(MIDNIGHT + 31 * DAY)
    assert 4 <= rounds <= 12
    assert asked.count("air") <= 40
    assert len(asked) < 150
    days = centre.points("air_24h")
    assert [days[start + day * DAY]["pm2_5"] for day in range(60)] == list(range(60))
    assert len(centre.points("air_1h")) == 1440
    assert len(centre.points("air_8h")) == 1447
    centre.close()
    centre.store.close()


async def test_while_boxes_wait_it_rests_between_short_rounds(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round is over after one station; what is made is the same, later."""
    monkeypatch.setattr(averager, "ROUND_S", 0)
    began: list[float] = []

    def duty() -> bool:
        began.append(time.monotonic())
        time.sleep(0.05)
        return True

    centre = Centre(store, tmp_path, duty=duty, crowded=lambda: True)
    centre.feed(samples(NOON, [10.0]), samples(NOON, [20.0], station="air-02"))
    task = asyncio.create_task(centre.averager.run(lambda: NOON + HOUR))
    async with asyncio.timeout(60):
        while not centre.points("air_1h", "air-02"):
            await asyncio.sleep(0.01)
    task.cancel()
    assert [centre.points("air_1h", name)[NOON]["pm2_5"] for name in ("air-01", "air-02")] == [10, 20]
    assert min(after - before for before, after in pairwise(began)) > 0.05 * averager.REST
    centre.close()


async def test_while_the_store_is_down_it_waits_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(averager, "EVERY_S", 0.01)

    class Down(DuckStore):
        down = True

        def tables(self, *given, **more):
            if self.down:
                raise StoreError("is down")
            return super().tables(*given, **more)

    store = Down(tmp_path / "c.duckdb")
    centre = Centre(store, tmp_path)
    centre.feed(samples(NOON, [10.0]))
    task = asyncio.create_task(centre.averager.run(lambda: NOON + HOUR))
    async with asyncio.timeout(60):
        while not caplog.records:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    assert [record.message for record in caplog.records] == ["averages: is down; made when it works again"]
    store.down = False
    async with asyncio.timeout(60):
        while not centre.points("air_1h"):
            await asyncio.sleep(0.01)
    assert centre.points("air_1h")[NOON]["pm2_5"] == 10
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    centre.close()
    store.close()


def test_what_the_store_refuses_is_left_out_and_the_rest_is_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(DuckStore):
        def write(self, frames):
            if any(frame.measurement == "air_1h" and frame.tags["station"] == "air-02" for frame in frames):
                raise RejectedError("not that")
            super().write(frames)

    store = Refusing(tmp_path / "c.duckdb")
    told: list[tuple[str, str]] = []
    centre = Centre(
        store, tmp_path, written=lambda frames: told.extend((f.measurement, f.tags["station"]) for f in frames)
    )
    centre.feed(samples(NOON, [10.0]), samples(NOON, [20.0], station="air-02"))
    centre.settle(NOON + HOUR)
    assert centre.points("air_1h", "air-02") == {}
    assert centre.points("air_1h")[NOON]["pm2_5"] == 10
    assert "air_1h of air-02 left out" in caplog.text
    assert told == [("air_1h", "air-01"), ("air_8h", "air-01")]
    assert centre.touched.take("averages", before=NOON + DAY, limit=9) == []
    centre.close()
    store.close()


def test_boxes_that_are_gone_or_measure_nothing_hold_nothing_up(centre: Centre) -> None:
    gone = Frame(measurement="air", tags={"station": "old-1", "site": "x"}, at=np.array([NOON]),
                 fields={"pm2_5": np.array([1.0])})  # fmt: skip
    centre.feed(gone, samples(NOON, [10.0]))
    centre.settle(NOON + HOUR)
    assert list(centre.points("air_1h")) == [NOON]
    assert centre.points("air_1h", "old-1") == {}
    assert centre.touched.take("averages", before=NOON + DAY, limit=9) == []


def test_rain_is_what_the_counter_rose_in_the_hour_over_its_resets(centre: Centre) -> None:
    half = 30 * MINUTE
    at = [NOON - half, NOON, NOON + half, NOON + HOUR, NOON + HOUR + half, NOON + 2 * HOUR]
    centre.feed(samples(at, [10.0, 10.5, 12.0, 12.0, 0.75, 1.0], "rain"))
    centre.settle(NOON + DAY)
    one = centre.points("air_1h")
    assert [one[NOON + h * HOUR].get("rain") for h in range(-1, 3)] == [None, 2.0, 0.75, 0.25]
    assert one[NOON - HOUR]["rain_flag"] == 9, "one reading of a counter is no rise"
    assert centre.points("air_24h")[MIDNIGHT]["rain"] == 3.0
    centre.feed(samples([NOON + HOUR + 45 * MINUTE], [0.9], "rain"))
    centre.settle(NOON + DAY)
    one = centre.points("air_1h")
    assert one[NOON + HOUR]["rain"] == pytest.approx(0.9)
    assert one[NOON + 2 * HOUR]["rain"] == pytest.approx(0.1), "the hour after a touched one is counted again too"
