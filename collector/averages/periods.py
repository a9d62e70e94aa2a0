"""The periods that are averaged over, in local time (UTC+7, no summer time); pure, by column.

Every period is half-open: it holds its beginning and not its end. Times are milliseconds since 1970 in UTC. Midnight of
the island is a whole hour in UTC, so hours and shorter periods are the same in both. The 8 hours run: a period of them
begins with every hour.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from collector.local_time import LOCAL_MS

Times = NDArray[np.int64]
Period = Literal["1min", "5min", "1h", "8h", "24h", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)
LONGER: tuple[Period, ...] = ("8h", "24h", "month")
"""Periods whose mean is made of hourly means; the shorter ones are made of samples."""

HOUR = 3_600_000
DAY = 24 * HOUR
_STEP = {"1min": 60_000, "5min": 300_000, "1h": HOUR, "24h": DAY}
_RUNNING = np.arange(8, dtype=np.int64) * HOUR


def floor(period: Period, at: Times) -> Times:
    """Where the last period that holds each moment begins."""
    if period == "month":
        months = (at + LOCAL_MS).astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64) - LOCAL_MS
    step = _STEP.get(period, HOUR)
    return (at + LOCAL_MS) // step * step - LOCAL_MS


def stops(period: Period, starts: Times) -> Times:
    """Where the periods that begin at `starts` end."""
    if period == "8h":
        return starts + 8 * HOUR
    if period == "month":
        return floor("month", starts + 32 * DAY)
    return starts + _STEP[period]


def holding(period: Period, at: Times) -> Times:
    """Beginnings of all periods that hold one of the moments, each once, in order."""
    last = np.unique(floor(period, at))
    return np.unique(last[:, None] - _RUNNING) if period == "8h" else last


def end_of_last(period: Period, stop: int) -> int:
    """Where the last period that begins before `stop` ends."""
    return int(stops(period, floor(period, np.array([stop - 1], np.int64)))[0])
