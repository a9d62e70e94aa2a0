"""What servers answer as the rows and tables of `Store`; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from collector.stores import LatestRow, ReadingRow, Table

PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""Names that may stand in a query as they are; no other device or quantity exists."""


def sample(at: int, value: float | None, flag: int | None, status: int | None) -> ReadingRow:
    """A stored sample as a row; what a field lacks is as if not evaluated."""
    return ReadingRow(
        at=at,
        value=None if value is None else float(value),
        flag=2 if flag is None else int(flag),
        status=int(status or 0),
        n=int(value is not None),
    )


NO_FIELDS = frozenset({"result", "table", "measurement", "station", "site", "time"})
"""Columns of an answer that are no fields of a point, beside those that begin with `_`."""


def tables_of(points: Iterable[tuple[str, int, Mapping[str, Any]]]) -> dict[str, Table]:
    """Points in order of time (station, time, columns of the answer) as tables."""
    by_station: dict[str, tuple[list[int], dict[str, list[Any]]]] = {}
    for station, at, row in points:
        times, columns = by_station.setdefault(station, ([], {}))
        for name in row.keys() - columns.keys():
            if name not in NO_FIELDS and not name.startswith("_"):
                columns[name] = [None] * len(times)
        times.append(at)
        for name, column in columns.items():
            column.append(row.get(name))
    return {station: Table.of(times, columns) for station, (times, columns) in by_station.items()}


def latest_row(measurement: str, station: str, site: str, quantity: str, row: ReadingRow) -> LatestRow:
    """A row of `Store.latest`."""
    return LatestRow(
        measurement=measurement,
        station=station,
        site=site,
        quantity=quantity,
        at=row.at,
        value=row.value,
        flag=row.flag,
        status=row.status,
    )


def newest(rows: Sequence[LatestRow]) -> list[LatestRow]:
    """One row for each quantity of a station: it may have been at several sites."""
    found = {(row.measurement, row.station, row.quantity): row for row in sorted(rows, key=lambda row: row.at)}
    return [found[key] for key in sorted(found)]
