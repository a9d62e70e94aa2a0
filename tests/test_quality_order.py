"""However a station's samples are cut into blocks, and whichever come first, the same is stored in the end."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from blocks import T0, Kept, block
from frames import box
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.quality import Gap, Judged, Quality, QualitySettings
from collector.quality.limits import Limits
from edge_agent.contract.device import Position
from edge_agent.contract.packs import Block
from edge_agent.contract.quantities import BY_NAME

GAP_S = 150
EVERYTHING = msgspec.convert(
    {
        "open_segments": 16,
        "max_gap_s": 400,
        "quantities": {
            "pm2_5": {
                "climatology": {"1-12": [0, 60]}, "spike_suspect": 10, "spike_fail": 30, "rate_per_min": 20,
                "flat_suspect_s": 240, "flat_fail_s": 360, "twin": {"absolute": 4, "relative": 0.3}, "gap_s": GAP_S,
                "attenuated": {"window_s": 240, "by": "deviation", "suspect_below": 1, "fail_below": 0.3},
            },
            "pm2_5_b": {"spike_suspect": 10, "flat_suspect_s": 240, "gap_s": GAP_S},
            "humidity": {
                "spike_suspect": 10, "rate_per_min": 20, "gap_s": GAP_S,
                "attenuated": {"window_s": 300, "suspect_below": 3, "fail_below": 1},
            },
            "air_temperature": {"attenuated": {"window_s": 240, "suspect_below": 1}, "gap_s": GAP_S},
        },
        "humidity_correction": {"air-01": {"formula": "koehler", "kappa": 0.4, "density": 1.65}},
    },
    QualitySettings,
)  # fmt: skip
SENSORS = (("pm2_5",), ("pm2_5_b",), ("humidity", "air_temperature"))
LEVELS = {"pm2_5": 20, "pm2_5_b": 20, "humidity": 80, "air_temperature": 28}
MOVES = (0, 0, 0, 0, 0.1, -0.1, 0.3, 5, -5, 12, 40, -60, 300, 5000)


@st.composite
def stretches(draw: st.DrawFn, names: tuple[str, ...]) -> list[Block]:
    """What one sensor measures: up to three stretches, holes too long for neighbours between them."""
    found, at = [], T0 + draw(st.integers(0, 40_000))
    for _ in range(draw(st.integers(1, 3))):
        pace = draw(st.sampled_from((20_000, 60_000)))
        steps = [pace] * draw(st.integers(0, 30))
        for place in draw(st.lists(st.integers(0, 30), max_size=3)):
            if place < len(steps):
                steps[place] = draw(st.sampled_from((100_000, 200_000, 390_000)))
        times = (at + np.cumsum([0, *steps])).tolist()
        columns, status = [], {}
        for row, name in enumerate(names):
            moves = draw(st.lists(st.sampled_from(MOVES), min_size=len(times), max_size=len(times)))
            values = [BY_NAME[name].ticks(LEVELS[name] + move) for move in moves]
            columns.append([None if draw(st.integers(0, 15)) == 0 else value for value in values])
            if draw(st.booleans()):
                status[row, draw(st.integers(0, len(times) - 1))] = draw(st.sampled_from((1, 2)))
        numbers = tuple(BY_NAME[name].number for name in names)
        found.append(Block(quantities=numbers, at=times, columns=columns, status=status))
        at = times[-1] + draw(st.integers(400_001, 2_000_000))
    return found


@st.composite
def cut(draw: st.DrawFn, whole: Block) -> list[Block]:
    """The block in pieces."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(whole.at) - 1)), max_size=6)))
    ends = [0, *(place for place in places if place < len(whole.at)), len(whole.at)]
    return [
        Block(
            quantities=whole.quantities,
            at=whole.at[first:last],
            columns=[column[first:last] for column in whole.columns],
            status={(i, row - first): code for (i, row), code in whole.status.items() if first <= row < last},
        )
        for first, last in pairwise(ends)
    ]


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[Block], list[Block]]:
    """All blocks of a station by sensor and time; the same in pieces, stretches side by side."""
    wholes = [part for names in SENSORS for part in draw(stretches(names))]
    queues = [draw(cut(whole)) for whole in wholes]
    mixed = []
    while queues:
        queue = queues[draw(st.integers(0, len(queues) - 1))]
        mixed.append(queue.pop(0))
        queues = [queue for queue in queues if queue]
    return wholes, mixed


def kept(blocks: list[Block]) -> Kept:
    quality, found = Quality(EVERYTHING), Kept(GAP_S * 1000)
    for part in blocks:
        found.take(part, quality.judge("air-01", part))
    return found


def gaps(blocks: list[Block]) -> set[Gap]:
    """By definition."""
    found = set()
    for number in {number for part in blocks for number in part.quantities}:
        times = sorted(at for part in blocks if number in part.quantities for at in part.at)
        found |= {Gap(quantity=number, since=a, until=b) for a, b in pairwise(times) if b - a > GAP_S * 1000}
    return found


