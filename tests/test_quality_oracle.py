"""The quality tests beside those of ioos_qc, on the same series; every difference has a name and is counted.

Both follow IOOS QARTOD. Where a name below does not apply, every flag must be the same. ioos_qc answers 2 (not
evaluated) where ours answers 1: one flag stands for all tests of a value, and its gross range was evaluated.
"""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable

import msgspec
import numpy as np
from blocks import MINUTE, T0, block
from numpy.typing import NDArray

from collector.local_time import LOCAL_MS
from collector.quality import Quality, QualitySettings
from collector.quality.limits import Limits

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ioos_qc import qartod

MAX_GAP_S = 660
Array = NDArray[np.float64]


class Series:
    """One series of pH, and what is to be known of it to explain a difference."""

    def __init__(self, at: list[int], given: list[float | None]) -> None:
        self.at, self.given = np.array(at, np.int64), given
        self.missing = np.array([value is None for value in given])

    @property
    def seconds(self) -> NDArray[np.datetime64]:
        return (self.at // 1000).astype("datetime64[s]").astype("datetime64[ns]")

    def judged(self, **limits: object) -> tuple[list[int], Array]:
        """Our flags with only these limits, and the values that were judged."""
        off = dict.fromkeys(Limits.__struct_fields__) | {"flat_tolerance": 0} | limits
        settings = msgspec.convert({"max_gap_s": MAX_GAP_S, "quantities": {"ph": off}}, QualitySettings)
        judged = Quality(settings).judge("sea-01", block(times=self.at.tolist(), ph=self.given))
        return judged.flags[0].tolist(), judged.values[0]

    def behind_a_gap(self, i: int) -> bool:
        """Whether the sample before is too old to be a neighbour."""
        return i > 0 and bool(self.at[i] - self.at[i - 1] > MAX_GAP_S * 1000)

    def gap_within(self, i: int, seconds: float) -> bool:
        """Whether a gap ends after the window of so many seconds before sample i began."""
        return any(self.behind_a_gap(k) for k in range(1, i + 1) if self.at[k] > self.at[i] - seconds * 1000)

    def missing_within(self, i: int, samples: int) -> bool:
        return bool(self.missing[max(0, i - samples) : i + 1].any())


STEPS = (0, 0, 0.011, -0.013, 0.3, -0.37)


def drawn(
    seed: int, *, moves: tuple[float, ...] = STEPS, holes: float = 0.03, spikes: float = 0.05, missing: float = 0.03
) -> Series:
    """A walk a minute apart, with spikes, missing values, and holes of 5, 12 and 40 minutes over which it may jump."""
    chance, at, given, level, now = random.Random(seed), list[int](), list[float | None](), 7.0, T0
    for _ in range(400):
        hole = chance.random() < holes
        now += MINUTE * (chance.choice((5, 12, 40)) if hole else 1)
        level = min(max(level + chance.choice((0, 3, -3) if hole else moves), 3), 11)
        spike = chance.choice((1.113, -2.117, 3)) if chance.random() < spikes else 0
        at.append(now)
        given.append(None if chance.random() < missing else round(level + spike, 3))
    return Series(at, given)


def differences(ours: list[int], theirs: object, explain: Callable[[int, int, int], str]) -> Counter[str]:
    """The differences by name; `explain` is given index, our flag and theirs, and must not answer with nothing."""
    found: Counter[str] = Counter()
    for i, (own, other) in enumerate(zip(ours, np.ma.filled(theirs, 2).tolist(), strict=True)):
        if own != other:
            name = explain(i, own, other)
            assert name, f"sample {i}: ours {own}, theirs {other}"
            found[name] += 1
    return found


def unexplained(_i: int, _own: int, _other: int) -> str:
    return ""


def total(counts: list[Counter[str]]) -> dict[str, int]:
    return dict(sum(counts, Counter()))


def test_gross_range() -> None:
    edges: list[float | None] = [0, -0.001, 14, 14.001, 6, 5.999, 9, 9.001, None, 7, 100]
    hand = Series([T0 + i * MINUTE for i in range(len(edges))], edges)
    seen = set()
    for series in (hand, *(drawn(seed, moves=(0, 2, -2, 5, -5)) for seed in range(20))):
        ours, values = series.judged(suspect_low=6, suspect_high=9)
        assert differences(ours, qartod.gross_range_test(values, (0, 14), (6, 9)), unexplained) == {}
        seen |= set(ours)
    assert seen == {1, 3, 4, 9}


def test_climatology() -> None:
    spans = {11: (6, 7), 12: (6, 7), 1: (6, 7), 2: (6, 7), 6: (7, 8)}
    config = [{"tspan": (month, month), "vspan": span, "period": "month"} for month, span in spans.items()]
    counts = []
    for seed in range(10):
        chance = random.Random(seed)
        times = sorted(T0 + chance.randrange(800 * 86_400) * 1000 for _ in range(400))
        series = Series(times, [None if chance.random() < 0.03 else round(chance.uniform(5, 9), 3) for _ in times])
        ours, values = series.judged(climatology={"11-2": [6, 7], "6": [7, 8]})
        local = (series.at + LOCAL_MS).astype("datetime64[ms]")
        theirs = qartod.climatology_test(config, values, local.astype("datetime64[ns]"), np.full(len(values), np.nan))
        months = local.astype("datetime64[M]").astype(int) % 12 + 1

        def explain(i: int, own: int, other: int, months: Array = months) -> str:
            if (own, other) == (9, 1):
                return "missing: theirs lets it pass"
            return "month that is not named" if months[i] not in spans and (own, other) == (1, 2) else ""

        counts.append(differences(ours, theirs, explain))
        assert {1, 3, 9} <= set(ours)
    assert total(counts) == {"month that is not named": 2276, "missing: theirs lets it pass": 111}


def test_spike() -> None:
    counts = []
    for seed in range(20):
        series = drawn(seed)
        ours, values = series.judged(spike_suspect=0.35, spike_fail=1.5)
        theirs = qartod.spike_test(values, 0.35, 1.5, method="differential")

        def explain(i: int, own: int, other: int, series: Series = series) -> str:
            if (own, other) == (1, 2) and i in (0, len(series.at) - 1):
                return "first and last"
            if other == 2 and series.missing_within(i + 1, 2):
                return "beside a missing value: ours looks past it"
            at_a_gap = series.behind_a_gap(i) or series.behind_a_gap(i + 1)
            return "over a gap: ours compares nothing" if at_a_gap and own == 1 else ""

        counts.append(differences(ours, theirs, explain))
        assert {1, 3, 4, 9} <= set(ours)
    assert total(counts) == {
        "first and last": 39,
        "beside a missing value: ours looks past it": 418,
        "over a gap: ours compares nothing": 35,
    }


def test_rate_of_change() -> None:
    counts = []
    for seed in range(20):
        series = drawn(seed)
        for spikes in ({}, {"spike_suspect": 0.4}):
            ours, values = series.judged(rate_per_min=0.2, **spikes)
            theirs = qartod.rate_of_change_test(values, series.seconds, 0.2 / 60)
            if spikes:
                spiked, _ = series.judged(**spikes)
                ours = [1 if own == 3 and mark == 3 else own for own, mark in zip(ours, spiked, strict=True)]
            else:
                spiked = [1] * len(ours)

            def explain(i: int, own: int, other: int, series: Series = series, spiked: list[int] = spiked) -> str:
                if series.behind_a_gap(i):
                    return "over a gap: ours compares nothing" if own == 1 else ""
                if series.missing[i - 1]:
                    return "behind a missing value: ours looks past it"
                if spiked[i] == 3:
                    return "a spike, whatever its rate"
                return "behind a spike: ours looks past it" if spiked[i - 1] == 3 else ""

            counts.append(differences(ours, theirs, explain))
            assert {1, 3, 9} <= set(ours)
    assert total(counts) == {
        "a spike, whatever its rate": 344,
        "behind a spike: ours looks past it": 308,
        "behind a missing value: ours looks past it": 44,
        "over a gap: ours compares nothing": 94,
    }


def test_flat_line() -> None:
    counts = []
    for seed in range(20):
        series = drawn(seed, moves=(0,) * 12 + (0.01, -0.02), holes=0.01)
        ours, values = series.judged(flat_suspect_s=300, flat_fail_s=600)
        theirs = qartod.flat_line_test(values, series.seconds, 300, 600, tolerance=0.0005)

        def explain(i: int, own: int, other: int, series: Series = series) -> str:
            if series.gap_within(i, 600) or any(np.diff(series.at[max(0, i - 10) : i + 1]) > MINUTE):
                return "over a hole: theirs counts samples, ours time"
            return "missing values: theirs counts them" if series.missing_within(i, 10) else ""

        counts.append(differences(ours, theirs, explain))
        assert {1, 3, 4, 9} <= set(ours)
    assert total(counts) == {
        "over a hole: theirs counts samples, ours time": 79,
        "missing values: theirs counts them": 37,
    }


def attenuating(seed: int, missing: float = 0) -> Series:
    return drawn(seed, moves=(0,) * 70 + (0.011, -0.013, 0.4, -0.4), holes=0.004, spikes=0, missing=missing)


def test_attenuated_signal() -> None:
    counts, same = [], Counter[int]()
    for by, kind, suspect, fail in (("range", "range", 0.3, 0.012), ("deviation", "std", 0.15, 0.005)):
        for seed in range(20):
            series = attenuating(seed, missing=0.004)
            limits = {"window_s": 3600, "by": by, "suspect_below": suspect, "fail_below": fail}
            ours, values = series.judged(attenuated=limits)
            theirs = qartod.attenuated_signal_test(
                values, series.seconds, suspect, fail, test_period=3600, check_type=kind
            )

            def explain(i: int, own: int, other: int, series: Series = series, values: Array = values) -> str:
                window = (series.at > series.at[i] - 3_600_000) & (series.at <= series.at[i])
                if own == 1 and (series.at[i] - series.at[0] < 3_600_000 or series.gap_within(i, 3600)):
                    return "window that is not whole: theirs judges what there is"
                if own == 1 and len(np.unique(values[window & ~series.missing])) == 1:
                    return "exactly flat: ours leaves it to the flat line"
                if other == 2 and series.missing[window].any():
                    return "missing value in the window: theirs knows no range"
                return ""

            counts.append(differences(ours, theirs, explain))
            same.update(own for own, other in zip(ours, theirs.tolist(), strict=True) if own == other)
    assert {1, 3, 4, 9} <= set(same)
    assert min(same[3], same[4]) > 400
    assert total(counts) == {
        "window that is not whole: theirs judges what there is": 1825,
        "exactly flat: ours leaves it to the flat line": 770,
        "missing value in the window: theirs knows no range": 1284,
    }


def test_attenuated_signal_with_a_window_whose_sixtieth_is_no_whole_pace_lies_between_its_two_lengths() -> None:
    seen = set()
    for seed in range(20):
        series = attenuating(seed)
        ours, values = series.judged(attenuated={"window_s": 6000, "suspect_below": 0.3, "fail_below": 0.012})
        whole, shorter = (
            qartod.attenuated_signal_test(values, series.seconds, 0.3, 0.012, test_period=period, check_type="range")
            for period in (6000, 5900)
        )
        for i, own in enumerate(ours):
            if own in (3, 4):
                assert whole[i] <= own <= shorter[i]
                seen.add(own)
    assert seen == {3, 4}
