"""When a sensor is due: pure arithmetic, no waiting."""

from __future__ import annotations

import pytest
from transcripts import sensor

from edge_agent.station.poll import Polled


def polled(at: int, **options: object) -> Polled:
    return Polled("a", sensor(driver="sds011", **options), at)


def test_polls_are_due_on_whole_multiples() -> None:
    table = polled(1_000_500, every_s=60)
    assert table.due == 1_020_000
    assert table.begin(1_020_003) == (1_020_000, 0)
    assert table.due == 1_080_000


def test_missed_polls_are_counted_and_the_last_one_is_made() -> None:
    table = polled(0, every_s=10)
    assert table.begin(39_999) == (30_000, 2)
    assert table.due == 40_000


def test_a_sleeping_sensor_is_woken_early_and_its_time_is_when_it_is_due() -> None:
    table = polled(1_000_500, every_s=60, warm_up_s=30, sleep=True)
    assert table.due == 1_080_000  # there was no time left to wake it for the one at 1,020,000
    assert table.begins == 1_050_000
    assert table.begin(1_050_001) == (1_080_000, 0)


@pytest.mark.parametrize(("now", "due"), [(59_999, 60_000), (-1_000, 60_000), (-1_001, 0), (-500_000, -480_000)])
def test_the_timetable_begins_anew_when_the_clock_is_set_back(now: int, due: int) -> None:
    table = polled(0, every_s=60)
    table.clock_looked_at(now)
    assert table.due == due
