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
_NEVER = -(10**15)
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


def attenuated(test: Test, window: Window, t: Times, ticks: Floats, sound: Bools) -> tuple[Flags, Window]:
    """Flags of the test's rows, and the window behind these points.

    t: (points,), rising and behind the window's; ticks, sound: (rows, points).
    """
    heard = np.maximum.accumulate(np.concatenate((window.heard, np.where(sound, t, _NEVER)), axis=1), axis=1)
    apart = t - heard[:, :-1]
    fresh = np.where(sound & ((apart <= 0) | (apart > test.max_gap)), t, window.since)
    since = np.maximum.accumulate(fresh, axis=1)

    step = t // test.step
    steps = np.concatenate((window.steps, step))
    points = _points(test.by, ticks, sound)
    folded = [np.concatenate(pair, axis=1) for pair in zip(window.folded, points, strict=True)]
    begins = np.searchsorted(steps, step - STEPS, side="right")
    ends = np.arange(len(window.steps) + 1, len(steps) + 1)
    between = np.stack((begins, ends), axis=1).ravel()[:-1]
    spread = _spread(test.by, [both[:, ::2] for both in _fold(test.by, folded, between)])
    ready = sound & (since <= (step - STEPS + 1) * test.step) & (spread > 0)
    flags = np.where(ready & (spread < test.suspect), SUSPECT, PASS).astype(np.uint8)
    flags[ready & (spread < test.fail)] = FAIL

    starts = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1))
    return flags, Window(
        heard=heard[:, -1:],
        since=since[:, -1:],
        steps=steps[starts][-STEPS:],
        folded=tuple(whole[:, -STEPS:] for whole in _fold(test.by, folded, starts)),
    )


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
