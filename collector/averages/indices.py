"""The air quality indices of one station by hour and day, from its hourly means; pure.

The Decision's "hour 01:00" is the mean from 00:00 to 01:00 and begins, here, at 00:00. A day's hours are those that
begin in it; the 8-h means of ozone count for the day in which they end, so the first of them looks 7 hours back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from collector.averages.aqi import DUST, GASES, NOWCAST_HOURS, Index, daily, hourly
from collector.averages.means import Due, Means, Rule, of_hours
from collector.averages.periods import DAY, HOUR, Times
from collector.points import Column, Frame
from edge_agent.contract.device import Box

BACK_MS = {"aqi_1h": (NOWCAST_HOURS - 1) * HOUR, "aqi_24h": 7 * HOUR}
"""How far before its beginning an index looks, by measurement."""
LENGTH_MS = {"aqi_1h": HOUR, "aqi_24h": DAY}


def by_hour(hours: Mapping[str, Means], starts: Times, *, literal: bool) -> dict[int, Index]:
    """The index of every hour that has one."""
    known = {name: _usable(hours[name]) for name in (*DUST, *GASES) if name in hours}
    found = {}
    for start in starts.tolist():
        gases = {name: known[name].get(start) for name in GASES if name in known}
        dust = {
            name: [known[name].get(start - i * HOUR) for i in range(NOWCAST_HOURS)] for name in DUST if name in known
        }
        index = hourly(gases, dust, literal=literal)
        if index is not None:
            found[start] = index
    return found


def by_day(hours: Mapping[str, Means], starts: Times, *, due: Callable[[str], Due], rule: Rule) -> dict[int, Index]:
    """The index of every local day that has one; a quantity with too little data by the rule is not in it."""
    days = {}
    largest: dict[str, dict[int, float]] = {}
    for name in (*DUST, *GASES):
        if name in hours:
            means = partial(of_hours, name, hours[name], due=due(name), rule=rule)
            days[name] = _usable(means(starts=starts, stops=starts + DAY))
            largest[name] = {
                start: _largest(hours[name], start, start + DAY) for start in starts.tolist() if start in days[name]
            }
            if name == "o3":
                ends = np.unique(starts[:, None] + np.arange(1, 25) * HOUR)
                running = means(starts=ends - 8 * HOUR, stops=ends)
    found = {}
    for start in starts.tolist():
        o3 = _largest(running, start - 7 * HOUR, start + 17 * HOUR) if start in days.get("o3", {}) else np.nan
        index = daily(
            {name: days[name].get(start) for name in DUST if name in days},
            {name: largest[name].get(start) for name in GASES if name in days},
            None if np.isnan(o3) else o3,
        )
        if index is not None:
            found[start] = index
    return found


def frame(box: Box, measurement: str, indices: Mapping[int, Index]) -> Frame:
    """Indices of one station as points."""
    at = sorted(indices)
    rows = [indices[start] for start in at]
    fields: dict[str, Column] = {
        "aqi": np.array([row.aqi for row in rows], np.int64),
        "dominant": [row.dominant for row in rows],
        "category": [row.category.name for row in rows],
    }
    for name in (*DUST, *GASES):
        if any(name in row.sub for row in rows):
            fields[f"aqi_{name}"] = np.array([row.sub.get(name, np.nan) for row in rows], np.float64)
        if any(name in row.nowcast for row in rows):
            fields[f"nowcast_{name}"] = np.array([row.nowcast.get(name, np.nan) for row in rows], np.float64)
    tags = {"station": box.device, "site": box.site}
    return Frame(measurement=measurement, tags=tags, at=np.array(at, np.int64), fields=fields)


def _usable(means: Means) -> dict[int, float]:
    pairs = zip(means.at.tolist(), means.usable().tolist(), strict=True)
    return {at: value for at, value in pairs if not np.isnan(value)}


def _largest(means: Means, start: int, stop: int) -> float:
    """The largest usable mean that begins in a span; NaN if there is none."""
    low, high = np.searchsorted(means.at, (start, stop))
    values = means.usable()[low:high]
    values = values[~np.isnan(values)]
    return float(values.max()) if len(values) else float("nan")
