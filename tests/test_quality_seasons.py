"""Climatology, attenuated signals and gaps: what a value is judged by beyond its next neighbours in time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import msgspec
from blocks import MINUTE, T0, block, flags, remaining

from collector.quality import Gap, Quality, QualitySettings
from collector.quality.gaps import STRETCHES
from collector.quality.limits import Limits
from edge_agent.contract.quantities import BY_NAME

PH = BY_NAME["ph"].number
LOCAL = timezone(timedelta(hours=7))


def quality(began: int = 0, **limits: object) -> Quality:
    """pH with only these limits."""
    off = dict.fromkeys(Limits.__struct_fields__) | {"flat_tolerance": 0} | limits
    settings = msgspec.convert({"quantities": {"ph": off}}, QualitySettings)
    return Quality(settings, began=began)


def at(*local: int) -> int:
    return round(datetime(*local, tzinfo=LOCAL).timestamp() * 1000)


def test_climatology_holds_by_month_in_local_time_and_over_the_turn_of_the_year() -> None:
    judge = quality(climatology={"11-2": [6, 7], "4": [8, 9]})
    days = [
        (at(2026, 10, 31, 23, 59, 59), 5, 1),  # October is not named
        (at(2026, 11, 1), 5.9, 3),
        (at(2026, 12, 31, 23, 59), 7.1, 3),
        (at(2027, 1, 1), 6, 1),
        (at(2027, 2, 28, 23, 59, 59), 7.001, 3),
        (at(2027, 3, 1), 7.001, 1),
        (at(2027, 4, 1), 7, 3),
        (at(2027, 4, 30, 23, 59, 59), 9, 1),
        (at(2028, 2, 29, 12), 5, 3),
    ]
    for time, value, flag in days:
        assert flags(judge.judge("sea-01", block(times=[time], ph=[value]))) == [flag], time
    together = judge.judge("sea-01", block(times=[time for time, _, _ in days], ph=[value for _, value, _ in days]))
    assert flags(together) == [flag for _, _, flag in days]


def test_climatology_never_makes_a_missing_or_failed_value_better() -> None:
    assert flags(quality(climatology={"1-12": [6, 7]}).judge("sea-01", block(ph=[None, 15, 5]))) == [9, 4, 3]


RANGE = {"window_s": 600, "suspect_below": 0.3, "fail_below": 0.1}


def waves(*sizes: tuple[float, int]) -> list[float]:
    """So many values that change by a size."""
    return [7 + (i % 2) * size for size, count in sizes for i in range(count)]


def test_a_signal_that_hardly_moves_is_attenuated_once_its_window_is_whole() -> None:
    values = waves((0.5, 12), (0.2, 15), (0.02, 15), (0.5, 4))
    by_range = flags(quality(attenuated=RANGE).judge("sea-01", block(ph=values)))
    assert by_range == [1] * 21 + [3] * 14 + [4] * 8 + [1] * 3
    deviation = {"window_s": 600, "by": "deviation", "suspect_below": 0.15, "fail_below": 0.05}
    marks = flags(quality(attenuated=deviation).judge("sea-01", block(ph=values)))
    assert (marks[:12], marks[21:27], marks[36:42], marks[-1:]) == ([1] * 12, [3] * 6, [4] * 6, [1])


def test_a_flat_signal_is_not_attenuated_but_flat() -> None:
    assert flags(quality(attenuated=RANGE).judge("sea-01", block(ph=[7] * 30))) == [1] * 30
    both = quality(attenuated=RANGE, flat_suspect_s=600).judge("sea-01", block(ph=[7] * 30))
    assert flags(both) == [1] * 10 + [3] * 20


def test_no_window_spans_a_gap_or_begins_before_the_first_value() -> None:
    judge = quality(attenuated=RANGE)
    values = waves((0.02, 15))
    assert flags(judge.judge("sea-01", block(ph=values))) == [1] * 10 + [4] * 5
    assert flags(judge.judge("sea-01", block(40, ph=values))) == [1] * 10 + [4] * 5  # 25 minutes later
    unsound = [*values[:12], *[None] * 12, *values[:12]]
    assert flags(quality(attenuated=RANGE).judge("sea-01", block(ph=unsound))) == (
        [1] * 10 + [4] * 2 + [9] * 12 + [1] * 10 + [4] * 2
    )


def test_a_spike_of_the_instrument_or_a_value_under_calibration_does_not_hide_an_attenuated_signal() -> None:
    values = waves((0.02, 20))
    values[12], values[14] = 99, 4
    marks = flags(quality(attenuated=RANGE).judge("sea-01", block(ph=values, status={(0, 14): 1})))
    assert marks == [1] * 10 + [4] * 2 + [4, 4, 3] + [4] * 5


def test_a_window_is_remembered_in_sixty_steps_however_many_samples_come() -> None:
    judge = quality(attenuated=RANGE | {"window_s": 60})
    times = [T0 + i * 100 for i in range(3000)]
    assert set(flags(judge.judge("sea-01", block(times=times, ph=waves((0.02, 3000)))))[600:]) == {4}
    ((_, (segment,)),) = judge._segments.items()
    assert [len(window.steps) for window in segment.windows] == [60]


# gaps


def gap(since: int, until: int) -> Gap:
    return Gap(quantity=PH, since=T0 + since * MINUTE, until=T0 + until * MINUTE)


def test_a_gap_is_told_and_flags_nothing() -> None:
    judge = quality(gap_s=180, rate_per_min=0.01, spike_suspect=0.1, flat_suspect_s=60)
    assert judge.judge("sea-01", block(ph=[7])).gaps == ()
    assert judge.judge("sea-01", block(3, ph=[7])).gaps == (), "as long as gap_s is no gap"
    again = judge.judge("sea-01", block(20, ph=[9]))
    assert again.gaps == (gap(3, 20),)
    assert flags(again) == [1]
    minutes = [21, 22, 60, 61, 100]
    inner = judge.judge("sea-01", block(times=[T0 + m * MINUTE for m in minutes], ph=[9.1, 9.2, 5, 5.1, 9]))
    assert inner.gaps == (gap(22, 60), gap(61, 100))
    assert flags(inner)[2] == flags(inner)[4] == 1


def test_a_missing_value_is_no_gap_for_the_sample_came() -> None:
    assert quality(gap_s=90).judge("sea-01", block(ph=[7, None, None, 7])).gaps == ()


def test_a_backlog_leaves_of_a_gap_what_it_does_not_fill() -> None:
    judge = quality(gap_s=120)
    judge.judge("sea-01", block(ph=[7]))
    (told,) = judge.judge("sea-01", block(60, ph=[7])).gaps
    first = [T0 + m * MINUTE for m in range(1, 31)]
    assert remaining(told, first, 120_000) == [gap(30, 60)]
    assert judge.judge("sea-01", block(times=first, ph=[7] * 30)).gaps == (gap(30, 60),)
    last = [T0 + m * MINUTE for m in range(31, 60)]
    assert remaining(gap(30, 60), last, 120_000) == []
    assert judge.judge("sea-01", block(times=last, ph=[7] * 29)).gaps == ()
    assert remaining(told, [T0 + 30 * MINUTE], 120_000) == [gap(0, 30), gap(30, 60)]


def test_a_gap_that_may_have_been_filled_before_a_restart_is_not_told() -> None:
    judge = quality(began=T0 + 30 * MINUTE, gap_s=120)
    assert judge.judge("sea-01", block(ph=[7])).gaps == ()
    assert judge.judge("sea-01", block(40, ph=[7])).gaps == ()
    assert judge.judge("sea-01", block(60, ph=[7])).gaps == (gap(40, 60),)


def test_stretches_are_bounded_and_what_was_before_them_is_not_known() -> None:
    judge = quality(gap_s=120)
    for hour in range(STRETCHES + 5):
        found = judge.judge("sea-01", block(60 * hour, ph=[7])).gaps
        assert found == ((gap(60 * hour - 60, 60 * hour),) if hour else ())
    ((_, series),) = judge._gaps.series.items()
    assert len(series.stretches) == STRETCHES
    assert judge.judge("sea-01", block(30, ph=[7])).gaps == ()
