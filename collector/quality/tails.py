"""How the series of boxes go on: the tests by neighbours in time, behind what is remembered of each box; on arrays.

Many boxes are judged together: the samples of each stand behind its tail, one box after the other, and points of
different boxes are never neighbours. So a hundred boxes with a sample each cost little more than one with a hundred.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from collector.quality.qartod import (
    FAIL,
    PASS,
    SUSPECT,
    Bools,
    Flags,
    Floats,
    Samples,
    Tests,
    Times,
    flat,
    rates,
    spikes,
)

BEFORE, LAST, VALUE_BEFORE, VALUE, SPIKED, FLAG, RUN_SINCE, RUN_VALUE = range(8)
"""What a tail holds of each quantity, all that the tests need of the past: times of the sound point before the last and
of the last, their values, whether the one before the last is a spike, the flag of the last, and when and with which
value the run of equal values began. Times are whole milliseconds, which a float holds exactly."""

Tails = Floats
"""Shape (8, quantities, boxes)."""
_NEVER = -1e15
"""Time of a point that is not there: further from any real one than every gap."""
_Indices = NDArray[np.intp]


def no_tail(quantities: int) -> Floats:
    """The tail before any point, of shape (8, quantities)."""
    tail = np.zeros((8, quantities))
    tail[[BEFORE, LAST, RUN_SINCE]] = _NEVER
    tail[FLAG] = PASS
    return tail


def extend(tails: Tails, samples: Samples, stops: _Indices, tests: Tests) -> tuple[Tails, Flags, Flags]:
    """Judge the sound samples of boxes by their neighbours.

    stops: where the samples of each box end. Gives the tails behind them, the flags, and for each quantity and box the
    flag that the tail's last point now deserves, 0 where it stays.
    """
    sizes = np.diff(stops, prepend=0)
    whole = np.logical_and.reduceat(samples.sound.all(axis=0), stops - sizes)
    whole &= (tails[:2] == tails[:2, :1]).all(axis=(0, 1))
    if whole.all():
        return _extend(tails, samples.at, samples.values, samples.flags, sizes, tests)
    ends, flags, revised = tails.copy(), samples.flags.copy(), np.zeros(tails.shape[1:], np.uint8)
    for rows, parts in _alike(tails, samples.sound, stops, whole).items():
        columns, own = np.concatenate(list(parts.values())), np.array(rows)
        place, those = np.ix_(own, columns), np.ix_(own, np.array(list(parts)))
        ends[:, those[0], those[1]], flags[place], revised[those] = _extend(
            tails[:, those[0], those[1]],
            samples.at[columns],
            samples.values[place],
            flags[place],
            np.array([len(part) for part in parts.values()]),
            tests.rows(list(rows)),
        )
    return ends, flags, revised


def _alike(tails: Tails, sound: Bools, stops: _Indices, whole: Bools) -> dict[tuple[int, ...], dict[int, _Indices]]:
    """Which rows of which boxes can be judged together, as all their points have the same times: their samples.

    whole: the boxes of which every sample is sound in every quantity, behind a tail with the same times in all.
    """
    found: dict[tuple[int, ...], dict[int, _Indices]] = {}
    every = tuple(range(len(sound)))
    begin = 0
    for box, end in enumerate(stops.tolist()):
        alike: dict[bytes, list[int]] = {}
        if whole[box]:
            found.setdefault(every, {})[box] = np.arange(begin, end)
        else:
            for row in every:
                if sound[row, begin:end].any():
                    times = sound[row, begin:end].tobytes() + tails[:2, row, box].tobytes()
                    alike.setdefault(times, []).append(row)
        for rows in alike.values():
            found.setdefault(tuple(rows), {})[box] = begin + np.flatnonzero(sound[rows[0], begin:end])
        begin = end
    return found


def _extend(  # noqa: PLR0917
    tails: Tails, at: Times, values: Floats, flags: Flags, sizes: _Indices, tests: Tests
) -> tuple[Tails, Flags, Flags]:
    """As `extend`, where every sample is sound and the tail of a box has the same times in every quantity."""
    stops = np.cumsum(sizes + 2)
    first = stops - sizes - 2  # of each box: the tail's two points, then its own
    new = np.ones(len(at) + 2 * len(sizes), np.bool_)
    new[first] = new[first + 1] = False
    t, v = np.empty(len(new), np.int64), np.empty((len(values), len(new)))
    t[first], t[first + 1], t[new] = tails[BEFORE, 0], tails[LAST, 0], at
    v[:, first], v[:, first + 1], v[:, new] = tails[VALUE_BEFORE], tails[VALUE], values
    dt = np.diff(t)
    near = (dt > 0) & (dt <= tests.max_gap)
    near[first[1:] - 1] = False  # different boxes

    marks = np.ones(v.shape, np.uint8)
    marks[:, 1:-1] = spikes(v, near, tests)
    spiked = marks > PASS
    spiked[:, first] = tails[SPIKED] > 0
    revised = np.where(marks[:, first + 1] > tails[FLAG], marks[:, first + 1], 0)
    np.maximum(marks[:, 2:], rates(t, v, near, spiked[:, :-1], tests), out=marks[:, 2:])
    lasting, runs = _resting(tails, t, v, near, first, tests)
    flags = np.maximum(flags, np.maximum(marks, lasting)[:, new])

    ends = np.empty(tails.shape)
    ends[BEFORE], ends[LAST] = t[stops - 2], t[stops - 1]
    ends[VALUE_BEFORE], ends[VALUE] = v[:, stops - 2], v[:, stops - 1]
    ends[SPIKED], ends[FLAG] = spiked[:, stops - 2], flags[:, np.cumsum(sizes) - 1]
    ends[RUN_SINCE], ends[RUN_VALUE] = runs
    return ends, flags, revised


def _resting(  # noqa: PLR0917
    tails: Tails, t: Times, v: Floats, near: Bools, first: _Indices, tests: Tests
) -> tuple[Flags, tuple[Floats, Floats]]:
    """Flags by how long a value has not moved; and of each box since when, with which value, it has not at the end."""
    stops = np.append(first[1:], len(t))
    same = np.zeros(v.shape, np.bool_)
    same[:, 1:] = (v[:, 1:] == v[:, :-1]) & near
    same[:, first + 1] = False
    began = np.broadcast_to(t, v.shape)
    if same.any():
        began = began.copy()
        began[:, first + 1] = tails[RUN_SINCE]
        leads = np.maximum.accumulate(np.where(same, 0, np.arange(len(t))), axis=1)
        began = np.take_along_axis(began, leads, axis=1)
    lasted = t - began
    flags = np.where(lasted >= tests.flat_suspect_ms, SUSPECT, PASS).astype(np.uint8)
    flags[lasted >= tests.flat_fail_ms] = FAIL
    since, value = began[:, stops - 1].astype(np.float64), v[:, stops - 1]
    for row in np.flatnonzero(tests.creeping):  # values may creep within the tolerance: point by point
        limits = (tests.flat_tolerance[row, 0], tests.flat_suspect_ms[row, 0], tests.flat_fail_ms[row, 0])
        for box, (begin, end) in enumerate(zip((first + 2).tolist(), stops.tolist(), strict=True)):
            run = float(tails[RUN_VALUE, row, box]), int(tails[RUN_SINCE, row, box])
            points = t[begin:end].tolist(), v[row, begin:end].tolist(), near[begin - 1 : end - 1].tolist()
            flags[row, begin:end], (value[row, box], since[row, box]) = flat(run, *points, limits)
    return flags, (since, value)
