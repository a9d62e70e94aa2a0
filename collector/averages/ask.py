"""Averages and air quality indices for whoever asks: those in the store, and what they do not hold yet.

    Averages.ask("air-03", "pm2_5", "1h", start, stop)     one row for each hour that has a sample
    Averages.aqi("air-03", start, stop, "24h")             one for each day that has an index

Of an hour and more the stored averages are given; what begins after the last of them, the running period too, is made
now, from the samples. Periods of 1 min and 5 min are always made now. A running period shows in its coverage, which is
of all that is due in it. Where the store has no averages at all, as of samples that are older than this collector's
first, all are made of samples. `of_samples` makes any of them so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal

import msgspec
import numpy as np

from collector.averages.aqi import DUST, GASES, Category, category
from collector.averages.indices import BACK_MS, LENGTH_MS
from collector.averages.means import NONE, Means
from collector.averages.periods import HOUR, LONGER, Period, end_of_last, holding, stops
from collector.averages.source import Source, joined, means_in
from collector.stores import Table
from edge_agent.contract.device import Box

MADE_NOW: tuple[Period, ...] = ("1min", "5min")
"""Periods of which the store holds no averages."""


class AverageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One mean of one quantity."""

    at: int
    """Its period's beginning, milliseconds since 1970 in UTC."""
    value: float | None
    """In the registry's unit; of rain what fell."""
    flag: int
    """1 enough data, 2 no coverage rule is set, 3 too little data by the rule, 9 no usable value."""
    coverage: float
    """Per cent of the samples due that are in it."""
    n: int
    """How many samples are in it."""
    due: int
    rule: str
    """Which samples count, and how many are enough."""


class AqiRow(msgspec.Struct, frozen=True, kw_only=True):
    """The air quality index of an hour or a day."""

    at: int
    """Its beginning, milliseconds since 1970 in UTC."""
    aqi: int
    dominant: str
    """The quantity whose sub-index it is."""
    sub: dict[str, int]
    """Sub-indices by quantity."""
    nowcast: dict[str, float]
    """µg/m3; of hours only."""

    @property
    def category(self) -> Category:
        """What the index means, with its names and colour."""
        return category(self.aqi)


