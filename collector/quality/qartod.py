"""The QARTOD tests themselves, on arrays: rows are quantities, columns are samples in order of time; pure.

Flags are 1 pass, 2 not evaluated, 3 suspect, 4 fail, 9 missing (IOOS QARTOD). A test that is off has limits beyond
reach, so that every test is plain arithmetic.
"""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.local_time import LOCAL_MS
from collector.quality.limits import Limits
from collector.quality.settings import QualitySettings
from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NUMBER

PASS, NOT_EVALUATED, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Flags = NDArray[np.uint8]
Bools = NDArray[np.bool_]

_BEYOND = 1e18


class Samples(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Samples in order of time; all but `at` of shape (quantities, samples)."""

    at: Times
    ticks: Floats
    values: Floats
    flags: Flags
    sound: Bools

    def part(self, place: slice | NDArray[np.intp]) -> Self:
        """Some of the samples; a slice shares the arrays."""
        return type(self)(
            at=self.at[place],
            ticks=self.ticks[:, place],
            values=self.values[:, place],
            flags=self.flags[:, place],
            sound=self.sound[:, place],
        )


class Tests(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """The limits of some quantities, each of shape (quantities, 1)."""

    divisor: Floats
    """Ticks of the wire in one unit of the registry."""
    low: Floats
    high: Floats
    suspect_low: Floats
    suspect_high: Floats
    usual_low: Floats
    """Climatology, of shape (quantities, 12): January first."""
    usual_high: Floats
    spike_suspect: Floats
    spike_fail: Floats
    rate_per_ms: Floats
    flat_tolerance: Floats
    """Half a step of the quantity's resolution is in it, so that rounding does not matter."""
    creeping: Bools
    """Where the tolerance is more: values that rest need not be equal then."""
    flat_suspect_ms: Floats
    flat_fail_ms: Floats
    max_gap: int
    """Milliseconds between neighbours at most."""
    seasonal: bool
    """Whether any quantity has a climatology."""
    careful: bool
    """Whether series often begin anew: the pace is not taken from a value that nothing could show to be a spike."""

    @classmethod
    def of(cls, settings: QualitySettings, station: str, numbers: tuple[int, ...], *, careful: bool = False) -> Self:
        """The tests for these quantities of the registry at a station."""
        quantities = [BY_NUMBER[number] for number in numbers]
        limits = [settings.limits(station, quantity.name) for quantity in quantities]

        def column(name: str, factor: float = 1, off: float = _BEYOND) -> Floats:
            given = (getattr(limit, name) for limit in limits)
            return _column([value * factor if isinstance(value, float | int) else off for value in given])

        return cls(
            divisor=_column([10.0**q.decimals for q in quantities]),
            low=_column([q.low for q in quantities]),
            high=_column([q.high for q in quantities]),
            suspect_low=column("suspect_low", off=-_BEYOND),
            suspect_high=column("suspect_high"),
            usual_low=np.array([_by_month(limit, 0, -_BEYOND) for limit in limits]).reshape(-1, 12),
            usual_high=np.array([_by_month(limit, 1, _BEYOND) for limit in limits]).reshape(-1, 12),
            spike_suspect=column("spike_suspect"),
            spike_fail=column("spike_fail"),
            rate_per_ms=column("rate_per_min", 1 / 60_000),
            flat_tolerance=column("flat_tolerance", off=0) + _column([0.5 * 10.0**-q.decimals for q in quantities]),
            creeping=column("flat_tolerance", off=0) > 0,
            flat_suspect_ms=column("flat_suspect_s", 1000),
            flat_fail_ms=column("flat_fail_s", 1000),
            max_gap=round(settings.max_gap_s * 1000),
            seasonal=any(limit.climatology for limit in limits),
            careful=careful,
        )

    def rows(self, rows: list[int]) -> Tests:
        """The tests for some of the quantities."""
        columns = {name: getattr(self, name)[rows] for name in self.__struct_fields__[:-3]}
        return Tests(**columns, max_gap=self.max_gap, seasonal=self.seasonal, careful=self.careful)


def _column(values: list[float]) -> Floats:
    return np.array(values, np.float64)[:, None]


def _by_month(limits: Limits, end: int, off: float) -> list[float]:
    spans = dict(limits.spans())
    return [spans[month][end] if month in spans else off for month in range(1, 13)]


def ranges(t: Times, values: Floats, tests: Tests, status: dict[tuple[int, int], int]) -> tuple[Flags, Bools]:
    """Flags by gross range, climatology and status, and which points are sound: neighbours for the other tests."""
    inside = (values >= tests.low) & (values <= tests.high)  # false for NaN
    odd = (values < tests.suspect_low) | (values > tests.suspect_high)
    if tests.seasonal:
        month = (t + LOCAL_MS).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64) % 12
        odd |= (values < tests.usual_low[:, month]) | (values > tests.usual_high[:, month])
    flags = np.where(odd, SUSPECT, PASS).astype(np.uint8)
    sound = inside
    if not inside.all():
        flags[~inside] = FAIL
        flags[np.isnan(values)] = MISSING
    for place, code in status.items():
        if code != Status.MEASURING:
            sound[place] = False
            flags[place] = max(flags[place], FAIL if code == Status.FAULT else SUSPECT)
    return flags, sound


