"""Means over periods, with their coverage and what they are worth; pure, by column.

    hour and shorter        of the samples that count: flag 1 or 2, status measuring
    8 hours, day, month     of the hourly means that count: flag 1 or 2; an hour is an hour, however many samples it had

Coverage is always the share of the samples due that are in the mean, in per cent. How a quantity is averaged:

    wind_direction    as directions: 350 and 10 make 0; unit vectors, not weighted by speed; opposite ones make no mean
    noise             as energies: 60 and 70 dB make 67.4
    rain              not at all: by how much the gauge's counter rose, over its resets too; longer periods add hours up
    all others        the arithmetic mean

What the counter rose between two samples counts where the later one lies, if they are at most MAX_RISE_MS apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.averages.periods import HOUR, Times

Floats = NDArray[np.float64]
Due = Callable[[Times, Times], Floats]
"""How many samples are due from each start to before each stop."""

Kind = Literal["arithmetic", "circular", "energetic", "sum"]
KIND: dict[str, Kind] = {"wind_direction": "circular", "noise": "energetic", "rain": "sum"}
COUNTERS = frozenset({"rain"})
MAX_RISE_MS = HOUR

ENOUGH, NO_RULE, TOO_LITTLE, NONE = 1, 2, 3, 9
"""Flags of means: enough data by the rule; no rule is set; too little data by the rule; nothing that counts."""
USABLE = (ENOUGH, NO_RULE)


class Rule(NamedTuple):
    """How much data a mean needs."""

    coverage: float | None = None
    """Per cent: of the samples for an hour and less, of the hours for more. None: nobody has set a rule."""

    def text(self, *, longer: bool) -> str:
        """As it stands beside the means."""
        if self.coverage is None:
            return "flags 1+2; no coverage rule"
        enough = f"coverage >= {self.coverage:g} %"
        return f"flags 1+2; {enough}" + (f" in >= {self.coverage:g} % of the hours" if longer else "")

    def flags(self, values: Floats, share: Floats) -> NDArray[np.uint8]:
        """Flags for means of which `share` per cent of what is due was there."""
        if self.coverage is None:
            good = np.full(len(values), NO_RULE, np.uint8)
        else:
            good = np.where(share >= self.coverage, ENOUGH, TOO_LITTLE).astype(np.uint8)
        return np.where(np.isnan(values), NONE, good).astype(np.uint8)


class Means(NamedTuple):
    """Means of one quantity at one station, by period."""

    at: Times
    """Beginnings."""
    value: Floats
    """NaN: there is none."""
    flag: NDArray[np.uint8]
    coverage: Floats
    """Per cent."""

    def only(self, rows: NDArray[np.bool_]) -> Means:
        """Some of them."""
        return Means(self.at[rows], self.value[rows], self.flag[rows], self.coverage[rows])

    def usable(self) -> Floats:
        """The values that have enough data or no rule against them; NaN for the others."""
        return np.where(np.isin(self.flag, USABLE), self.value, np.nan)


def of_samples(
    quantity: str, at: Times, values: Floats, flags: Floats, statuses: Floats, *, starts: Times, stops: Times, due: Due,
    rule: Rule,
) -> Means:  # fmt: skip
    """Means over the periods that hold a sample, of samples in order of time.

    Samples without value and flag are none; a value without flag was not evaluated (2); no status is measuring. Of a
    counter, samples of MAX_RISE_MS before the first start belong to the question.
    """
    there = ~np.isnan(values) | ~np.isnan(flags)
    starts, stops = _held(at[there], starts, stops)
    good = ~np.isnan(values) & np.isin(np.nan_to_num(flags, nan=2), (1, 2)) & (np.nan_to_num(statuses) == 0)
    at, values = at[good], values[good]
    if quantity in COUNTERS:
        at, values = _rises(at, values)
    value, n = _means(KIND.get(quantity, "arithmetic"), at, values, starts, stops)
    coverage = _share(n, due(starts, stops))
    return Means(starts, value, rule.flags(value, coverage), coverage)


def of_hours(quantity: str, hours: Means, *, starts: Times, stops: Times, due: Due, rule: Rule) -> Means:
    """Means over the periods that hold an hour, of hourly means in order of time."""
    starts, stops = _held(hours.at, starts, stops)
    values = hours.usable()
    good = ~np.isnan(values)
    at = hours.at[good]
    value, n = _means(KIND.get(quantity, "arithmetic"), at, values[good], starts, stops)
    in_hours = hours.coverage / 100 * np.maximum(due(hours.at, hours.at + HOUR), 1)
    samples, _ = _means("sum", at, in_hours[good], starts, stops)
    all_due = due(starts, stops)
    # where a quantity is measured less than hourly, not every hour has a sample due
    share = _share(n, np.minimum((stops - starts) / HOUR, np.maximum(all_due, 1)))
    return Means(starts, value, rule.flags(value, share), _share(np.nan_to_num(samples), all_due))


def _held(at: Times, starts: Times, stops: Times) -> tuple[Times, Times]:
    """The periods that hold one of these moments."""
    held = np.searchsorted(at, stops) > np.searchsorted(at, starts)
    return starts[held], stops[held]


def _share(n: Floats, due: Floats) -> Floats:
    return np.minimum(100.0 * n / np.maximum(due, 1), 100.0)


def _rises(at: Times, values: Floats) -> tuple[Times, Floats]:
    """By how much a counter rose up to each sample that has one shortly before it; after a reset it began at 0."""
    rise = np.diff(values)
    rise = np.where(rise < 0, values[1:], rise)
    near = np.diff(at) <= MAX_RISE_MS
    return at[1:][near], rise[near]


def _means(kind: Kind, at: Times, values: Floats, starts: Times, stops: Times) -> tuple[Floats, Floats]:
    """The mean of what lies in each period, NaN if nothing does, and how many that are."""
    low, high = np.searchsorted(at, starts), np.searchsorted(at, stops)
    n = (high - low).astype(np.float64)

    def sums(terms: Floats) -> Floats:
        # one slice after the other, so that a mean is the same whatever else is asked
        pairs = np.column_stack((low, high)).ravel()
        found = np.add.reduceat(np.append(terms, 0.0), pairs)[::2] if len(pairs) else np.zeros(0)
        return np.where(n > 0, found, np.nan)

    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "sum":
            return sums(values), n
        if kind == "energetic":
            return 10 * np.log10(sums(10 ** (values / 10)) / n), n
        if kind == "circular":
            east, north = sums(np.sin(np.radians(values))) / n, sums(np.cos(np.radians(values))) / n
            direction = np.degrees(np.arctan2(east, north)) % 360
            direction = np.where(direction >= 360, 0.0, direction)
            return np.where(np.hypot(east, north) > 1e-9, direction, np.nan), n
        return sums(values) / n, n