class Averages(msgspec.Struct, frozen=True, kw_only=True):
    """Answers from the store; safe in any thread. Unknown stations give nothing. Raises StoreError."""

    fleet: Mapping[str, Box]
    source: Source
    literal_nowcast: bool
    now: Callable[[], int]

    def ask(self, station: str, quantity: str, period: Period, start: int, stop: int) -> list[AverageRow]:
        """Means over the periods that begin from `start` to before `stop` (ms) and hold a sample, in order of time."""
        box = self.fleet.get(station)
        if box is None or box.medium is None or start >= stop:
            return []
        rows: list[AverageRow] = []
        if period not in MADE_NOW:
            names = [quantity, f"{quantity}_flag", f"{quantity}_coverage", "rule"]
            found = self.source.store.tables(f"{box.medium}_{period}", [station], start=start, stop=stop, names=names)
            if station in found:
                at, rules = found[station].at.tolist(), found[station].fields.get("rule", ())
                rows = self._rows(box, quantity, period, means_in(found[station]), dict(zip(at, rules, strict=False)))
        begin = max(start, _after(period, rows[-1].at)) if rows else start
        return rows + self._made_now(box, quantity, period, begin, stop) if begin < stop else rows

    def of_samples(self, station: str, quantity: str, period: Period, start: int, stop: int) -> list[AverageRow]:
        """As `ask`, made from samples alone: what the stored averages can be checked against."""
        box = self.fleet.get(station)
        if box is None or start >= stop:
            return []
        if period in LONGER:
            hours = self.source.all_of_samples(box, "1h", start, end_of_last(period, stop), [quantity])
            return self._rows(box, quantity, period, self.source.of_hours(box, period, hours, start, stop))
        made = self.source.all_of_samples(box, period, start, stop, [quantity])
        return self._rows(box, quantity, period, made)

    def aqi(self, station: str, start: int, stop: int, period: Literal["1h", "24h"] = "1h") -> list[AqiRow]:
        """The indices of the hours or days that begin from `start` to before `stop` (ms) and have one."""
        box = self.fleet.get(station)
        if box is None or box.medium != "air" or start >= stop:
            return []
        measurement, stop = f"aqi_{period}", min(stop, self.now() + 1)
        found = self.source.store.tables(measurement, [station], start=start, stop=stop)
        rows = _index_rows(found[station]) if station in found else []
        begin = max(start, _after(period, rows[-1].at)) if rows else start
        if begin >= stop:
            return rows
        hours = self._hours(box, (*DUST, *GASES), begin - BACK_MS[measurement], stop + LENGTH_MS[measurement])
        dust = np.concatenate([np.zeros(0, np.int64), *(hours[name].at for name in DUST if name in hours)])
        if period == "1h":  # an hour without samples still has an index by the two before it
            dust = np.concatenate((dust, dust + HOUR, dust + 2 * HOUR))
        starts = holding(period, dust)
        starts = starts[(starts >= begin) & (starts < stop)]
        made = self.source.indices(box, measurement, hours, starts, literal=self.literal_nowcast)
        return rows + [
            AqiRow(at=at, aqi=index.aqi, dominant=index.dominant, sub=index.sub, nowcast=index.nowcast)
            for at, index in made.items()
        ]

    def _made_now(self, box: Box, quantity: str, period: Period, start: int, stop: int) -> list[AverageRow]:
        if period in LONGER:
            hours = self._hours(box, [quantity], start, end_of_last(period, stop))
            made = self.source.of_hours(box, period, hours, start, stop)
        else:
            made = self.source.all_of_samples(box, period, start, stop, [quantity])
        return self._rows(box, quantity, period, made)

    def _hours(self, box: Box, quantities: Collection[str], start: int, stop: int) -> dict[str, Means]:
        """Hourly means: the stored ones, and behind the last of them what the samples make now."""
        stored = self.source.stored(box, "1h", start, stop, quantities)
        ends = [int(means.at[-1]) + HOUR for means in stored.values() if len(means.at)]
        fresh = self.source.all_of_samples(box, "1h", max(ends, default=start), stop, quantities)
        both = {name: [part[name] for part in (stored, fresh) if name in part] for name in quantities}
        return {name: joined(parts) for name, parts in both.items() if parts}

    def _rows(
        self, box: Box, quantity: str, period: Period, made: Mapping[str, Means], rules: Mapping[int, str] | None = None
    ) -> list[AverageRow]:
        if quantity not in made:
            return []
        means = made[quantity]
        due = self.source.paces.due(box.device, quantity)(means.at, stops(period, means.at))
        text = self.source.rule.text(longer=period in LONGER)
        return [
            AverageRow(
                at=at,
                value=None if flag == NONE or np.isnan(value) else value,
                flag=flag,
                coverage=coverage,
                n=round(coverage * max(count, 1) / 100),
                due=round(count),
                rule=text if rules is None else rules.get(at, ""),
            )
            for at, value, flag, coverage, count in zip(*(column.tolist() for column in (*means, due)), strict=True)
        ]


def _after(period: Period, at: int) -> int:
    """Where the next period begins."""
    return at + HOUR if period == "8h" else int(stops(period, np.array([at], np.int64))[0])


def _index_rows(table: Table) -> list[AqiRow]:
    columns = {name: column.tolist() for name, column in table.fields.items()}
    return [
        AqiRow(
            at=at,
            aqi=round(columns["aqi"][i]),
            dominant=columns["dominant"][i],
            sub={name: round(value) for name, value in _part("aqi_", columns, i)},
            nowcast=dict(_part("nowcast_", columns, i)),
        )
        for i, at in enumerate(table.at.tolist())
    ]


def _part(prefix: str, columns: Mapping[str, list[float]], row: int) -> Iterator[tuple[str, float]]:
    for name in (*DUST, *GASES):
        value = columns.get(prefix + name, [float("nan")] * (row + 1))[row]
        if not np.isnan(value):
            yield name, value
