"""Holds samples and means against the limits of their day; pure.

Only usable values are judged: flags 1 and 2, measured, and of a mean one with enough data by the rule that is set. What
cannot be judged says so, and takes back what the period said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from collector.averages.periods import HOUR
from collector.local_time import local_day
from collector.standards.exceedances import Evidence, Finding
from collector.standards.table import Limit
from collector.stores import ReadingRow
from edge_agent.contract.legal import Averaging

USABLE = (1, 2)
LENGTH: dict[Averaging, int] = {"sample": HOUR, "1h": HOUR, "8h": 8 * HOUR, "24h": 24 * HOUR}
"""Milliseconds of a period; a month's is found in the calendar. No means of years are made, so none are judged."""


def end_of(averaging: Averaging, at: int) -> int:
    """Where the period that begins at `at` ends."""
    if averaging == "month":
        day = local_day(at).replace(day=1)
        next_month = (day + timedelta(days=32)).replace(day=1)
        return at + (next_month - day).days * 24 * HOUR
    return at + LENGTH[averaging]


def samples(station: str, hour: int, limits: Iterable[Limit], rows: Sequence[ReadingRow]) -> Iterator[Finding]:
    """Judge the samples of one quantity within one hour; limits on anything but samples are passed over."""
    usable = [(row.at, row.value) for row in rows if row.value is not None and row.flag in USABLE and not row.status]
    for limit in limits:
        if limit.averaging != "sample" or not limit.holds(local_day(hour)):
            continue
        beyond = [(at, value) for at, value in usable if limit.broken_by(value)]
        evidence = None
        if beyond:
            worst_at, worst = beyond[0]
            for at, value in beyond[1:]:
                if value != worst and limit.worse(value, worst) == value:
                    worst_at, worst = at, value
            evidence = Evidence(at=hour, first=beyond[0][0], last=beyond[-1][0], worst=worst, worst_at=worst_at,
                                beyond=len(beyond), of=len(usable))  # fmt: skip
        yield Finding(station=station, limit=limit, at=hour, evidence=evidence, judged=bool(usable))


class Mean(NamedTuple):
    """A mean of one quantity over the period that begins at `at` (ms)."""

    averaging: Averaging
    at: int
    value: float | None
    flag: int
    coverage: float | None


def means(station: str, limits: Iterable[Limit], mean: Mean) -> Iterator[Finding]:
    """Judge one mean; limits on other averaging times are passed over."""
    averaging, at, value, flag, coverage = mean
    usable = value is not None and flag in USABLE
    for limit in limits:
        if limit.averaging == averaging and limit.holds(local_day(at)):
            evidence = None
            if usable and value is not None and limit.broken_by(value):
                evidence = Evidence(at=at, first=at, last=end_of(averaging, at), worst=value, worst_at=at, beyond=1,
                                    of=1, coverage=coverage)  # fmt: skip
            yield Finding(station=station, limit=limit, at=at, evidence=evidence, judged=usable)