@settings(max_examples=250)
@given(orders())
def test_flags_computed_points_and_gaps_are_the_same_in_any_order(blocks: tuple[list[Block], list[Block]]) -> None:
    wholes, mixed = blocks
    straight, other = kept(wholes), kept(mixed)
    assert other.flags == straight.flags
    assert other.derived == straight.derived
    assert other.gaps == straight.gaps == gaps(wholes)


@settings(max_examples=50)
@given(orders(), st.integers(0, 1000), st.integers(0, 30))
def test_what_the_store_did_not_take_is_judged_as_if_new(
    blocks: tuple[list[Block], list[Block]], place: int, lost: int
) -> None:
    _, mixed = blocks
    place %= len(mixed)
    quality, found = Quality(EVERYTHING), Kept(GAP_S * 1000)
    for part in mixed[:place]:
        found.take(part, quality.judge("air-01", part))
    quality.keep()
    for part in mixed[place : place + lost]:
        quality.judge("air-01", part)
    quality.undo()
    for part in mixed[place:]:
        found.take(part, quality.judge("air-01", part))
    again = kept(mixed)
    assert (found.flags, found.derived, found.gaps) == (again.flags, again.derived, again.gaps)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(MOVES[:-2]), min_size=2, max_size=60), st.integers(1, 1000))
def test_after_a_restart_no_value_is_flagged_that_was_not_before(moves: list[float], place: int) -> None:
    """Except by the pace from the first value after it, if that is a spike which nothing before it shows to be one."""
    values = [LEVELS["pm2_5"] + abs(move) for move in moves]
    place %= len(values)
    restarted, straight = Kept(), Kept()
    before, after = block(pm2_5=values[:place]), block(place, pm2_5=values[place:])
    if place:
        restarted.take(before, Quality(EVERYTHING).judge("air-01", before))
    restarted.take(after, Quality(EVERYTHING).judge("air-01", after))
    straight.take(whole := block(pm2_5=values), Quality(EVERYTHING).judge("air-01", whole))
    worse = [at for (_, at), flag in restarted.flags.items() if flag > straight.flags["pm2_5", at]]
    if straight.flags["pm2_5", after.at[0]] >= 3:
        worse = [at for at in worse if at not in after.at[1:3]]
    assert worse == []


ONE_APART = msgspec.structs.replace(
    EVERYTHING, stations={"air-02": {"pm2_5": Limits(flat_tolerance=0.2), "humidity": Limits(spike_suspect=3)}}
)


def said(judged: Judged) -> tuple[object, ...]:
    derived = [(d.quantity, d.at.tolist(), repr(d.values.tolist()), d.flags.tolist()) for d in judged.derived]
    values, marks = repr(judged.values.tolist()), judged.flags.tolist()
    return values, marks, sorted(map(repr, judged.revisions)), derived, set(judged.gaps)


@settings(max_examples=60)
@given(st.data())
def test_blocks_of_many_boxes_are_judged_together_as_one_by_one(data: st.DataObject) -> None:
    queues = [(f"air-{i:02}", data.draw(orders())[1]) for i in range(1, 4)]
    mixed = []
    while queues:
        device, queue = queues[data.draw(st.integers(0, len(queues) - 1))]
        mixed.append((device, queue.pop(0)))
        queues = [(device, queue) for device, queue in queues if queue]
    alone, together = Quality(ONE_APART), Quality(ONE_APART)
    while mixed:
        count = data.draw(st.integers(1, 20))
        batch, mixed = mixed[:count], mixed[count:]
        assert list(map(said, together.judge_all(batch))) == [said(alone.judge(*each)) for each in batch]


NEIGHBOURS = msgspec.convert(
    {"quantities": {"pm2_5": {"neighbours": {"within_km": 5, "least": 2, "absolute": 10, "relative": 0.5}}}},
    QualitySettings,
)
FLEET = {
    f"air-{i:02}": box(f"air-{i:02}", medium="air", position=Position(lat=10.2 + i / 100, lon=104)) for i in range(1, 4)
}


@settings(max_examples=100)
@given(st.data())
def test_what_the_neighbours_said_does_not_depend_on_the_cuts(data: st.DataObject) -> None:
    around = [data.draw(stretches(("pm2_5",))) for _ in range(2)]
    (own, *_) = data.draw(stretches(("pm2_5",)))

    def judged(parts: list[Block]) -> Kept:
        quality, found = Quality(NEIGHBOURS, FLEET), Kept()
        for device, blocks in zip(("air-02", "air-03"), around, strict=True):
            for part in blocks:
                quality.judge(device, part)
        for part in parts:
            found.take(part, quality.judge("air-01", part))
        return found

    assert judged(data.draw(cut(own))).flags == judged([own]).flags
