"""Copies a history from the embedded store to a server, when a collector changes over: measurement by day, verified.

What was copied is remembered, so an interrupted copy goes on where it was. Copying a day again changes nothing, as a
point is known by measurement, tags and time; so the collector may already write to the new store meanwhile.
"""

# ruff: noqa: S608 - SQL takes names as text: they are those of the file's own tables and columns
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import duckdb
import msgspec
import numpy as np
from sqlalchemy import BigInteger, Column, Engine, String, Table, delete, insert, select

from collector.database import METADATA
from collector.points import Frame
from collector.stores import Store, StoreError

COPIED = Table(
    "store_copied",
    METADATA,
    Column("to", String(300), primary_key=True),
    Column("measurement", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("points", BigInteger, nullable=False),
)
TAGS = ("station", "camera", "access_point", "device", "site")
POINTS_AT_ONCE = 20_000


class Counting(Protocol):
    """A store that can tell how many values it has."""

    def counts(self, measurement: str, start: int, stop: int) -> dict[str, int]:
        """How many values each field has from `start` to before `stop` (ms)."""


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """The points of one measurement on one day in UTC."""

    measurement: str
    day: str
    points: int

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Beginning of the day and of the next."""
        start = datetime.fromisoformat(self.day).replace(tzinfo=UTC)
        return start, start + timedelta(days=1)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A field of which the two stores do not have the same number of values."""

    day: Day
    field: str
    here: int
    there: int


class History:
    """The embedded store's file, read beside no other process: DuckDB locks it while a collector uses it."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises StoreError where it is missing, or in use."""
        if not path.exists():
            raise StoreError(f"{path} does not exist: there is no history to copy")
        try:
            self._db = duckdb.connect(path, read_only=True)
        except duckdb.Error as error:
            raise StoreError(f"{path} cannot be read: {error}\n  stop the collector that still writes to it") from error
        rows = self._db.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'main'"
        ).fetchall()
        self._columns: dict[str, dict[str, str]] = {}
        for table, column, kind in rows:
            self._columns.setdefault(table, {})[column] = kind
        self._columns = {table: kinds for table, kinds in self._columns.items() if "time" in kinds}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def days(self) -> list[Day]:
        """What there is, by measurement, the oldest day first."""
        found = []
        for table in sorted(self._columns):
            rows = self._db.execute(
                f'SELECT strftime("time", \'%Y-%m-%d\') AS day, count(*) FROM "{table}" GROUP BY day ORDER BY day'
            ).fetchall()
            found += [Day(measurement=table, day=day, points=points) for day, points in rows]
        return found

    def frames(self, day: Day) -> Iterator[list[Frame]]:
        """The points of a day, in parts."""
        kinds = self._columns[day.measurement]
        tags = [tag for tag in TAGS if tag in kinds]
        fields = [name for name in kinds if name not in (*tags, "time")]
        start, stop = day.span
        series = self._db.execute(
            f'SELECT DISTINCT {", ".join(tags)} FROM "{day.measurement}" WHERE "time" >= ? AND "time" < ?',
            [start.replace(tzinfo=None), stop.replace(tzinfo=None)],
        ).fetchall()
        names = ", ".join(f'"{name}"' for name in fields)
        where = " AND ".join(f"{tag} IS NOT DISTINCT FROM ?" for tag in tags)
        part: list[Frame] = []
        for values in series:
            columns = self._db.execute(
                f'SELECT epoch_us("time") AS "time", {names} FROM "{day.measurement}" '
                f'WHERE "time" >= ? AND "time" < ? AND {where} ORDER BY "time"',
                [start.replace(tzinfo=None), stop.replace(tzinfo=None), *values],
            ).fetchnumpy()
            own = {tag: value for tag, value in zip(tags, values, strict=True) if value is not None}
            part += _frames(day.measurement, own, columns)
            if sum(len(frame.at) for frame in part) >= POINTS_AT_ONCE:
                yield part
                part = []
        if part:
            yield part

    def kinds(self, day: Day) -> dict[str, str]:
        """DuckDB's type of each column of a measurement."""
        return self._columns[day.measurement]

    def counts(self, day: Day) -> dict[str, int]:
        """How many values each field has on a day; what line protocol cannot carry does not count."""
        kinds = self._columns[day.measurement]
        fields = [name for name in kinds if name not in (*TAGS, "time")]
        picked = ", ".join(
            f'count("{name}") FILTER (isfinite("{name}"))' if kinds[name] == "DOUBLE" else f'count("{name}")'
            for name in fields
        )
        start, stop = day.span
        row = self._db.execute(
            f'SELECT {picked} FROM "{day.measurement}" WHERE "time" >= ? AND "time" < ?',
            [start.replace(tzinfo=None), stop.replace(tzinfo=None)],
        ).fetchone()
        assert row is not None
        return {name: count for name, count in zip(fields, row, strict=True) if count}


def _frames(measurement: str, tags: dict[str, str], columns: dict[str, Any]) -> Iterator[Frame]:
    """One frame for all that has an absent value, and one for each field that has none where rows lack it."""
    time = np.asarray(columns.pop("time"), np.int64)
    whole: dict[str, Any] = {}
    for name, column in columns.items():
        values = np.ma.asarray(column)
        there = ~np.ma.getmaskarray(values)
        if values.dtype.kind == "O":
            whole[name] = [value if present else None for value, present in zip(values.data, there, strict=True)]
        elif values.dtype.kind == "f":
            whole[name] = values.filled(np.nan)
        elif values.dtype.kind == "u":
            whole[name] = values.filled(0)
        elif there.any():
            yield _frame(measurement, tags, time[there], {name: values.data[there]})
    if whole:
        yield _frame(measurement, tags, time, whole)


def _frame(measurement: str, tags: dict[str, str], time: Any, fields: dict[str, Any]) -> Frame:
    return Frame(measurement=measurement, tags=tags, at=time // 1000, fields=fields, offset_ns=time % 1000 * 1000)


def copied(engine: Engine, to: str) -> dict[tuple[str, str], int]:
    """What was copied to a store before: points by measurement and day."""
    with engine.connect() as db:
        rows = db.execute(select(COPIED.c.measurement, COPIED.c.day, COPIED.c.points).where(COPIED.c.to == to))
        return {(measurement, day): points for measurement, day, points in rows}


def copy_day(history: History, day: Day, store: Store, engine: Engine, to: str) -> None:
    """Write the points of a day, and remember it. Raises StoreError."""
    for frames in history.frames(day):
        store.write(frames)
    forget(engine, to, day)
    with engine.begin() as db:
        db.execute(insert(COPIED).values(to=to, measurement=day.measurement, day=day.day, points=day.points))


def forget(engine: Engine, to: str, day: Day) -> None:
    """Remember no longer that a day was copied: the next copy takes it again."""
    key = [COPIED.c.to == to, COPIED.c.measurement == day.measurement, COPIED.c.day == day.day]
    with engine.begin() as db:
        db.execute(delete(COPIED).where(*key))


def differences(history: History, day: Day, store: Counting, ignored: frozenset[str]) -> Iterator[Difference]:
    """Fields of a day of which the new store has fewer values; more may have come since from the boxes."""
    start, stop = (round(moment.timestamp() * 1000) for moment in day.span)
    there = store.counts(day.measurement, start, stop)
    for field, here in history.counts(day).items():
        if field not in ignored and there.get(field, 0) < here:
            yield Difference(day=day, field=field, here=here, there=there.get(field, 0))
