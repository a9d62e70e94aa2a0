"""Flags of samples that several collectors judge in turns: those of one collector, and never one for a race."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from blocks import Kept, block
from sqlalchemy import Engine

from collector.quality import Quality, QualitySettings
from collector.quality.limits import Attenuated, Limits, Twin
from collector.shared_quality import SharedQuality
from edge_agent.contract.packs import Block
from edge_agent.contract.quantities import BY_NAME

SETTINGS = QualitySettings(
    quantities={
        "pm2_5": Limits(
            spike_suspect=10,
            spike_fail=50,
            rate_per_min=30,
            flat_suspect_s=240,
            flat_fail_s=600,
            twin=Twin(absolute=5, relative=0.1),
            attenuated=Attenuated(window_s=3600, suspect_below=1.0),
        ),
        "pm2_5_b": Limits(twin=Twin(absolute=5, relative=0.1)),
    }
)
AIR = "air-01"


def pace(_station: str, number: int) -> int:
    return 60_000 if number == BY_NAME["pm2_5"].number else 180_000


class Collector:
    """The part of a collector that judges."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._quality = Quality(SETTINGS, pace=pace)
        self._memory = SharedQuality(engine, self._quality, SETTINGS)

    def judge(self, part: Block, kept: Kept, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Judge and write as the sinks do; `meanwhile` comes between the judgement and the transaction."""
        self._memory.recall([AIR])
        kept.take(part, self._quality.judge(AIR, part))
        meanwhile()
        with self._engine.begin() as db:
            self._memory.put(db)
        self._quality.keep()
        self._memory.kept()


@pytest.fixture
def shared(engine: Engine) -> Engine:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite is for one collector")
    return engine


def day(chance: random.Random, n: int = 200) -> list[Block]:
    """Samples of a minute each, now one sensor and now both: a walk with spikes, steps, and times when it stands."""
    value, stands, parts = 20.0, 0, []
    for minute in range(n):
        stands = stands - 1 if stands > 0 else chance.choice([0, 0, 0, 0, 0, 0, 0, 0, 0, 12])
        if not stands:
            value = min(90.0, max(1.0, value + chance.uniform(-4, 4) + chance.choice([0] * 15 + [-25, 25])))
        seen = value + chance.choice([0] * 20 + [70, 15])
        parts.append(block(minute, pm2_5=[seen]))
        if minute % 3 == 0:
            parts.append(block(minute, pm2_5_b=[value + chance.choice([0] * 9 + [20])]))
    return parts


def alone(parts: Sequence[Block]) -> Kept:
    kept, quality = Kept(), Quality(SETTINGS, pace=pace)
    for part in parts:
        kept.take(part, quality.judge(AIR, part))
        quality.keep()
    return kept


@pytest.mark.parametrize("seed", range(3))
def test_collectors_that_take_turns_flag_as_one_does(shared: Engine, seed: int) -> None:
    chance = random.Random(seed)
    parts = day(chance)
    collectors, kept = [Collector(shared) for _ in range(3)], Kept()
    for i, part in enumerate(parts):
        if i == 50:
            collectors[0] = Collector(shared)  # begun again: it knows what the others do
        chance.choice(collectors).judge(part, kept)
    expected = alone(parts)
    assert set(expected.flags.values()) == {1, 3, 4}, "the tests have something to say"
    assert kept.flags == expected.flags
    assert kept.gaps == expected.gaps


@pytest.mark.parametrize("seed", range(4))
def test_a_race_or_a_late_sample_costs_a_flag_at_most(shared: Engine, seed: int) -> None:
    """Two collectors at once, and samples that come some minutes late as theirs was stopped."""
    chance = random.Random(seed)
    parts = [part for part in day(chance) if len(part.columns) == 1]
    kept, late = Kept(), []
    one, two = Collector(shared), Collector(shared)
    i = 0
    while i < len(parts):
        part, i = parts[i], i + 1
        if chance.random() < 0.1:
            late.append(part)
        elif chance.random() < 0.1 and i < len(parts):
            other, i = parts[i], i + 1
            one.judge(part, kept, lambda other=other: two.judge(other, kept))  # type: ignore[misc]
        else:
            chance.choice([one, two]).judge(part, kept)
        while late and chance.random() < 0.3:
            chance.choice([one, two]).judge(late.pop(0), kept)
    for part in late:
        one.judge(part, kept)
    expected = alone(parts)
    assert kept.flags.keys() == expected.flags.keys()
    false = {point: flag for point, flag in kept.flags.items() if flag > expected.flags[point]}
    said = sum(flag >= 3 for flag in kept.flags.values()) / sum(flag >= 3 for flag in expected.flags.values())
    print(f"{said:.0%} of the flags are given, {len(false)} of {len(kept.flags)} points have a worse one")
    assert not false
    assert said > 0.5
