"""Gathers what is known of one station on one local day: samples, means, flags, gaps, limits, index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.averages.ask import AqiRow, AverageRow, Averages
from collector.averages.periods import HOUR
from collector.local_time import local_day, span_of
from collector.quality import QualitySettings
from collector.standards.exceedances import Exceedance, Exceedances
from collector.standards.table import Limit, Standards
from collector.stores import Store, Table
from edge_agent.contract.device import Box
from edge_agent.contract.events import Status
from edge_agent.contract.quantities import QUANTITIES, Quantity

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
USABLE = (1, 2)
LATE = 2.5
"""Times the pace: samples further apart have a gap between them."""


class Curve(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One quantity over a span of time; times in ms, values in its unit, NaN where there is none."""

    quantity: Quantity
    start: int
    stop: int
    at: Times
    values: Floats
    flags: Floats
    means: list[AverageRow]
    """Of hours."""
    limits: list[Limit]
    gaps: list[tuple[int, int]]
    calibrations: list[tuple[int, int]]
    """First and last sample of each."""

    @property
    def usable(self) -> Floats:
        """The values that count."""
        return self.values[np.isin(self.flags, USABLE) & ~np.isnan(self.values)]

    @property
    def counted(self) -> dict[int, int]:
        """How many samples have each flag."""
        return dict(sorted(Counter(self.flags[~np.isnan(self.flags)].astype(int).tolist()).items()))


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch without a value of one quantity, in ms."""

    quantity: str
    since: int
    """The last value before it, or the beginning of the span."""
    until: int | None
    """The first value after it; None while there is none."""


class Day(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A station's day."""

    box: Box
    day: date
    start: int
    stop: int
    curves: list[Curve]
    means: dict[str, AverageRow]
    """Of the day, by quantity."""
    hours: list[AqiRow]
    index: AqiRow | None
    exceedances: list[Exceedance]


class Reports(msgspec.Struct, frozen=True, kw_only=True):
    """Where reports take it all from; every call blocks and may raise StoreError."""

    store: Store
    averages: Averages
    standards: Standards
    exceedances: Exceedances
    quality: QualitySettings

    def gaps(self, box: Box, start: int, stop: int) -> list[Gap]:
        """Where no value came for longer than `gap_s` of the quality settings, by what is stored now.

        Of every quantity that has a value in the span, or of which the box said that it measures it.
        """
        assert box.medium is not None
        names = [quantity.name for quantity in QUANTITIES]
        found = self.store.tables(box.medium, [box.device], start=start, stop=stop, names=names).get(box.device)
        if found is None:
            found = Table.of([], {})
        gaps = []
        expected = self.averages.source.paces.quantities(box.device) | found.fields.keys()
        for quantity in QUANTITIES:
            most = self.quality.limits(box.device, quantity.name).gap_s
            if most and quantity.name in expected:
                at = found.at[~np.isnan(found.numbers(quantity.name))]
                for since, until in _gaps(at, start, min(stop, self.averages.now()), most * 1000):
                    ended = until if len(at) and until <= at[-1] else None
                    gaps.append(Gap(quantity=quantity.name, since=since, until=ended))
        return sorted(gaps, key=lambda gap: gap.since)

    def day(self, box: Box, day: date) -> Day:
        """A local day of a station; empty where nothing is stored."""
        start, stop = span_of(day)
        assert box.medium is not None
        found = self.store.tables(box.medium, [box.device], start=start, stop=stop).get(box.device)
        curves = [] if found is None else list(self._curves(box, found, start, stop))
        means = {}
        for curve in curves:
            rows = self.averages.ask(box.device, curve.quantity.name, "24h", start, stop)
            if rows:
                means[curve.quantity.name] = rows[0]
        days = self.averages.aqi(box.device, start, stop, "24h")
        return Day(
            box=box,
            day=day,
            start=start,
            stop=stop,
            curves=curves,
            means=means,
            hours=self.averages.aqi(box.device, start, stop, "1h"),
            index=days[0] if days else None,
            exceedances=self.exceedances.events(start, stop, stations=[box.device]),
        )

    def curve(self, box: Box, quantity: str, start: int, stop: int) -> Curve | None:
        """One quantity over any span (ms); None where nothing is stored."""
        assert box.medium is not None
        names = [quantity, f"{quantity}_flag", f"{quantity}_status"]
        found = self.store.tables(box.medium, [box.device], start=start, stop=stop, names=names).get(box.device)
        return None if found is None else next(self._curves(box, found, start, stop), None)

    def _curves(self, box: Box, found: Table, start: int, stop: int) -> Iterator[Curve]:
        limits = self.standards.of(box.device, local_day(start))
        for quantity in QUANTITIES:
            if f"{quantity.name}_flag" not in found.fields and quantity.name not in found.fields:
                continue
            values, flags, status = (found.numbers(quantity.name + ending) for ending in ("", "_flag", "_status"))
            there = ~np.isnan(values) | ~np.isnan(flags)
            at, values, flags, status = found.at[there], values[there], flags[there], status[there]
            if not len(at):
                continue
            means = self.averages.ask(box.device, quantity.name, "1h", start, stop)
            due = sum(row.due for row in means) / len(means) if means else 60.0
            apart = LATE * HOUR / max(due, 0.1)
            yield Curve(
                quantity=quantity,
                start=start,
                stop=stop,
                at=at,
                values=values,
                flags=flags,
                means=means,
                limits=[limit for limit in limits if limit.quantity == quantity.name],
                gaps=list(_gaps(at[~np.isnan(values)], start, min(stop, self.averages.now()), apart)),
                calibrations=list(_stretches(at, status == Status.CALIBRATING)),
            )


def _gaps(at: Times, start: int, stop: int, most: float) -> Iterator[tuple[int, int]]:
    ends = np.concatenate(([start], at, [max(stop, int(at[-1]) if len(at) else start)]))
    for i in np.flatnonzero(np.diff(ends) > most):
        yield int(ends[i]), int(ends[i + 1])


def _stretches(at: Times, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], chosen, [False])).astype(int)))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        yield int(at[first]), int(at[end - 1])
