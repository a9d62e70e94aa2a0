"""Averages for whoever asks: the stored ones are those that samples make, in whatever order the samples came."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from averaging import MINUTE, Centre, hours, local, samples
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.averages import source
from collector.averages.ask import AverageRow
from collector.averages.periods import DAY, HOUR, LONGER, PERIODS, Period
from collector.stores import Store
from collector.stores.duckdb import DuckStore

MIDNIGHT = local("2028-02-28 00:00")
"""The leap day is the day after."""
END = local("2028-03-03 00:00")


def weather(days: float = 3.5) -> list:
    """Some days of several quantities, with holes, bad flags and a calibration."""
    rng = np.random.default_rng(7)
    at = MIDNIGHT + np.arange(int(days * 24 * 12)) * 5 * MINUTE
    at = at[(at % DAY) // HOUR != 3]
    n = len(at)
    flags = rng.choice([1, 2, 3, 4], n, p=[0.8, 0.1, 0.05, 0.05]).tolist()
    statuses = (rng.random(n) < 0.05).astype(int).tolist()
    values = {
        "pm2_5": rng.gamma(3, 10, n), "pm10": rng.gamma(3, 20, n), "o3": rng.gamma(3, 25, n),
        "wind_direction": rng.uniform(0, 360, n), "noise": rng.normal(60, 8, n),
        "rain": np.cumsum(rng.exponential(0.1, n)) % 20,
    }  # fmt: skip
    return [
        samples(at.tolist(), column.round(2).tolist(), name, flags=flags, statuses=statuses)
        for name, column in values.items()
    ]


def same(one: list[AverageRow], other: list[AverageRow]) -> None:
    assert [(r.at, r.flag, r.n, r.due, r.rule) for r in one] == [(r.at, r.flag, r.n, r.due, r.rule) for r in other]
    assert [r.value for r in one] == [r.value and pytest.approx(r.value, rel=1e-12) for r in other]
    assert [r.coverage for r in one] == [pytest.approx(r.coverage, rel=1e-12) for r in other]


def test_stored_averages_are_what_samples_make(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, tmp_path, coverage=15)
    centre.paces.tell("air-01", dict.fromkeys((2, 3, 9, 16, 17, 19), 300), MIDNIGHT)
    centre.feed(*weather())
    centre.settle(local("2028-04-01 00:00"))
    for quantity in ("pm2_5", "o3", "wind_direction", "noise", "rain"):
        for period in ("1h", *LONGER):
            made = centre.averages.of_samples("air-01", quantity, period, 0, END + 60 * DAY)
            assert len(made) == {"1h": 80, "8h": 91, "24h": 4, "month": 2}[period]
            same(centre.averages.ask("air-01", quantity, period, 0, END + 60 * DAY), made)
            stored = centre.points(f"air_{period}")
            assert [stored[r.at].get(quantity) for r in made] == [r.value for r in made], "bit by bit"
            assert {row.flag for row in made} <= {1, 3, 9}
    centre.close()


def test_what_is_not_stored_yet_is_made_now_and_runs_on_without_a_seam(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, tmp_path)
    centre.feed(*weather())
    now = MIDNIGHT + 2 * DAY + 90 * MINUTE
    centre.settle(now)
    assert max(centre.points("air_1h")) == MIDNIGHT + 2 * DAY
    for period in PERIODS:
        for start in (0, MIDNIGHT + 40 * HOUR, MIDNIGHT + 2 * DAY + 2 * HOUR):
            made = centre.averages.of_samples("air-01", "pm2_5", period, start, END)
            same(centre.averages.ask("air-01", "pm2_5", period, start, END), made)
    indices = {period: centre.averages.aqi("air-01", MIDNIGHT, now, period) for period in ("1h", "24h")}
    centre.settle(local("2028-04-01 00:00"))
    later = {period: centre.averages.aqi("air-01", MIDNIGHT, now, period) for period in ("1h", "24h")}
    assert [row.at for row in indices["24h"]] == [MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY]
    assert indices["1h"][:-1] == later["1h"][:-1]
    assert indices["24h"][:2] == later["24h"][:2]
    centre.close()


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[Centre]:
    centre = Centre(DuckStore(tmp_path / "points.duckdb"), tmp_path)
    yield centre
    centre.close()
    centre.store.close()


def test_the_running_hour_is_not_stored_but_given_with_what_it_has(duck: Centre) -> None:
    duck.feed(samples(MIDNIGHT, [10.0] * 90))
    duck.settle(MIDNIGHT + 90 * MINUTE)
    assert list(duck.points("air_1h")) == [MIDNIGHT]
    rows = duck.averages.ask("air-01", "pm2_5", "1h", MIDNIGHT, END)
    assert [(r.at, r.value, r.flag, r.coverage, r.n, r.due) for r in rows] == [
        (MIDNIGHT, 10, 2, 100, 60, 60),
        (MIDNIGHT + HOUR, 10, 2, 50, 30, 60),
    ]
    (day,) = duck.averages.ask("air-01", "pm2_5", "24h", MIDNIGHT, END)
    assert (day.n, day.due, day.coverage) == (90, 1440, 6.25)
    (month,) = duck.averages.ask("air-01", "pm2_5", "month", local("2028-02-01 00:00"), END)
    assert (month.n, month.due) == (90, 29 * 1440), "February of a leap year"


def test_short_periods(duck: Centre) -> None:
    duck.paces.tell("air-01", {2: 10}, MIDNIGHT)
    duck.feed(samples(MIDNIGHT + 50_000, [1.0, 2.0, 4.0, 6.0], every=10_000))
    rows = duck.averages.ask("air-01", "pm2_5", "1min", MIDNIGHT, END)
    assert [(r.at - MIDNIGHT, r.value, r.n, r.due) for r in rows] == [(0, 1, 1, 6), (60_000, 4, 3, 6)]
    (five,) = duck.averages.ask("air-01", "pm2_5", "5min", MIDNIGHT, END)
    assert (five.value, five.n, five.due, five.rule) == (3.25, 4, 30, "flags 1+2; no coverage rule")
    assert duck.averages.ask("air-01", "pm2_5", "1min", MIDNIGHT + 1, END)[0].at == MIDNIGHT + MINUTE
    assert len(duck.averages.ask("air-01", "pm2_5", "1min", MIDNIGHT, MIDNIGHT + MINUTE)) == 1


@pytest.mark.parametrize("period", PERIODS)
def test_what_is_unknown_or_empty_gives_nothing(duck: Centre, period: Period) -> None:
    ask, made = duck.averages.ask, duck.averages.of_samples
    assert ask("air-01", "pm2_5", period, 0, END) == made("air-01", "pm2_5", period, 0, END) == []
    duck.feed(samples(MIDNIGHT, [10.0] * 90))
    duck.settle(END)
    for station, quantity, start, stop in (
        ("no-1", "pm2_5", 0, END), ("air-01", "no_such", 0, END), ("air-01", "ph", 0, END), ("air-02", "pm2_5", 0, END),
        ("air-01", "pm2_5", END, MIDNIGHT), ("air-01", "pm2_5", MIDNIGHT, MIDNIGHT), ("air-01", "pm2_5", END, 2**42),
    ):  # fmt: skip
        assert ask(station, quantity, period, start, stop) == made(station, quantity, period, start, stop) == []
    assert duck.averages.aqi("sea-01", 0, END) == duck.averages.aqi("no-1", 0, END) == []


def test_wide_spans_are_read_piece_by_piece_and_empty_years_are_jumped(
    duck: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "AT_ONCE_MS", 5 * HOUR)
    at = [MIDNIGHT - 20 * 365 * DAY, MIDNIGHT, MIDNIGHT + 3 * HOUR, MIDNIGHT + 40 * HOUR, END + 20 * 365 * DAY]
    duck.feed(samples(at, [1.0, 2.0, 3.0, 4.0, 5.0]))
    asked = []
    tables = duck.store.tables
    monkeypatch.setattr(duck.store, "tables", lambda *a, **k: asked.append(k) or tables(*a, **k))
    rows = duck.averages.of_samples("air-01", "pm2_5", "1min", 0, 2**42)
    assert [row.at for row in rows] == at
    assert len(asked) < 15
    rows = duck.averages.of_samples("air-01", "pm2_5", "24h", 0, 2**42)
    assert [row.value for row in rows] == [1, 2.5, 4, 5]


def test_the_index_of_the_running_hour_and_of_the_silent_hour_after(duck: Centre) -> None:
    duck.feed(hours(MIDNIGHT, [12.0] * 5), hours(MIDNIGHT, [28.0] * 5, "pm10"))
    duck.now = MIDNIGHT + 5 * HOUR + 5 * MINUTE
    rows = duck.averages.aqi("air-01", MIDNIGHT, END)
    assert [row.at for row in rows] == [MIDNIGHT + h * HOUR for h in range(1, 6)], "two of three hours are needed"
    assert rows[-1].sub == {"pm2_5": 24, "pm10": 28}
    assert (rows[-1].aqi, rows[-1].dominant, rows[-1].category.en) == (28, "pm10", "Good")
    assert rows[-1].nowcast == {"pm2_5": pytest.approx(12), "pm10": pytest.approx(28)}
    duck.settle(MIDNIGHT + 20 * HOUR)
    assert [row.at for row in duck.averages.aqi("air-01", MIDNIGHT, END)][-1] == MIDNIGHT + 5 * HOUR
    (day,) = duck.averages.aqi("air-01", MIDNIGHT, END, "24h")
    assert (day.at, day.aqi, day.nowcast) == (MIDNIGHT, 28, {})


def test_nowcast_as_the_text_says_if_that_is_set(tmp_path: Path) -> None:
    falling = [90, 100, 110, 120, 130, 140, 150, 150, 120, 80, 40, 20]
    store = DuckStore(tmp_path / "points.duckdb")
    found = []
    for literal in (False, True):
        centre = Centre(store, tmp_path, literal=literal, name=f"literal {literal}")
        centre.feed(hours(MIDNIGHT, [float(mean) for mean in falling]))
        centre.settle(MIDNIGHT + 12 * HOUR)
        found.append(centre.averages.aqi("air-01", MIDNIGHT + 11 * HOUR, END)[0].nowcast["pm2_5"])
        centre.close()
    assert found == [pytest.approx(46.5568, abs=5e-5), pytest.approx(46.5454, abs=5e-5)]
    store.close()


piece = st.lists(st.tuples(st.integers(0, 40 * 12), st.floats(0, 500)), min_size=1, max_size=12)


@settings(max_examples=10)
@given(st.lists(piece, min_size=1, max_size=5), st.randoms())
def test_samples_in_any_order_and_any_pieces_make_the_same_averages(pieces: list, shuffle) -> None:
    """Averaged after every piece, or all at once; later values of the same moment replace earlier ones."""
    final = {at: value for one in pieces for at, value in one}
    again = [[(at, final[at]) for at, _ in one] for one in pieces]
    shuffle.shuffle(again)
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, batches in (("pieces", again), ("whole", [list(final.items())])):
            centre = Centre(DuckStore(Path(folder) / f"{name}.duckdb"), Path(folder), name=name)
            for batch in batches:
                for part in (batch, []) if name == "whole" else (batch[:1], batch[1:]):
                    if part:
                        at = [MIDNIGHT + n * 5 * MINUTE for n, _ in dict(part).items()]
                        centre.feed(samples(at, list(dict(part).values())))
                        centre.settle(MIDNIGHT + 3 * DAY)
            found.append({p: centre.points(p) for p in ("air_1h", "air_8h", "air_24h", "aqi_1h", "aqi_24h")})
            centre.close()
            centre.store.close()
    assert found[0] == found[1]
    assert len(found[1]["air_1h"]) == len({n // 12 for n in final})
    for at, point in found[1]["air_1h"].items():
        values = [v for n, v in final.items() if MIDNIGHT + n * 5 * MINUTE - at in range(HOUR)]
        assert point["pm2_5"] == pytest.approx(math.fsum(values) / len(values))
