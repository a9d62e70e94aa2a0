"""Twins, neighbours and dust corrected for humidity: what values say together."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from blocks import MINUTE, T0, block, flags
from frames import box

from collector import points
from collector.quality import Judged, Quality, QualitySettings, Revision
from collector.quality.companions import RECENT
from collector.quality.humidity import Koehler, Linear, corrected
from collector.stores.stack import stack
from edge_agent.contract.device import Box, Position
from edge_agent.contract.quantities import BY_NAME

NUMBER = {name: quantity.number for name, quantity in BY_NAME.items()}
OFF = {"spike_suspect": None, "spike_fail": None, "rate_per_min": None, "flat_suspect_s": None, "flat_fail_s": None}


def quality(fleet: dict[str, Box] | None = None, **more: object) -> Quality:
    """The tests in time are off for dust."""
    own = more.pop("pm2_5", {})
    quantities = {"pm2_5": OFF | own, "pm2_5_b": OFF, "pm10": OFF, "humidity": OFF}
    return Quality(msgspec.convert({"quantities": quantities, **more}, QualitySettings), fleet)


def revision(name: str, minute: int, flag: int) -> Revision:
    return Revision(quantity=NUMBER[name], at=T0 + minute * MINUTE, flag=flag)


# twins

TWIN = {"pm2_5": {"twin": {"absolute": 5, "relative": 0.5}}}


def test_twins_that_disagree_are_both_suspect_the_first_by_a_revision() -> None:
    judge = quality(**TWIN)
    first = judge.judge("air-01", block(pm2_5=[20, 20, 20], pm10=[30, 30, 30]))
    assert flags(first) == [1, 1, 1]
    second = judge.judge("air-01", block(pm2_5_b=[21, 40, 20]))
    assert flags(second) == [1, 3, 1]
    assert second.revisions == (revision("pm2_5", 1, 3),)
    other_way = quality(**TWIN)
    other_way.judge("air-01", block(pm2_5_b=[21, 40, 20]))
    third = other_way.judge("air-01", block(pm2_5=[20, 20, 20]))
    assert (flags(third), third.revisions) == ([1, 3, 1], (revision("pm2_5_b", 1, 3),))
    together = quality(**TWIN).judge("air-01", block(pm2_5_b=[21, 40, 20], pm2_5=[20, 20, 20]))
    assert together.flags.tolist() == [[1, 3, 1], [1, 3, 1]]
    assert together.revisions == ()


@pytest.mark.parametrize(
    ("a", "b", "flag"), [(2, 6.9, 1), (100, 160, 1), (100, 170, 3), (2, 7.1, 3), (7.1, 2, 3), (0, 0, 1), (0, 5.1, 3)]
)
def test_both_the_absolute_and_the_relative_disagreement_must_be_too_large(a: float, b: float, flag: int) -> None:
    judge = quality(**TWIN)
    judge.judge("air-01", block(pm2_5=[a]))
    assert flags(judge.judge("air-01", block(pm2_5_b=[b]))) == [flag]


def test_a_twin_that_is_missing_broken_or_of_another_minute_or_station_says_nothing() -> None:
    judge = quality(**TWIN)
    judge.judge("air-01", block(pm2_5=[20, 20, 20, 20], status={(0, 3): 1}))
    judged = judge.judge("air-01", block(pm2_5_b=[None, 1001, 90, 90], status={(0, 2): 2}))
    assert (flags(judged), judged.revisions) == ([9, 4, 4, 1], ())
    assert flags(judge.judge("air-01", block(4, pm2_5_b=[90]))) == [1]
    assert flags(judge.judge("air-02", block(pm2_5_b=[90]))) == [1]


def test_the_same_minute_counts_and_not_the_same_moment() -> None:
    judge = quality(**TWIN)
    judge.judge("air-01", block(times=[T0 + 59_999, T0 + 60_000], pm2_5=[20, 20]))
    judged = judge.judge("air-01", block(times=[T0], pm2_5_b=[90]))
    assert flags(judged) == [3]
    assert judged.revisions == (Revision(quantity=NUMBER["pm2_5"], at=T0 + 59_999, flag=3),)


def test_a_flag_that_another_test_made_worse_is_not_made_better_by_a_twin() -> None:
    judge = quality(pm2_5={"spike_suspect": 20, "spike_fail": 60, "twin": TWIN["pm2_5"]["twin"]})
    for minute, value in enumerate([20, 100, 20, 20, 50]):
        last = judge.judge("air-01", block(minute, pm2_5=[value]))
        if minute == 2:
            assert last.revisions == (revision("pm2_5", 1, 4),)
    assert judge.judge("air-01", block(1, pm2_5_b=[20])).revisions == (), "it failed already"
    assert judge.judge("air-01", block(4, pm2_5_b=[20])).revisions == (revision("pm2_5", 4, 3),)
    assert judge.judge("air-01", block(5, pm2_5=[20])).revisions == (), "suspect by its twin, now by its next too"


def test_what_is_remembered_of_companions_is_bounded_and_what_came_last_stays() -> None:
    judge = quality(**TWIN)
    for day in range(20):
        judge.judge("air-01", block(day * 1440, pm2_5=[20] * 400))
    judge.judge("air-01", block(-1440, pm2_5=[20] * 400))  # a backlog
    sizes = {key: len(recent.at) for key, recent in judge._companions.recent.items()}
    assert sizes["air-01", NUMBER["pm2_5"]] <= 2 * RECENT
    assert flags(judge.judge("air-01", block(-1440, pm2_5_b=[90]))) == [3]
    assert flags(judge.judge("air-01", block(0, pm2_5_b=[90]))) == [1], "forgotten"


def test_very_many_samples_of_one_minute_do_no_harm() -> None:
    judge = quality(**TWIN)
    times = [T0 + i % 60_000 for i in range(60_000)]
    judge.judge("air-01", block(times=times, pm2_5=[20] * 60_000))
    assert set(flags(judge.judge("air-01", block(times=times, pm2_5_b=[90] * 60_000)))) == {3}


# humidity


def test_growth_by_kappa_koehler_as_crilley_et_al_write_it() -> None:
    humidity = np.array([0, 50, 80, 90, 95])
    growth = 1 + (0.62 / 1.65) / (1 / (humidity[1:] / 100) - 1)
    dry = corrected(Koehler(kappa=0.62, density=1.65), np.full(5, 40.0), humidity)
    np.testing.assert_allclose(dry, [40, *(40 / growth)], rtol=1e-12)
    assert dry[4].round(2) == 4.91  # 40 / (1 + 0.375758 * 19), by hand


def test_linear_coefficients_as_barkjohn_et_al_give_them() -> None:
    formula = Linear(a=0.524, b=-0.0862, c=5.75)
    assert corrected(formula, np.array([40.0]), np.array([70.0])) == pytest.approx(40 * 0.524 - 70 * 0.0862 + 5.75)


@pytest.mark.parametrize("humidity", [95.1, 100, 120, -1, np.nan])
def test_above_the_highest_humidity_there_is_no_value_rather_than_an_invented_one(humidity: float) -> None:
    for formula in (Koehler(kappa=0.4, density=1.65), Linear(a=0.5, b=-0.1, c=5)):
        assert np.isnan(corrected(formula, np.array([40.0]), np.array([humidity])))


KOEHLER = {"humidity_correction": {"air-01": {"formula": "koehler", "kappa": 0.4, "density": 1.65}}}


def dry(raw: float, humidity: float) -> float:
    return round(raw / (1 + 0.4 / 1.65 / (100 / humidity - 1)), 1)


def computed(judged: Judged) -> list[tuple[int, float, int]]:
    """Minute, value, flag."""
    (derived,) = judged.derived
    assert derived.quantity == NUMBER["pm2_5_corrected"]
    minutes = ((derived.at - T0) // MINUTE).tolist()
    return list(zip(minutes, derived.values.tolist(), derived.flags.tolist(), strict=True))


def test_corrected_dust_is_made_when_both_have_come_whichever_comes_first() -> None:
    expected = [(0, dry(40, 80), 1), (1, dry(50, 90), 1)]
    judge = quality(**KOEHLER)
    raw = judge.judge("air-01", block(pm2_5=[40, 50]))
    assert raw.derived == ()
    assert computed(judge.judge("air-01", block(humidity=[80, 90, 85]))) == expected
    other = quality(**KOEHLER)
    assert other.judge("air-01", block(humidity=[80, 90, 85])).derived == ()
    last = other.judge("air-01", block(pm2_5=[40, 50]))
    assert computed(last) == expected
    assert last.values.tolist() == [[40, 50]], "the raw values stay"
    assert computed(quality(**KOEHLER).judge("air-01", block(humidity=[80, 90], pm2_5=[40, 50]))) == expected


def test_where_no_correction_is_configured_there_is_none() -> None:
    judge = quality(**KOEHLER)
    assert judge.judge("air-02", block(humidity=[80], pm2_5=[40])).derived == ()
    assert Quality().judge("air-01", block(humidity=[80], pm2_5=[40])).derived == ()


def test_corrected_dust_has_the_worse_flag_of_its_two_inputs() -> None:
    judge = quality(**KOEHLER)
    judge.judge("air-01", block(humidity=[80, 10, 96, None, 80, 80, 3], status={(0, 5): 2}))
    judged = judge.judge("air-01", block(pm2_5=[600, 40, 40, 40, None, 40, 40]))
    found = computed(judged)
    assert [flag for _, _, flag in found] == [3, 3, 9, 9, 9, 4, 4]
    assert [np.isnan(value) for _, value, _ in found] == [False, False, True, True, True, False, False]


def test_a_corrected_value_that_cannot_be_fails() -> None:
    judge = quality(humidity_correction={"air-01": {"formula": "linear", "a": 0.5, "b": -0.1, "c": 0}})
    assert computed(judge.judge("air-01", block(pm2_5=[2], humidity=[80]))) == [(0, -7, 4)]


def test_of_several_humidities_in_a_minute_the_nearest_counts() -> None:
    judge = quality(**KOEHLER)
    judge.judge("air-01", block(times=[T0 + 30_000], pm2_5=[40]))
    first = judge.judge("air-01", block(times=[T0 + 5_000, T0 + 59_000], humidity=[80, 90]))
    assert computed(first) == [(0, dry(40, 80), 1)]
    assert computed(judge.judge("air-01", block(times=[T0 + 40_000], humidity=[70]))) == [(0, dry(40, 70), 1)]
    assert computed(judge.judge("air-01", block(times=[T0 + 20_000], humidity=[60]))) == [(0, dry(40, 60), 1)]


def test_a_revision_of_an_input_is_a_revision_of_the_corrected_value() -> None:
    judge = quality(pm2_5={"spike_suspect": 20}, **KOEHLER)
    judge.judge("air-01", block(humidity=[80] * 3))
    assert computed(judge.judge("air-01", block(pm2_5=[20, 100]))) == [(0, dry(20, 80), 1), (1, dry(100, 80), 1)]
    last = judge.judge("air-01", block(2, pm2_5=[20]))
    assert last.revisions == (revision("pm2_5", 1, 3),)
    assert computed(last) == [(1, dry(100, 80), 3), (2, dry(20, 80), 1)]


def test_computed_points_and_revisions_are_stored_in_the_stations_measurement() -> None:
    station = box("air-01", medium="air")
    judge = quality(**TWIN, **KOEHLER)
    frames = []
    for part in (block(pm2_5=[20, 60]), block(humidity=[80, 80]), block(pm2_5_b=[20, 20])):
        frames += points.readings(station, part, judge.judge("air-01", part))
    assert {(frame.measurement, frame.tags["station"]) for frame in frames} == {("air", "air-01")}
    stored = stack(frames)
    assert stored.time.tolist() == [T0 * 1000, (T0 + MINUTE) * 1000]
    fields = {name: column.tolist() for name, column in stored.fields.items()}
    assert fields == {
        "pm2_5": [20, 60],
        "pm2_5_flag": [1, 3],
        "humidity": [80, 80],
        "humidity_flag": [1, 1],
        "pm2_5_b": [20, 20],
        "pm2_5_b_flag": [1, 3],
        "pm2_5_corrected": [dry(20, 80), dry(60, 80)],
        "pm2_5_corrected_flag": [1, 3],
    }


# neighbours

AROUND = {"within_km": 3, "within_s": 300, "least": 2, "absolute": 10, "relative": 0.5}
FLEET = {
    box.device: box
    for box in (
        box("air-01", medium="air", position=Position(lat=10.20, lon=104.00)),
        box("air-02", medium="air", position=Position(lat=10.21, lon=104.00)),  # 1.1 km
        box("air-03", medium="air", position=Position(lat=10.20, lon=104.02)),  # 2.2 km
        box("air-04", medium="air", position=Position(lat=10.22, lon=104.01)),  # 2.5 km
        box("air-05", medium="air", position=Position(lat=10.23, lon=104.00)),  # 3.3 km
        box("sea-01", medium="seawater", position=Position(lat=10.20, lon=104.00)),
        box("cam-01", position=Position(lat=10.20, lon=104.00)),
    )
}


def around(**said: list[float | None]) -> Quality:
    """What stations said from minute 0 on, air_02=[...]."""
    judge = quality(FLEET, pm2_5={"neighbours": AROUND})
    for name, values in said.items():
        judge.judge(name.replace("_", "-"), block(pm2_5=values))
    return judge


def own(judge: Quality, value: float, minute: int = 0) -> int:
    (flag,) = flags(judge.judge("air-01", block(minute, pm2_5=[value])))
    return flag


def test_a_value_far_from_its_neighbours_median_is_suspect() -> None:
    assert own(around(air_02=[20], air_03=[22]), 60) == 3
    assert own(around(air_02=[20], air_03=[22]), 0) == 3
    assert own(around(air_02=[20], air_03=[500], air_04=[58]), 60) == 1, "the median is 58"
    assert own(around(air_02=[8], air_03=[8]), 18) == 1, "not by more than the absolute limit"
    assert own(around(air_02=[100], air_03=[100]), 150) == 1, "nor than the relative one"
    assert own(around(air_02=[100], air_03=[100]), 150.1) == 3
    assert own(around(air_02=[20], air_03=[80]), 60) == 1, "the median of two is between them"


def test_without_enough_neighbours_nothing_is_said() -> None:
    assert own(around(), 60) == 1
    assert own(around(air_02=[20]), 60) == 1
    assert own(around(air_02=[20], air_05=[20], sea_01=[20]), 60) == 1, "too far, and another medium"
    assert own(around(air_02=[20], air_03=[None], air_04=[1001]), 60) == 1, "no value, and none that can be"
    assert own(around(air_02=[20], air_03=[20]), 60, minute=6) == 1, "too old"
    assert own(around(air_02=[20], air_03=[20]), 60, minute=-6) == 1, "too young"
    assert own(around(air_02=[20], air_03=[20]), 60, minute=5) == own(around(air_02=[20], air_03=[20]), 60, -5) == 3
    restarted = around()
    assert own(restarted, 60) == 1


def test_of_a_neighbour_the_value_of_the_nearest_minute_counts() -> None:
    judge = around(air_02=[20, 20, 60, 60], air_03=[20, 20, 60, 60])
    assert [own(judge, 60, minute) for minute in range(6)] == [3, 3, 1, 1, 1, 1]
    assert own(judge, 20, 5) == 3
    late = around()
    for station in ("air-02", "air-03"):
        for minute in (-256, 1):
            late.judge(station, block(minute, pm2_5=[20]))
    assert own(late, 60) == 3, "what was said long ago hides nothing"


def test_a_station_may_be_judged_otherwise_or_not_at_all() -> None:
    stations = {"air-01": {"pm2_5": {"neighbours": None}}, "air-02": {"pm2_5": {"neighbours": AROUND | {"least": 3}}}}
    judge = quality(FLEET, pm2_5={"neighbours": AROUND}, stations=stations)
    for station in ("air-03", "air-04"):
        judge.judge(station, block(pm2_5=[20]))
    assert own(judge, 90) == 1
    assert flags(judge.judge("air-02", block(pm2_5=[20]))) == [1]
    assert flags(judge.judge("air-02", block(1, pm2_5=[200]))) == [3], "with air-01 there are three"


def test_a_backlog_does_not_replace_what_neighbours_said_last() -> None:
    judge = around(air_02=[20], air_03=[20])
    for station in ("air-02", "air-03"):
        judge.judge(station, block(-256, pm2_5=[90]))
    assert own(judge, 60) == 3


def test_a_water_station_is_compared_with_its_own_kind() -> None:
    fleet = {f"sea-0{i}": box(f"sea-0{i}", medium="seawater") for i in range(1, 5)} | FLEET
    judge = Quality(
        msgspec.convert({"quantities": {"water_temperature": {"neighbours": AROUND}}}, QualitySettings), fleet
    )
    for station in ("sea-02", "sea-03"):
        judge.judge(station, block(water_temperature=[22]))
    assert flags(judge.judge("sea-04", block(water_temperature=[38]))) == [3]
