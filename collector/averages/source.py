"""Means made from what the store holds of a station: from its samples, or from its hourly means."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import msgspec
import numpy as np

from collector.averages.aqi import Index
from collector.averages.indices import by_day, by_hour
from collector.averages.means import COUNTERS, MAX_RISE_MS, Floats, Means, Rule, of_hours, of_samples
from collector.averages.paces import Paces
from collector.averages.periods import DAY, HOUR, Period, Times, end_of_last, holding, stops
from collector.points import Column, Frame
from collector.stores import Series, Store, Table
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import BY_NAME

AT_ONCE_MS = 31 * DAY
"""What is read of one quantity at once: at a sample a second 2.7 million."""
PARTS = ("", "_flag", "_status")
"""Endings of the fields of a sample."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The store, and what its samples are held against. Reading raises StoreError."""

    store: Store
    paces: Paces
    rule: Rule

    def of_samples(
        self, box: Box, period: Period, start: int, stop: int, quantities: Collection[str] | None = None
    ) -> dict[str, Means]:
        """Means of samples, by quantity, over the periods that begin in a span (ms); read at once, so keep it short.

        `period` is of an hour at most. Without `quantities` all that the station has.
        """
        if box.medium is None:
            return {}
        end = end_of_last(period, stop)
        all_found = self._samples(box, start, end, quantities)
        starts = _within(holding(period, all_found.at), start, stop)
        made = {}
        for quantity in BY_NAME if quantities is None else quantities:
            if quantity in all_found.fields or f"{quantity}_flag" in all_found.fields:
                # the first rise of a counter in a period is since a sample before it
                table = self._samples(box, start - MAX_RISE_MS, end, [quantity]) if quantity in COUNTERS else all_found
                columns = (table.numbers(quantity + part) for part in PARTS)
                made[quantity] = of_samples(
                    quantity,
                    table.at,
                    *columns,
                    starts=starts,
                    stops=stops(period, starts),
                    due=self.paces.due(box.device, quantity),
                    rule=self.rule,
                )
        return made

    def _samples(self, box: Box, start: int, stop: int, quantities: Collection[str] | None) -> Table:
        names = None if quantities is None else [q + part for q in quantities for part in PARTS]
        found = self.store.tables(box.medium or "", [box.device], start=start, stop=stop, names=names)
        return found.get(box.device, Table.of([], {}))

    def all_of_samples(
        self, box: Box, period: Period, start: int, stop: int, quantities: Collection[str]
    ) -> dict[str, Means]:
        """As `of_samples` for any span, which is read piece by piece; where nothing is, there are no pieces."""
        pieces: dict[str, list[Means]] = {}
        begin = start // HOUR * HOUR
        while begin < stop and box.medium is not None:
            end = min(begin + AT_ONCE_MS // max(len(quantities), 1), stop)
            end = max(end // HOUR * HOUR, begin + HOUR)
            made = self.of_samples(box, period, max(begin, start), min(end, stop), quantities)
            for quantity, means in made.items():
                pieces.setdefault(quantity, []).append(means)
            begin = end if made else self._next(box, quantities, end, stop)
        return {quantity: joined(means) for quantity, means in pieces.items()}

    def _next(self, box: Box, quantities: Collection[str], start: int, stop: int) -> int:
        """The hour of the first sample in a span; the end of the span if there is none."""
        first = stop
        for quantity in quantities:
            rest = Series(measurement=box.medium or "", station=box.device, quantity=quantity, start=start, stop=first)
            first = min([first, *(row.at // HOUR * HOUR for row in self.store.readings(rest, limit=1))])
        return first

    def of_hours(self, box: Box, period: Period, hours: Mapping[str, Means], start: int, stop: int) -> dict[str, Means]:
        """Means of hourly means, by quantity, over the longer periods that begin in a span."""
        made = {}
        for quantity, given in hours.items():
            starts = _within(holding(period, given.at), start, stop)
            due = self.paces.due(box.device, quantity)
            ends = stops(period, starts)
            made[quantity] = of_hours(quantity, given, starts=starts, stops=ends, due=due, rule=self.rule)
        return made

    def indices(
        self, box: Box, measurement: str, hours: Mapping[str, Means], starts: Times, *, literal: bool
    ) -> dict[int, Index]:
        """Air quality indices (`aqi_1h` or `aqi_24h`) that begin at `starts`, by beginning, from hourly means."""
        if measurement == "aqi_1h":
            return by_hour(hours, starts, literal=literal)
        return by_day(hours, starts, due=partial(self.paces.due, box.device), rule=self.rule)

    def stored(self, box: Box, period: Period, start: int, stop: int, quantities: Collection[str] | None = None
    ) -> dict[str, Means]:  # fmt: skip
        """Means that stand in the store, by quantity."""
        names = None if quantities is None else [q + part for q in quantities for part in ("", "_flag", "_coverage")]
        measurement = f"{box.medium}_{period}"
        found = self.store.tables(measurement, [box.device], start=start, stop=stop, names=names)
        return means_in(found[box.device]) if box.device in found else {}


def joined(pieces: Sequence[Means]) -> Means:
    """Means of stretches of time that follow each other as one."""
    return Means(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def means_in(table: Table) -> dict[str, Means]:
    """The means of a table of averages, by quantity."""
    made = {}
    for name in table.fields:
        quantity = name.removesuffix("_flag")
        if name.endswith("_flag") and quantity in BY_NAME:
            flag = table.fields[name]
            rows = ~np.isnan(flag)
            value, coverage = table.numbers(quantity)[rows], table.numbers(f"{quantity}_coverage")[rows]
            flags = flag[rows].astype(np.uint8)
            made[quantity] = Means(table.at[rows], value, flags, np.nan_to_num(coverage))
    return made


def frame(box: Box, period: Period, means: Mapping[str, Means], text: str) -> Frame:
    """Means of one station as points; `text` says by which rule they were made."""
    ats = [made.at for made in means.values()]
    at = np.unique(np.concatenate(ats)) if ats else np.zeros(0, np.int64)
    fields: dict[str, Column] = {}
    for quantity, made in means.items():
        rows = np.searchsorted(at, made.at)
        fields[quantity] = _spread(rows, made.value, len(at))
        flags = np.zeros(len(at), np.uint8)
        flags[rows] = made.flag
        fields[f"{quantity}_flag"] = flags
        fields[f"{quantity}_coverage"] = _spread(rows, made.coverage, len(at))
    fields["rule"] = [text] * len(at)
    tags = {"station": box.device, "site": box.site}
    return Frame(measurement=f"{box.medium}_{period}", tags=tags, at=at, fields=fields)


def _spread(rows: Times, values: Floats, n: int) -> Floats:
    column = np.full(n, np.nan)
    column[rows] = values
    return column


def _within(starts: Times, start: int, stop: int) -> Times:
    return starts[(starts >= start) & (starts < stop)]
