"""The Vietnamese air quality index: the official worked examples, the edges of its table, and what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.averages.aqi import (
    BREAKPOINTS,
    CATEGORIES,
    INDEX,
    category,
    daily,
    hourly,
    nowcast,
    rounded,
    sub_index,
)

OFFICIAL_PM = [20.6, 19.6, 22.4, 20.3, 16.5, 19.0, 16.5, 19.5, 23.5, 20.5, 24.7, 26.9]
"""PM2.5 of the Decision's example from 20:00 back to 09:00."""
OFFICIAL_O3 = [
    *(15.7, 14.2, 17.7, 18.9, 19.3, 15.7, 19.7, 22.6, 27.1, 29.0, 31.9, 25.3, 34.7, 35.2, 41.6, 45.7),
    *(49.2, 55.8, 69.6, 78.3, 91.5, 97.7, 81.2, 71.8, 43.5, 34.3, 21.5, 20.5, 19.4, 20.4, 21.3),
]
"""O3 of the Decision's example from 18:00 of the day before to 00:00."""
FALLING = [20, 40, 80, 120, 150, 150, 140, 130, 120, 110, 100, 90]
STEADY = [30.0] * 9
FALLING_WITHOUT_C2 = [20, None, *FALLING[2:]]


def test_t1_nowcast_of_the_official_example() -> None:
    assert min(OFFICIAL_PM) / max(OFFICIAL_PM) == pytest.approx(0.6134, abs=5e-5)
    found = nowcast(OFFICIAL_PM)
    assert found == pytest.approx(20.2658, abs=5e-5)
    assert found is not None
    assert sub_index("pm2_5", found) == pytest.approx(40.5315300144736)
    assert nowcast(OFFICIAL_PM, literal=True) == found, "the text differs only where w is 1/2"


def test_t2_hour_of_the_official_example_with_its_slip() -> None:
    """The text prints 60 for NO2 and for the hour; its own formula gives 59.35."""
    assert sub_index("o3_1h", 136.1) == pytest.approx(42.53125)
    assert sub_index("no2", 118.7) == pytest.approx(59.35)
    assert sub_index("pm2_5", 20.3) == pytest.approx(40.6)
    index = hourly({"o3": 136.1, "no2": 118.7}, {"pm2_5": OFFICIAL_PM})
    assert index is not None
    assert index.sub == {"pm2_5": 41, "o3": 43, "no2": 59}
    assert (index.aqi, index.dominant, index.category.name) == (59, "no2", "moderate")
    assert index.nowcast == {"pm2_5": pytest.approx(20.2658, abs=5e-5)}


def test_t3_day_of_the_official_example() -> None:
    assert sub_index("o3_8h", 89.3) == pytest.approx(44.65)
    assert sub_index("o3_1h", 114.6) == pytest.approx(35.8125)
    index = daily({"pm2_5": 55.7}, {"o3": 114.6, "no2": 130.8}, o3_8h=89.3)
    assert index is not None
    assert index.sub == {"pm2_5": 110, "o3": 45, "no2": 65}, "109.5 is rounded up; of O3 the worse of 36 and 45"
    assert (index.aqi, index.dominant, index.category.name, index.nowcast) == (110, "pm2_5", "poor", {})


def test_t4_falling_pollution_takes_a_half() -> None:
    literal = nowcast(FALLING, literal=True)
    assert literal == pytest.approx(46.5454, abs=5e-5)
    assert sub_index("pm2_5", literal) == pytest.approx(93.0908, abs=5e-5)
    assert nowcast(FALLING) == pytest.approx(46.5568, abs=5e-5)


@pytest.mark.parametrize(
    ("means", "expected", "index"),
    [
        ([35, None, 33, *STEADY], 31.4288, 62.8576),
        ([35, None, None, *STEADY], None, None),
        ([None, 36, 33, *STEADY], 31.637, 63.274),
        ([None, 36, None, *STEADY], None, None),
        ([None, None, 33, *STEADY], None, None),
        ([], None, None),
    ],
)
def test_t5_two_of_the_last_three_hours_must_be_there(
    means: list[float | None], expected: float | None, index: float | None
) -> None:
    for literal in (False, True):
        found = nowcast(means, literal=literal)
        assert found == (None if expected is None else pytest.approx(expected, abs=5e-5))
        if found is not None and index is not None:
            assert sub_index("pm2_5", found) == pytest.approx(index, abs=5e-4)


def test_t5d_the_literal_text_takes_a_missing_hour_for_clean_air() -> None:
    assert nowcast(FALLING_WITHOUT_C2, literal=True) == pytest.approx(36.5454, abs=5e-5)
    assert nowcast(FALLING_WITHOUT_C2) == pytest.approx(48.7431, abs=5e-5)


def test_t6_constant_and_perfectly_clean_air() -> None:
    assert nowcast([25.0] * 12) == 25.0
    assert sub_index("pm2_5", 25.0) == 50.0
    assert nowcast([0.0] * 12) == nowcast([0.0] * 12, literal=True) == 0.0


