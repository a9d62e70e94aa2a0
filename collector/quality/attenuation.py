"""QARTOD's attenuated signal test: a signal that moves too little over a window, though it is not flat; on arrays.

A window is cut into STEPS steps that lie fixed in time, and of each step only what the test needs is remembered. So
the window of a point begins with one of its steps, and is up to a sixtieth shorter than set. Points that are not
sound (NaN) leave the window as it is; after a gap it begins anew, and nothing is judged until it is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.quality.qartod import FAIL, PASS, SUSPECT, Bools, Flags, Floats, Times
from collector.quality.settings import QualitySettings
from edge_agent.contract.quantities import BY_NUMBER

STEPS = 60
_NEVER = -(10**13)
_APART = 10**14
"""Between the times of two boxes that are looked at together, and between their steps: more than any time is."""
_FOLDS: dict[str, tuple[Any, ...]] = {"range": (np.fmin, np.fmax), "deviation": (np.add, np.add, np.add)}
"""How points are put together: lowest and highest; count, sum and sum of squares (whole numbers, so exact)."""


class Test(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The test for quantities of one block with the same window; limits of shape (rows, 1), in ticks."""

    rows: list[int]
    by: str
    step: int
    """Milliseconds."""
    suspect: Floats
    fail: Floats
    max_gap: int

    @classmethod
    def of(cls, settings: QualitySettings, station: str, numbers: Sequence[int]) -> tuple[Self, ...]:
        """The tests for these quantities of the registry at a station, one for each kind of window."""
        kinds: dict[tuple[str, int], list[tuple[int, float, float]]] = {}
        for row, number in enumerate(numbers):
            quantity = BY_NUMBER[number]
            limits = settings.limits(station, quantity.name).attenuated
            if limits:
                ticks = [(limit or 0) * 10**quantity.decimals for limit in (limits.suspect_below, limits.fail_below)]
                kind = limits.by, max(1, round(limits.window_s * 1000 / STEPS))
                kinds.setdefault(kind, []).append((row, *np.round(ticks, 6).tolist()))
        return tuple(
            cls(
                rows=[row for row, _, _ in found],
                by=by,
                step=step,
                suspect=np.array([[suspect] for _, suspect, _ in found]),
                fail=np.array([[fail] for _, _, fail in found]),
                max_gap=round(settings.max_gap_s * 1000),
            )
            for (by, step), found in kinds.items()
        )


class Window(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is remembered of the points before, for the rows of one test."""

    heard: Times
    """Shape (rows, 1): the last sound point."""
    since: Times
    """Shape (rows, 1): when the sound points that follow each other without a gap began."""
    steps: Times
    """Shape (steps,): number of each step in which a point was."""
    folded: tuple[Floats, ...]
    """Each of shape (rows, steps)."""

    @classmethod
    def new(cls, test: Test) -> Self:
        """The window before any point."""
        never = np.full((len(test.rows), 1), _NEVER, np.int64)
        empty = tuple(np.empty((len(test.rows), 0)) for _ in _FOLDS[test.by])
        return cls(heard=never, since=never, steps=np.empty(0, np.int64), folded=empty)


def attenuated(  # noqa: PLR0917
    test: Test, windows: Sequence[Window], t: Times, ticks: Floats, sound: Bools, stops: NDArray[np.intp]
) -> tuple[Flags, list[Window]]:
    """Flags of the test's rows for many boxes, and each box's window behind its points.

    t: (points,), of each box rising and behind its window's; ticks, sound: (rows, points); stops: where the points of
    each box end.
    """
    sizes = np.diff(stops, prepend=0)
    box = np.repeat(np.arange(len(stops)), sizes)
    heard = _newest([window.heard for window in windows], np.where(sound, t, _NEVER), sizes)
    last = np.arange(len(t)) + box  # of each point, what was heard before it
    apart = t - heard[:, last]
    fresh = np.where(sound & ((apart <= 0) | (apart > test.max_gap)), t, _NEVER)
    since = _newest([window.since for window in windows], fresh, sizes)

    step = t // test.step
    filled = np.array([len(window.steps) for window in windows])
    # each box's points behind its window; far from the steps of all other boxes
    places = np.arange(len(t)) + np.cumsum(filled)[box]
    steps = np.empty(len(t) + filled.sum(), np.int64)
    old = np.ones(len(steps), np.bool_)
    old[places] = False
    steps[places] = step + box * _APART
    steps[old] = np.concatenate([window.steps + i * _APART for i, window in enumerate(windows)])
    folded = []
    for i, points in enumerate(_points(test.by, ticks, sound)):
        whole = np.empty((len(ticks), len(steps)))
        whole[:, places], whole[:, old] = points, np.concatenate([window.folded[i] for window in windows], axis=1)
        folded.append(whole)
    first = np.searchsorted(steps, steps[places] - STEPS, side="right")
    between = np.stack((first, places + 1), axis=1).ravel()[:-1]
    spread = _spread(test.by, [both[:, ::2] for both in _fold(test.by, folded, between)])
    ready = sound & (since[:, last + 1] <= (step - STEPS + 1) * test.step) & (spread > 0)
    flags = np.where(ready & (spread < test.suspect), SUSPECT, PASS).astype(np.uint8)
    flags[ready & (spread < test.fail)] = FAIL

    starts = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1))
    folded, steps = _fold(test.by, folded, starts), steps[starts]
    ends = np.searchsorted(starts, places[stops - 1], side="right").tolist()
    after = []
    for i, (begin, end, column) in enumerate(
        zip([0, *ends], ends, (stops + np.arange(len(stops))).tolist(), strict=False)
    ):
        place = slice(max(begin, end - STEPS), end)
        after.append(
            Window(
                heard=heard[:, column : column + 1].copy(),
                since=since[:, column : column + 1].copy(),
                steps=steps[place] - i * _APART,
                folded=tuple(whole[:, place].copy() for whole in folded),
            )
        )
    return flags, after


def _newest(before: Sequence[Times], times: Times, sizes: NDArray[np.intp]) -> Times:
    """The newest up to each time of a box, behind the one from before (rows, 1): shape (rows, times + boxes)."""
    boxes = np.arange(len(sizes))
    laid = np.empty((len(times), times.shape[1] + len(sizes)), np.int64)
    first = np.cumsum(sizes + 1) - sizes - 1
    new = np.ones(laid.shape[1], np.bool_)
    new[first] = False
    laid[:, new], laid[:, first] = times, np.concatenate(before, axis=1)
    apart = np.repeat(boxes, sizes + 1) * _APART
    newest: Times = np.maximum.accumulate(np.maximum(laid, _NEVER) + apart, axis=1) - apart
    return newest


def _points(by: str, ticks: Floats, sound: Bools) -> tuple[Floats, ...]:
    if by == "range":
        values = np.where(sound, ticks, np.nan)
        return values, values
    values = np.where(sound, ticks, 0)
    return sound.astype(np.float64), values, values * values


def _fold(by: str, arrays: Sequence[Floats], places: NDArray[np.intp]) -> list[Floats]:
    return [fold.reduceat(array, places, axis=1) for fold, array in zip(_FOLDS[by], arrays, strict=True)]


def _spread(by: str, folded: list[Floats]) -> Floats:
    if by == "range":
        return folded[1] - folded[0]
    count, total, squares = np.maximum(folded[0], 1), folded[1], folded[2]
    return np.sqrt(np.maximum(count * squares - total * total, 0)) / count
