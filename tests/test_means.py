"""Means by hand: what counts, how each kind of quantity is averaged, coverage, rules, and periods of the calendar."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from averaging import MINUTE, local
from hypothesis import given
from hypothesis import strategies as st

from collector.averages.means import Means, Rule, of_hours, of_samples
from collector.averages.periods import DAY, HOUR, PERIODS, end_of_last, floor, holding, stops
from collector.settings import read

T0 = local("2026-11-20 12:00")
NAN = math.nan


def every(seconds: int):
    """So many samples are due."""
    return lambda starts, ends: (ends - starts) / (seconds * 1000.0)


def hour_of(values, quantity="pm2_5", *, flags=None, statuses=None, rule=None, step=MINUTE, pace=60, start=T0) -> Means:
    """One hour whose samples are `step` apart."""
    n = len(values)
    return of_samples(
        quantity, np.arange(n) * step + start, np.array(values, float), np.array(flags or [1] * n, float),
        np.array(statuses or [NAN] * n, float), starts=np.array([T0]), stops=np.array([T0 + HOUR]), due=every(pace),
        rule=Rule(rule),
    )  # fmt: skip


def the_only(means: Means) -> tuple[float, int, float]:
    ((value,), (flag,), (coverage,)) = means.value, means.flag, means.coverage
    return float(value), int(flag), float(coverage)


def test_only_measured_values_that_pass_or_were_not_evaluated_count() -> None:
    values, flags = [10, 20, 30, 40, NAN, 60, 70], [1, 2, 3, 4, 9, NAN, 1]
    assert the_only(hour_of(values, flags=flags, statuses=[0, NAN, 0, 0, 2, 0, 1])) == (30, 2, 5.0), "10, 20 and 60"
    assert the_only(hour_of([5.0], statuses=[1])) == (pytest.approx(NAN, nan_ok=True), 9, 0)


@pytest.mark.parametrize(
    ("quantity", "values", "mean"),
    [
        ("pm2_5", [1.0, 2.0, 6.0], 3.0),
        ("wind_direction", [350.0, 10.0], 0.0),
        ("wind_direction", [350.0, 20.0], 5.0),
        ("wind_direction", [90.0, 180.0], 135.0),
        ("wind_direction", [0.0, 360.0], 0.0),
        ("wind_direction", [0.0, 180.0], NAN),
        ("wind_direction", [0.0, 120.0, 240.0], NAN),
        ("noise", [60.0, 60.0], 60.0),
        ("noise", [60.0, 70.0], 10 * math.log10(5.5e6)),
        ("noise", [0.0, 100.0], 100 - 10 * math.log10(2)),
        ("rain", [1.0, 1.5, 1.5, 4.0], 3.0),
        ("rain", [1.0, 2.0, 0.25, 0.5], 1.5),
        ("rain", [5.0], NAN),
    ],
)
def test_kinds_of_quantities(quantity: str, values: list[float], mean: float) -> None:
    value, flag, _ = the_only(hour_of(values, quantity))
    assert value % 360 == pytest.approx(mean, abs=1e-6, nan_ok=True)
    assert flag == (9 if math.isnan(mean) else 2)
    if quantity == "wind_direction" and not math.isnan(mean):
        assert 0 <= value < 360


def test_rises_count_where_the_later_sample_lies_and_not_over_more_than_an_hour() -> None:
    before = hour_of([1.0, 4.0], "rain", step=30 * MINUTE, start=T0 - 30 * MINUTE)
    assert the_only(before) == (3.0, 2, pytest.approx(100 / 60))
    assert the_only(hour_of([1.0, 4.0], "rain", step=HOUR, start=T0 - HOUR)) == (3.0, 2, pytest.approx(100 / 60))
    assert the_only(hour_of([1.0, 4.0], "rain", step=HOUR + 1, start=T0 - HOUR))[1] == 9


@pytest.mark.parametrize(
    ("n", "rule", "pace", "flag", "coverage"),
    [
        (45, 75, 60, 1, 75.0), (44, 75, 60, 3, 4400 / 60), (60, 100, 60, 1, 100.0), (45, None, 60, 2, 75.0),
        (1, 75, 7200, 1, 100.0), (60, 75, 120, 1, 100.0),
    ],
)  # fmt: skip
def test_coverage_of_an_hour_and_its_rule(n: int, rule: float | None, pace: int, flag: int, coverage: float) -> None:
    assert the_only(hour_of([1.0] * n, rule=rule, pace=pace)) == (1.0, flag, pytest.approx(coverage))


def test_periods_are_half_open_and_those_without_samples_are_left_out() -> None:
    at = np.array([T0 - 1, T0, T0 + HOUR - 1, T0 + HOUR, T0 + 3 * HOUR])
    starts = T0 + np.arange(4) * HOUR
    ones = np.ones(5)
    found = of_samples("ph", at, at - T0 + 0.0, ones, ones * 0, starts=starts, stops=starts + HOUR, due=every(60),
                       rule=Rule())  # fmt: skip
    assert found.at.tolist() == [T0, T0 + HOUR, T0 + 3 * HOUR]
    assert found.value.tolist() == [(HOUR - 1) / 2, HOUR, 3 * HOUR]


def day_of(values, flags, coverage, quantity="pm2_5", *, rule=None, pace=60) -> tuple[float, int, float]:
    """A day from these hours."""
    start = floor("24h", np.array([T0]))
    hours = Means(start + np.arange(len(values)) * HOUR, np.array(values, float), np.array(flags, np.uint8),
                  np.array(coverage, float))  # fmt: skip
    return the_only(of_hours(quantity, hours, starts=start, stops=start + DAY, due=every(pace), rule=Rule(rule)))


def test_longer_means_are_of_hours_each_as_heavy_and_coverage_is_of_samples() -> None:
    assert day_of([10, 40], [2, 2], [100, 1 / 0.6]) == (25, 2, pytest.approx(100 * 61 / 1440))
    assert day_of([10, 40, NAN], [2, 3, 9], [100, 50, 0]) == (10, 2, pytest.approx(100 / 24)), "too little is not used"
    assert day_of([NAN], [9], [0]) == (pytest.approx(NAN, nan_ok=True), 9, 0)
    assert day_of([350, 10], [2, 2], [100, 100], "wind_direction")[0] % 360 == pytest.approx(0, abs=1e-9)
    assert day_of([60, 70], [2, 2], [100, 100], "noise")[0] == pytest.approx(67.4036, abs=5e-5)
    assert day_of([2, 0, 5.5], [2, 2, 2], [100, 100, 100], "rain")[0] == 7.5


@pytest.mark.parametrize(
    ("n", "pace", "rule", "flag"),
    [(18, 60, 75, 1), (17, 60, 75, 3), (17, 60, None, 2), (24, 60, 100, 1), (4, 21_600, 75, 1), (3, 21_600, 75, 1),
     (2, 21_600, 75, 3)],
)  # fmt: skip
def test_a_day_needs_its_share_of_the_hours_in_which_something_is_due(
    n: int, pace: int, rule: float | None, flag: int
) -> None:
    assert day_of([5.0] * n, [1] * n, [100.0] * n, rule=rule, pace=pace)[1] == flag


def test_rules_are_said() -> None:
    assert Rule().text(longer=False) == Rule().text(longer=True) == "flags 1+2; no coverage rule"
    assert Rule(75).text(longer=False) == "flags 1+2; coverage >= 75 %"
    assert Rule(66.6).text(longer=True) == "flags 1+2; coverage >= 66.6 % in >= 66.6 % of the hours"


@pytest.mark.parametrize(
    ("text", "rule", "mistake"),
    [
        ("{}", Rule(), ""),
        ("{coverage: 75}", Rule(75), ""),
        ("{coverage: 66.6, nowcast: literal, settle_s: 0}", Rule(66.6), ""),
        ("{coverage: 0}", None, "averages.coverage"),
        ("{coverage: 101}", None, "averages.coverage"),
        ("{nowcast: both}", None, "averages.nowcast"),
        ("{settle_s: -1}", None, "averages.settle_s"),
        ("{cover: 75}", None, "averages.cover"),
    ],
)
def test_the_rule_is_set_in_the_collector_s_file_and_there_is_none_by_default(
    tmp_path: Path, text: str, rule: Rule | None, mistake: str
) -> None:
    file = tmp_path / "collector.yaml"
    fleet = Path(__file__).parent.parent / "firmware_configs"
    plates = "plates: {keep_days: 1, keep_hit_days: 1}"
    file.write_text(f"state: {tmp_path}\nfleet: {fleet}\n{plates}\naverages: {text}\n")
    settings, mistakes = read(file)
    assert [mistake] * bool(mistake) == [str(each.path) for each in mistakes]
    if rule is not None:
        assert settings is not None
        assert settings.averages.rule == rule


@pytest.mark.parametrize(
    ("period", "moment", "begins", "ends"),
    [
        ("1min", "2026-11-20 23:59:59", "2026-11-20 23:59", "2026-11-21 00:00"),
        ("5min", "2026-11-20 12:04:59", "2026-11-20 12:00", "2026-11-20 12:05"),
        ("1h", "2026-11-20 23:30", "2026-11-20 23:00", "2026-11-21 00:00"),
        ("24h", "2026-11-20 23:59:59.999", "2026-11-20 00:00", "2026-11-21 00:00"),
        ("24h", "2026-11-21 00:00", "2026-11-21 00:00", "2026-11-22 00:00"),
        ("24h", "2026-11-21 06:59", "2026-11-21 00:00", "2026-11-22 00:00"),
        ("24h", "2028-02-29 12:00", "2028-02-29 00:00", "2028-03-01 00:00"),
        ("month", "2028-02-29 23:59", "2028-02-01 00:00", "2028-03-01 00:00"),
        ("month", "2027-02-28 23:59", "2027-02-01 00:00", "2027-03-01 00:00"),
        ("month", "2026-12-31 23:59:59", "2026-12-01 00:00", "2027-01-01 00:00"),
        ("month", "2027-01-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00"),
        ("month", "1969-12-31 12:00", "1969-12-01 00:00", "1970-01-01 00:00"),
    ],
)
def test_periods_of_the_island(period, moment: str, begins: str, ends: str) -> None:
    found = floor(period, np.array([local(moment)]))
    assert found.tolist() == [local(begins)]
    assert stops(period, found).tolist() == [local(ends)]
    assert holding(period, np.array([local(moment)] * 2)).tolist() == [local(begins)]
    assert end_of_last(period, local(moment) + 1) == local(ends)


def test_eight_hours_begin_with_every_hour() -> None:
    noon = local("2026-11-20 12:00")
    found = holding("8h", np.array([noon + 5, noon + HOUR]))
    assert found.tolist() == [noon + h * HOUR for h in range(-7, 2)]
    assert stops("8h", found).tolist() == [noon + h * HOUR for h in range(1, 10)]
    assert end_of_last("8h", noon + 1) == noon + 8 * HOUR


@given(st.sampled_from(PERIODS), st.integers(-(10**12), 4 * 10**12))
def test_every_moment_lies_in_the_periods_that_hold_it(period, at: int) -> None:
    begins = holding(period, np.array([at]))
    ends = stops(period, begins)
    assert len(begins) == (8 if period == "8h" else 1)
    assert ((begins <= at) & (at < ends)).all()
    if period == "month":
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(begins[0]) + 7 * HOUR)
        assert (moment.day, moment.hour, moment.minute, moment.microsecond) == (1, 0, 0, 0)


@given(st.lists(st.tuples(st.floats(-50, 150), st.sampled_from([1, 2, 3, 4])), min_size=1, max_size=60), st.data())
def test_a_mean_is_the_same_whatever_else_is_asked(samples, data) -> None:
    """Bit by bit: alone, among others, and with other samples around it."""
    values, flags = np.array([v for v, _ in samples]), np.array([f for _, f in samples], float)
    at = T0 + np.arange(len(values)) * 10 * MINUTE
    more = np.array(data.draw(st.lists(st.floats(0, 9), max_size=9)))
    shift = len(more)
    all_at = np.concatenate((T0 - (np.arange(shift, 0, -1)) * 10 * MINUTE, at))
    starts = holding("1h", at)
    kinds = data.draw(st.sampled_from(["pm2_5", "noise", "wind_direction"]))
    given_ = {"due": every(600), "rule": Rule()}
    apart = [
        of_samples(kinds, at, values, flags, flags * 0, starts=one, stops=one + HOUR, **given_)
        for one in starts.reshape(-1, 1)
    ]
    together = of_samples(
        kinds, all_at, np.concatenate((more, values)), np.concatenate((more * 0 + 1, flags)), np.zeros(len(all_at)),
        starts=starts, stops=starts + HOUR, **given_,
    )  # fmt: skip
    assert together.value.tobytes() == np.concatenate([each.value for each in apart]).tobytes()
    assert together.coverage.tobytes() == np.concatenate([each.coverage for each in apart]).tobytes()
    plain = [v for v, f, t in zip(values, flags, at, strict=True) if f in (1, 2) and t < starts[0] + HOUR]
    if plain and kinds == "pm2_5":
        assert together.value[0] == pytest.approx(math.fsum(plain) / len(plain), abs=1e-9)