def test_t7_a_clean_hour() -> None:
    index = hourly({"o3": 74, "no2": 15, "so2": 9, "co": 850}, {"pm2_5": [12.0] * 12, "pm10": [28.0] * 12})
    assert index is not None
    assert index.sub == {"pm2_5": 24, "pm10": 28, "o3": 23, "no2": 8, "so2": 4, "co": 4}
    assert (index.aqi, index.dominant, index.category.vi, index.category.colour) == (28, "pm10", "Tốt", "#00E400")


@pytest.mark.parametrize(
    ("column", "mean", "exact", "index"),
    [
        ("pm2_5", 25, 50.0, 50), ("pm2_5", 50, 100.0, 100), ("pm2_5", 80, 150.0, 150), ("pm2_5", 150, 200.0, 200),
        ("pm2_5", 499.9, 499.9333, 500), ("pm2_5", 500, 500.0, 500), ("pm2_5", 900, 500.0, 500),
        ("pm10", 420, 300.0, 300), ("pm10", 600, 500.0, 500), ("o3_8h", 400, 300.0, 300), ("o3_1h", 1200, 500.0, 500),
        ("co", 30_000, 100.0, 100), ("so2", 2630, 500.0, 500), ("no2", 3850, 500.0, 500), ("pm2_5", 0, 0.0, 0),
    ],
)  # fmt: skip
def test_t8_edges_of_the_table(column: str, mean: float, exact: float, index: int) -> None:
    found = sub_index(column, mean)
    assert found == pytest.approx(exact, abs=5e-5)
    assert found is not None
    assert rounded(found) == index


def test_t8_the_8_h_mean_of_ozone_is_not_used_above_400() -> None:
    assert sub_index("o3_8h", 400.1) is None
    index = daily({"pm10": 10.0}, {"o3": 160.0}, o3_8h=400.1)
    assert index is not None
    assert index.sub["o3"] == 50, "the largest hour alone counts then"
    alone = daily({"pm10": 10.0}, {"o3": None}, o3_8h=400.1)
    assert alone is not None
    assert "o3" not in alone.sub


def test_t9_running_8_h_means_of_the_official_series() -> None:
    running = [sum(OFFICIAL_O3[i : i + 8]) / 8 for i in range(24)]
    assert len(OFFICIAL_O3) == 31
    assert (running[0], max(running), running.index(max(running))) == (
        pytest.approx(17.975), pytest.approx(74.3875), 16,
    )  # fmt: skip


def test_without_dust_there_is_no_index() -> None:
    assert hourly({"o3": 74, "no2": 15}, {}) is None
    assert hourly({"o3": 74}, {"pm10": [5, None, None, *STEADY]}) is None
    assert daily({"pm10": None, "pm2_5": None}, {"o3": 74.0}) is None
    assert hourly({"o3": None, "no2": None}, {"pm10": [28.0] * 12}) is not None


def test_below_zero_is_no_concentration() -> None:
    assert sub_index("so2", -0.1) is None
    index = hourly({"so2": -0.1}, {"pm10": [28.0] * 12})
    assert index is not None
    assert index.sub == {"pm10": 28}


def test_every_index_has_its_category() -> None:
    edges = [
        (0, "good"), (50, "good"), (51, "moderate"), (100, "moderate"), (101, "poor"), (150, "poor"), (151, "bad"),
        (200, "bad"), (201, "very_bad"), (300, "very_bad"), (301, "hazardous"), (500, "hazardous"),
    ]  # fmt: skip
    assert [(aqi, category(aqi).name) for aqi, _ in edges] == edges
    assert [c.colour for c in CATEGORIES] == ["#00E400", "#FFFF00", "#FF7E00", "#FF0000", "#8F3F97", "#7E0023"]
    assert [c.vi for c in CATEGORIES] == ["Tốt", "Trung bình", "Kém", "Xấu", "Rất xấu", "Nguy hại"]


@given(st.sampled_from(sorted(BREAKPOINTS)), st.floats(0, 200_000), st.floats(0, 200_000))
def test_more_of_it_is_never_a_lower_index(column: str, one: float, other: float) -> None:
    low, high = sub_index(column, min(one, other)), sub_index(column, max(one, other))
    if low is not None and high is not None:
        assert 0 <= low <= high <= INDEX[-1]


hours = st.lists(st.none() | st.floats(0, 1000), min_size=12, max_size=12)


@given(hours)
def test_nowcast_lies_between_the_hours_that_are_there(means: list[float | None]) -> None:
    found = nowcast(means)
    there = [mean for mean in means if mean is not None]
    if found is not None:
        assert min(there) - 1e-9 <= found <= max(there) + 1e-9


@given(st.lists(st.floats(1, 1000), min_size=12, max_size=12))
def test_with_all_hours_both_forms_agree_within_three_in_ten_thousand(means: list[float]) -> None:
    assert nowcast(means, literal=True) == pytest.approx(nowcast(means), rel=3e-4)
