"""What the samples of a cycle say of a quantity: one value and one status; pure.

* **Usable** are values with flag 1 or 2 that an instrument gave while it was measuring, as for all averages. The value
  is their mean, made as all averages are, or the last of them.
* **Status** is that of the instrument in the whole cycle: 02 if it was faulty at any time, else 01 if it was being
  calibrated at any time, else 00. An instrument that was not only measuring and gave no usable value is shown with the
  mean of what it gave meanwhile; the status says what that is worth.
* A quantity is **missing** where these rules give no value: the instrument gave none, or it claims to measure and
  nothing of what it gives passes the quality tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from collector.averages.means import COUNTERS, MAX_RISE_MS, Floats, Rule, of_samples
from collector.averages.periods import Times
from collector.stores import ReadingRow
from edge_agent.contract.events import Status


class Outcome(NamedTuple):
    """What a cycle says of one quantity."""

    value: float | None
    """In the registered unit; None: missing."""
    status: Status


def lead_ms(quantity: str) -> int:
    """How long before the first cycle the samples must begin, for `outcomes` to know how a counter rose."""
    return MAX_RISE_MS if quantity in COUNTERS else 0


def outcomes(
    quantity: str, rows: Sequence[ReadingRow], starts: Sequence[int], step: int, how: Literal["mean", "last"]
) -> dict[int, Outcome]:
    """By beginning (ms), the outcome of each cycle of `step` ms that has samples; `rows` are in order of time."""
    at = np.array([row.at for row in rows], np.int64)
    values = np.array([np.nan if row.value is None else row.value for row in rows], np.float64)
    values[~np.isfinite(values)] = np.nan
    flags = np.array([row.flag for row in rows], np.float64)
    statuses = np.array([row.status for row in rows], np.float64)
    cycles = np.array(starts, np.int64)
    usable = np.isfinite(values) & np.isin(flags, (1, 2)) & (statuses == 0)
    if how == "last":
        values_of = _last(at[usable], values[usable], cycles, step)
    else:
        values_of = _means(quantity, at[usable], values[usable], cycles, step)
    other = np.isfinite(values) & (statuses != 0)
    otherwise = _means(quantity, at[other], values[other], cycles, step)
    found: dict[int, Outcome] = {}
    low, high = np.searchsorted(at, cycles), np.searchsorted(at, cycles + step)
    for i, start in enumerate(starts):
        codes = set(statuses[low[i] : high[i]])
        if codes:
            found[start] = Outcome(values_of.get(start, otherwise.get(start)), _status(codes))
    return found


def _status(codes: set[float]) -> Status:
    if codes - {0, 1}:
        return Status.FAULT
    return Status.CALIBRATING if 1 in codes else Status.MEASURING


def _means(quantity: str, at: Times, values: Floats, cycles: Times, step: int) -> dict[int, float]:
    """Means of these samples, all of which count, by the beginning of their cycle."""

    def due(starts: Times, stops: Times) -> Floats:
        return np.ones(len(starts))  # the file has no place for a coverage

    flags, statuses = np.full(len(at), 2.0), np.zeros(len(at))
    stops = cycles + step
    means = of_samples(quantity, at, values, flags, statuses, starts=cycles, stops=stops, due=due, rule=Rule())
    pairs = zip(means.at.tolist(), means.value.tolist(), strict=True)
    return {start: value for start, value in pairs if not np.isnan(value)}


def _last(at: Times, values: Floats, cycles: Times, step: int) -> dict[int, float]:
    before = zip(cycles.tolist(), np.searchsorted(at, cycles), np.searchsorted(at, cycles + step), strict=True)
    return {start: float(values[high - 1]) for start, low, high in before if high > low}
