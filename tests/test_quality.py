"""Quality flags: each test by itself, and that packs, gaps and backlogs do not change them."""

import math
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest

from collector.quality import Judged, Quality, QualitySettings
from collector.quality.defaults import DEFAULTS
from collector.quality.limits import Limits
from collector.quality.settings import CORRECTED
from collector.quality.stream import SETS
from edge_agent.contract.packs import Block
from edge_agent.contract.quantities import BY_NAME
from edge_agent.contract.strict import build
from edge_agent.contract.yaml_nodes import read_yaml

ROOT = Path(__file__).parent.parent


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A collector's file with nothing but this key."""

    quality: QualitySettings


T0 = 1_780_000_000_000
MINUTE = 60_000
PH = BY_NAME["ph"]


def block(
    values: list[float | None], first: int = 0, name: str = "ph", times: list[int] | None = None, **more
) -> Block:
    """One quantity, a sample a minute from minute `first` on."""
    quantity = BY_NAME[name]
    at = times or [T0 + (first + i) * MINUTE for i in range(len(values))]
    ticks = [None if value is None else quantity.ticks(value) for value in values]
    return Block(quantities=(quantity.number,), at=at, columns=[ticks], status=more.get("status", {}))


def flags(judged: Judged) -> list[int]:
    return judged.flags[0].tolist()


def quality(**limits: float) -> Quality:
    """pH with only these limits."""
    off = {name: None for name in Limits.__struct_fields__ if name != "flat_tolerance"}
    return Quality(QualitySettings(quantities={"ph": Limits(**{**off, **limits})}))


def test_gross_range_by_registry_and_settings():
    judged = quality(suspect_low=6, suspect_high=9).judge(
        "sea-01", block([7, 5.999, 6, 9.001, 14, 14.001, -0.001, None])
    )
    assert flags(judged) == [1, 3, 1, 3, 3, 4, 4, 9]
    assert judged.values[0, :7].tolist() == [7, 5.999, 6, 9.001, 14, 14.001, -0.001]
    assert math.isnan(judged.values[0, 7])


def test_instrument_status_keeps_the_value_and_worsens_the_flag():
    judged = quality().judge(
        "sea-01", block([7, 7.1, None, 7.2, 99], status={(0, 0): 1, (0, 1): 2, (0, 2): 2, (0, 3): 77, (0, 4): 1})
    )
    assert flags(judged) == [3, 4, 9, 3, 4]
    assert judged.values[0, 1] == 7.1


def test_spike_in_one_block_flags_the_spike_alone():
    judged = quality(spike_suspect=0.5, spike_fail=2, rate_per_min=0.5).judge(
        "sea-01", block([7, 7.1, 8, 7.1, 7, 7.1, 3, 7.2, 7.2])
    )
    assert flags(judged) == [1, 1, 3, 1, 1, 1, 4, 1, 1]


def test_a_step_or_a_climb_is_no_spike():
    assert flags(quality(spike_suspect=0.5).judge("sea-01", block([7, 7, 9, 9, 10, 11, 11]))) == [1] * 7


def test_spike_is_revised_when_its_neighbour_comes():
    judge = quality(spike_suspect=0.5, spike_fail=2)
    seen = [judge.judge("sea-01", block([value], first=i)) for i, value in enumerate([7, 7, 9.5, 7.1, 7.1])]
    assert [flags(judged) for judged in seen] == [[1]] * 5
    revisions = [revision for judged in seen for revision in judged.revisions]
    assert [(r.quantity, r.at, r.flag) for r in revisions] == [(PH.number, T0 + 2 * MINUTE, 4)]
    assert seen[3].revisions  # it came with the sample behind the spike


def test_revision_never_improves_a_flag():
    judge = quality(suspect_high=9, spike_suspect=0.5)
    first = judge.judge("sea-01", block([7, 9.5]))
    assert flags(first) == [1, 3]
    assert judge.judge("sea-01", block([7], first=2)).revisions == ()


def test_rate_of_change_counts_time_and_looks_past_a_spike():
    judge = quality(rate_per_min=0.5, spike_suspect=1)
    assert flags(judge.judge("sea-01", block([7, 7.4, 8, 8.4]))) == [1, 1, 3, 1]
    times = [T0 + minute * MINUTE for minute in (100, 102, 104)]
    assert flags(judge.judge("sea-01", block([7, 7.9, 9.1], times=times))) == [1, 1, 3]
    past = judge.judge("sea-01", block([7, 9, 7.4, 7.4], first=200))
    assert flags(past) == [1, 3, 1, 1]
    two = judge.judge("sea-01", block([7, 9.5, 7, 10, 8.5], first=300))
    assert flags(two) == [1, 3, 3, 3, 1]  # nothing to measure the last by