def spikes(v: Floats, near: Bools, tests: Tests) -> Flags:
    """Flags of all points but the first and the last, which lack a neighbour; 1 where either is none.

    A spike stands out from both neighbours on the same side; its size is the smaller of the two steps (the
    `differential` method: neither a step nor a spike's neighbours are taken for one). near: whether each two
    points that follow each other are neighbours.
    """
    steps = np.diff(v, axis=1)
    size = np.minimum(np.abs(steps[:, :-1]), np.abs(steps[:, 1:]))
    size *= (steps[:, :-1] * steps[:, 1:] < 0) & near[:-1] & near[1:]
    flags = np.ones(size.shape, np.uint8)
    flags[size > tests.spike_suspect] = SUSPECT
    flags[size > tests.spike_fail] = FAIL
    return flags


def rates(t: Times, v: Floats, near: Bools, spiked: Bools, tests: Tests) -> Flags:
    """Flags of all points from the third on, by the pace from the point before, or from the one before a spike.

    spiked: of all points but the last; a point behind two spikes is not judged.
    """
    dt = np.diff(t)
    flags = np.ones((len(v), len(t) - 2), np.uint8)
    fast = (np.abs(np.diff(v[:, 1:], axis=1)) > tests.rate_per_ms * dt[1:]) & near[1:]
    if tests.careful:
        fast &= near[:-1]
    if spiked.any():
        long = t[2:] - t[:-2]
        past_spike = (
            (np.abs(v[:, 2:] - v[:, :-2]) > tests.rate_per_ms * long) & near[:-1] & near[1:] & (long <= tests.max_gap)
        )
        fast = np.where(spiked[:, 1:], past_spike & ~spiked[:, :-1], fast)
    flags[fast] = SUSPECT
    return flags


def flat(
    anchor: tuple[float, int], t: list[int], v: list[float], near: list[bool], limits: tuple[float, float, float]
) -> tuple[list[int], tuple[float, int]]:
    """Flags of one quantity's points by how long the value has not moved, and the last run's beginning.

    anchor: value and time with which the run before them began; near: whether each point is its predecessor's
    neighbour; limits: tolerance, milliseconds to suspect, milliseconds to fail.
    """
    value, since = anchor
    tolerance, suspect, fail = limits
    flags = []
    for at, now, joined in zip(t, v, near, strict=True):
        if not joined or abs(now - value) > tolerance:
            value, since = now, at
        lasted = at - since
        flags.append(FAIL if lasted >= fail else SUSPECT if lasted >= suspect else PASS)
    return flags, (value, since)