def test_flat_line_by_duration():
    judge = quality(flat_suspect_s=180, flat_fail_s=360)
    assert flags(judge.judge("sea-01", block([7] * 8 + [7.001, 7.001]))) == [1, 1, 1, 3, 3, 3, 4, 4, 1, 1]


def test_a_slow_drift_within_the_tolerance_of_each_step_is_not_flat():
    drift = [7 + i * 0.01 for i in range(20)]
    judge = quality(flat_suspect_s=300, flat_tolerance=0.02)
    assert flags(judge.judge("sea-01", block(drift))) == [1] * 20
    assert 3 in flags(judge.judge("sea-01", block([7 + i % 3 * 0.01 for i in range(20)], first=100)))


def test_a_gap_parts_neighbours():
    judge = quality(rate_per_min=0.1, spike_suspect=0.5, flat_suspect_s=600)
    gap = [T0, T0 + MINUTE, T0 + 20 * MINUTE, T0 + 21 * MINUTE]
    assert flags(judge.judge("sea-01", block([7, 7, 9, 9], times=gap))) == [1] * 4
    assert flags(judge.judge("sea-01", block([5], first=60))) == [1]


def test_unsound_points_are_no_neighbours():
    judge = quality(rate_per_min=0.5, spike_suspect=0.5, flat_suspect_s=1e6)
    values = [7, 99, 7.1, None, 7.2, 4, 4, 7.1]
    judged = judge.judge("sea-01", block(values, status={(0, 5): 1, (0, 6): 1}))
    assert flags(judged) == [1, 4, 1, 9, 1, 3, 3, 1]


def test_backlog_behind_fresh_samples_continues_where_it_left_off():
    judge = quality(rate_per_min=0.2, spike_suspect=1)
    judge.judge("sea-01", block([7, 7.1]))
    assert flags(judge.judge("sea-01", block([9, 9.1], first=8))) == [3, 1]  # fresh, behind a hole of six minutes
    assert flags(judge.judge("sea-01", block([7.6, 7.7, 7.8], first=2))) == [3, 1, 1]  # the hole: follows 7.1, not 9.1
    assert flags(judge.judge("sea-01", block([9.2], first=10))) == [1]  # fresh goes on behind 9.1
    assert flags(judge.judge("sea-01", block([7.9, 8.0], first=5))) == [1, 1]  # and the backlog behind 7.8


def test_samples_out_of_order_in_a_block_get_the_flags_of_their_time():
    judge = quality(spike_suspect=0.5)
    times = [T0 + minute * MINUTE for minute in (3, 0, 1, 2)]
    assert flags(judge.judge("sea-01", block([7, 7, 9, 7], times=times))) == [1, 1, 3, 1]


def test_two_samples_of_one_time_are_not_compared():
    assert flags(quality(rate_per_min=0.1).judge("sea-01", block([7, 9], times=[T0, T0]))) == [1, 1]


def test_open_segments_are_bounded_and_the_oldest_goes_first():
    judge = Quality(QualitySettings(open_segments=3, quantities={"ph": Limits(rate_per_min=0.1)}))
    for hour in range(10):
        judge.judge("sea-01", block([7], first=hour * 60))
    assert [len(segments) for _, segments in judge._segments.items()] == [3]
    assert flags(judge.judge("sea-01", block([9], first=7 * 60 + 1))) == [3]
    assert flags(judge.judge("sea-01", block([9], first=5 * 60 + 1))) == [1]


def test_a_box_that_sends_ever_other_sets_of_quantities_does_not_fill_the_memory():
    judge = Quality()
    for i in range(1 << 7):
        quantities = (PH.number, *(40 + bit for bit in (2, 3, 4, 5, 6, 7, 8) if i >> bit - 2 & 1))
        part = Block(quantities=quantities, at=[T0 + i], columns=[[7000]] * len(quantities), status={})
        judge.judge("sea-01", part)
    assert len(judge._plans) == len(list(judge._segments.items())) == SETS
    judge.undo()
    assert list(judge._segments.items()) == []


def test_undo_judges_a_redelivered_block_as_if_new():
    judge = quality(rate_per_min=0.1, spike_suspect=0.5)
    judge.judge("sea-01", block([7]))
    judge.keep()
    once = [judge.judge("sea-01", block([value], first=i + 1)) for i, value in enumerate([9, 7])]
    judge.undo()
    again = [judge.judge("sea-01", block([value], first=i + 1)) for i, value in enumerate([9, 7])]
    assert [flags(j) for j in again] == [flags(j) for j in once] == [[3], [1]]
    assert again[1].revisions == once[1].revisions


def test_boxes_do_not_share_what_they_remember():
    judge = quality(rate_per_min=0.1)
    judge.judge("sea-01", block([7]))
    assert flags(judge.judge("sea-02", block([9], first=1))) == [1]


@pytest.mark.parametrize("seed", range(20))
def test_flags_do_not_depend_on_how_samples_are_cut_into_packs(seed: int):
    """The same three quantities with spikes, steps, holes and silences: whole, by one, and in random cuts."""
    chance = random.Random(seed)
    quantities = tuple(BY_NAME[name].number for name in ("ph", "orp", "turbidity"))
    at, columns = [], [[], [], []]
    t, level = T0, [7000, 1000, 500]
    status = {}
    for row in range(150):
        t += chance.choice([MINUTE] * 12 + [3 * MINUTE, 15 * MINUTE])
        at.append(t)
        for i in range(3):
            level[i] += chance.choice([0, 0, 0, 1, -1, 300, -300])
            jump = chance.choice([0] * 15 + [900, 5000, -1500, 10**6])
            columns[i].append(None if chance.random() < 0.04 else level[i] + jump)
            if chance.random() < 0.03:
                status[i, row] = chance.choice([1, 2])

    def final(cuts: list[int]) -> np.ndarray:
        settings = QualitySettings(quantities={"orp": Limits(flat_suspect_s=240, flat_fail_s=480, flat_tolerance=0.2)})
        judge, found = Quality(settings), {}
        for first, last in zip([0, *cuts], [*cuts, len(at)], strict=True):
            part = Block(
                quantities=quantities,
                at=at[first:last],
                columns=[column[first:last] for column in columns],
                status={(i, row - first): code for (i, row), code in status.items() if first <= row < last},
            )
            judged = judge.judge("sea-01", part)
            found |= {
                (q, t): f
                for q, row in zip(quantities, judged.flags, strict=True)
                for t, f in zip(part.at, row, strict=True)
            }
            for revision in judged.revisions:
                assert found[revision.quantity, revision.at] < revision.flag
                found[revision.quantity, revision.at] = revision.flag
        return np.array([[found[q, t] for t in at] for q in quantities])

    whole = final([])
    assert {1, 3, 4, 9} <= set(whole.ravel().tolist())
    np.testing.assert_array_equal(final(list(range(1, len(at)))), whole)
    for _ in range(5):
        np.testing.assert_array_equal(final(sorted(chance.sample(range(1, len(at)), 12))), whole)


def test_settings_override_by_key_and_by_station():
    settings = msgspec.convert(
        {"quantities": {"ph": {"spike_fail": None}}, "stations": {"sea-02": {"ph": {"suspect_high": 8.5}}}},
        QualitySettings,
    )
    assert settings.limits("sea-01", "ph").spike_fail is None
    assert settings.limits("sea-01", "ph").suspect_high == DEFAULTS["ph"].suspect_high
    assert settings.limits("sea-02", "ph").suspect_high == 8.5
    assert settings.limits("sea-02", "ph").spike_fail is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantities": {"ph": {"spike": 1}}},
        {"quantities": {"ph": {"rate_per_min": 0}}},
        {"open_segments": 1},
        {"quantities": {"ph": {"climatology": {"13": [1, 2]}}}},
        {"quantities": {"ph": {"climatology": {"1": [1, 2, 3]}}}},
        {"quantities": {"ph": {"attenuated": {"window_s": 600}}}},
        {"quantities": {"ph": {"attenuated": {"window_s": 600, "suspect_below": 1, "fail_below": 2}}}},
        {"quantities": {"ph": {"neighbours": {"within_km": 5, "least": 1, "absolute": 1, "relative": 1}}}},
        {"quantities": {"pm2_5": {"twin": {"absolute": 5}}}},
        {"humidity_correction": {"air-01": {"kappa": 0.4, "density": 1.65}}},
        {"humidity_correction": {"air-01": {"formula": "koehler", "kappa": 0.4}}},
        {"humidity_correction": {"air-01": {"formula": "linear", "a": 1, "b": 0, "c": 0, "humidity_at_most": 100}}},
    ],
)
def test_wrong_settings_are_refused(wrong: dict):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, QualitySettings)


@pytest.mark.parametrize(
    ("wrong", "path", "says"),
    [
        ({"quantities": {"pm25": {}}}, ("quantities", "pm25"), "not a quantity"),
        ({"stations": {"sea-01": {"pm25": {}}}}, ("stations", "sea-01", "pm25"), "not a quantity"),
        ({"stations": {"sea-1": {}}}, ("stations", "sea-1"), "no station 'sea-1'"),
        ({"quantities": {"ph": {"flat_suspect_s": 9, "flat_fail_s": 3}}}, ("quantities", "ph"), "is above flat_fail_s"),
        (
            {"stations": {"sea-01": {"ph": {"suspect_high": 2}}}},
            ("stations", "sea-01", "ph"),
            "suspect_low (4) is above",
        ),
        ({"quantities": {"ph": {"climatology": {"1": [7, 6]}}}}, ("quantities", "ph"), "month 1: 7 is above 6"),
        (
            {"quantities": {"ph": {"climatology": {"11-2": [6, 7], "1-3": [6, 7]}}}},
            ("quantities", "ph"),
            "names month 1 twice",
        ),
        ({"quantities": {"pm2_5_corrected": {}}}, ("quantities", "pm2_5_corrected"), "is computed"),
        ({"quantities": {"pm10_b": {"twin": {"absolute": 1, "relative": 1}}}}, ("quantities", "pm10_b"), "the first"),
        ({"quantities": {"ph": {"twin": {"absolute": 1, "relative": 1}}}}, ("quantities", "ph"), "ph has no twin"),
        (
            {"humidity_correction": {"air-1": {"formula": "linear", "a": 1, "b": 0, "c": 0}}},
            ("humidity_correction", "air-1"),
            "no station 'air-1'",
        ),
    ],
)
def test_settings_without_effect_are_named(wrong: dict, path: tuple[str, ...], says: str):
    ((found, message, cure),) = msgspec.convert(wrong, QualitySettings).mistakes(["sea-01"])
    assert found == path
    assert says in message
    assert cure


def test_the_collectors_file_and_the_example_in_it_have_no_mistake(tmp_path: Path):
    text = (ROOT / "firmware_configs" / "collector.yaml").read_text()
    quality = text[text.index("\nquality:") :].split("\n\n")[0]
    (file := tmp_path / "collector.yaml").write_text(quality.replace("\n  # ", "\n  "))
    node, mistakes = read_yaml(file)
    settings, more = build(node, Example)
    assert (mistakes, more) == ([], [])
    stations = ["air-03", "sea-01", "sea-02", *(f"water-{i:02}" for i in range(1, 5))]
    assert not list(settings.quality.mistakes(stations))
    assert settings.quality.limits("air-01", "pm2_5").neighbours.least == 3
    assert settings.quality.humidity_correction["air-03"].kappa == 0.4


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("quantities: {ph: {climatology: {13: [1, 2]}}}", "quality.quantities.ph.climatology.13", "a month such as 4"),
        ("quantities: {ph: {climatology: {1: [1]}}}", "quality.quantities.ph.climatology.1", "a list of 2"),
        ("quantities: {pm10: {twin: {absolute: 5}}}", "quality.quantities.pm10.twin", "missing key 'relative'"),
        (
            "quantities: {ph: {attenuated: {window_s: 600, suspect_below: 1, fail_below: 2}}}",
            "quality.quantities.ph.attenuated.fail_below",
            "(2) is above suspect_below (1)",
        ),
        (
            "humidity_correction: {air-01: {formula: kohler, kappa: 1, density: 1}}",
            "quality.humidity_correction.air-01.formula",
            "unknown formula 'kohler'",
        ),
        (
            "humidity_correction: {air-01: {kappa: 1, density: 1}}",
            "quality.humidity_correction.air-01",
            "koehler, linear",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(text: str, place: str, says: str, tmp_path: Path):
    (file := tmp_path / "collector.yaml").write_text(f"quality:\n  {text}\n")
    node, _ = read_yaml(file)
    _, (mistake,) = build(node, Example)
    assert mistake.line == 2
    assert str(mistake).startswith(f"{file}:2:")
    assert place in str(mistake)
    assert says in f"{mistake} {mistake.hint}"


def test_no_default_is_a_mistake():
    assert not list(
        QualitySettings(quantities={name: Limits() for name in DEFAULTS if name != CORRECTED}).mistakes(["sea-01"])
    )


def test_every_default_lies_within_the_registry():
    for name, limits in DEFAULTS.items():
        low, high = BY_NAME[name].low, BY_NAME[name].high
        assert limits.suspect_low is None or low <= limits.suspect_low < high, name
        assert limits.suspect_high is None or low < limits.suspect_high <= high, name
    assert set(DEFAULTS) == set(BY_NAME)
