"""The embedded store: one DuckDB file, one wide table for each measurement.

    SELECT time, pm2_5, pm2_5_flag FROM air WHERE station = 'air-01' ORDER BY time DESC LIMIT 10

`time` is a TIMESTAMP in UTC. Columns come as fields appear. The primary key is (station, time), (camera, time) and so
on; it is what makes a point that comes again harmless. Writes are whole columns in one transaction: row by row DuckDB
takes 600 points a second, so it takes more than 100,000.

Writes and `forget` belong to one thread; queries may run in any thread beside it, each on a cursor of its own that
sees the last commit. A second process cannot open the file while the collector runs: use the HTTP API.
"""

# ruff: noqa: S608 - SQL takes names as text: they are checked columns of ours; whatever a user gives is a parameter
from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np

from collector.local_time import LOCAL_MS
from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, RejectedError, Series, StoreError, Table
from collector.stores.mark import Mark, cure
from collector.stores.stack import Stacked, stack
from edge_agent.contract.quantities import BY_NAME, MEDIA

log = logging.getLogger(__name__)

LIMITS: dict[str, str | int] = {"threads": 1, "memory_limit": "512MB"}
"""DuckDB's own memory and processor use; by default it takes most of the machine. Enough for years: the primary key's
index need not fit (`scripts/bench stations` writes 13.7 million rows; 41 million went in as fast)."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TYPES = {"f": "DOUBLE", "u": "UTINYINT", "i": "BIGINT", "b": "BOOLEAN", "O": "VARCHAR"}
T = TypeVar("T")
_REJECTED = (duckdb.DataError, duckdb.ProgrammingError, ValueError)
"""Wrong types and names, which no second try makes right."""


class DuckStore:
    """A store in the file `path`, which is made if it is missing. See `Store`."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises StoreError where that fails, or where the file lacks what it has confirmed."""
        self._path = path
        self._columns: dict[str, set[str]] = {}
        self._mark = Mark(path)
        self._open()

    def _open(self) -> None:
        self._invalid = True
        try:
            self._db = duckdb.connect(self._path, config=LIMITS)
            self._queries = self._db.cursor()
            self._mark.check(self._db)
            rows = self._db.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'main'"
            ).fetchall()
        except duckdb.Error as error:
            raise StoreError(f"{self._path} cannot be opened: {error}\n  {cure(self._path, str(error))}") from error
        columns: dict[str, set[str]] = {}
        for table, column in rows:
            columns.setdefault(table, set()).add(column)
        self._columns = columns
        self._invalid = False

    def _be_valid(self) -> None:
        """Open the file again after an error, such as a full disk, that DuckDB recovers from in no other way."""
        if self._invalid:
            self._queries.close()
            self._db.close()
            self._open()

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points in one transaction; all of them or none."""
        self._be_valid()
        together: dict[tuple[str, tuple[str, ...]], list[Frame]] = {}
        for frame in frames:
            if len(frame.at):
                together.setdefault((frame.measurement, tuple(frame.tags)), []).append(frame)
        known = {table: columns.copy() for table, columns in self._columns.items()}
        try:
            self._db.execute("BEGIN")
            for (measurement, tags), alike in together.items():
                self._insert(measurement, tags, stack(alike), known)
            self._mark.count(self._db)
            self._db.execute("COMMIT")
            self._columns = known  # not before: queries in other threads see the last commit
            self._mark.keep()
        except BaseException as error:
            self._roll_back()
            self._invalid = isinstance(error, duckdb.FatalException)
            if isinstance(error, _REJECTED):
                raise RejectedError(f"{self._path} rejects {len(frames)} frames: {error}") from error
            if isinstance(error, duckdb.Error):
                raise StoreError(f"{self._path} did not take {len(frames)} frames: {error}") from error
            raise

    def _roll_back(self) -> None:
        try:
            self._db.execute("ROLLBACK")
        except duckdb.Error as error:  # the failed statement may have ended the transaction itself
            log.debug("nothing to roll back: %s", error)

    def _insert(self, table: str, tags: tuple[str, ...], points: Stacked, known: dict[str, set[str]]) -> None:
        key = f'"{tags[0]}", "time"'
        if table not in known:
            columns = "".join(f', "{_checked(tag)}" VARCHAR' for tag in tags[1:])
            self._db.execute(
                f'CREATE TABLE "{_checked(table)}" ("{_checked(tags[0])}" VARCHAR, "time" TIMESTAMP{columns}, '
                f"PRIMARY KEY ({key}))"
            )
            known[table] = {*tags, "time"}
        for name in points.fields.keys() - known[table]:
            kind = _TYPES[points.fields[name].dtype.kind]
            self._db.execute(f'ALTER TABLE "{table}" ADD COLUMN "{_checked(name)}" {kind}')
            known[table].add(name)
        picked = [f'"{name}"' for name in (*tags, "time")]
        merged = [f'"{tag}" = excluded."{tag}"' for tag in tags[1:]]
        for name, column in points.fields.items():
            picked.append(f'nullif("{name}", 0) AS "{name}"' if column.dtype.kind == "u" else f'"{name}"')
            merged.append(f'"{name}" = coalesce(excluded."{name}", "{name}")')
        self._db.register("_points", {**points.tags, "time": points.time.view("datetime64[us]"), **points.fields})
        self._db.execute(
            f'INSERT INTO "{table}" BY NAME SELECT {", ".join(picked)} FROM _points '
            f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(merged)}"
        )
        self._db.unregister("_points")

    def forget(self, measurement: str, before: int) -> None:
        """Delete old points. Freed parts of the file are overwritten as it is used again, not at once."""
        self._delete(measurement, '"time" < make_timestamp(?)', [before * 1000], then="CHECKPOINT")

    def erase(self, measurement: str, station: str, times: Collection[int]) -> None:
        """Delete points."""
        micros = [at * 1000 for at in times]
        self._delete(measurement, 'station = ? AND epoch_us("time") IN (SELECT unnest(?))', [station, micros])

    def _delete(self, measurement: str, which: str, parameters: list[Any], then: str = "") -> None:
        self._be_valid()
        if measurement not in self._columns:
            return
        try:
            self._db.execute(f'DELETE FROM "{measurement}" WHERE {which}', parameters)
            if then:
                self._db.execute(then)
        except duckdb.Error as error:
            self._invalid = isinstance(error, duckdb.FatalException)
            raise StoreError(f"{self._path}: points of {measurement} were not deleted: {error}") from error

    def tables(
        self,
        measurement: str,
        stations: Collection[str],
        *,
        start: int,
        stop: int,
        names: Collection[str] | None = None,
    ) -> dict[str, Table]:
        """Give points by column."""
        columns = self._columns.get(measurement, set())
        wanted = sorted(columns - {"station", "time", "site"} if names is None else columns.intersection(names))
        if not wanted or "station" not in columns:
            return {}
        some = " OR ".join(f'"{name}" IS NOT NULL' for name in wanted)
        found = self._asked(
            f'SELECT station, epoch_ms("time") AS "time", {", ".join(map(_quoted, wanted))} FROM "{measurement}" '
            'WHERE station IN (SELECT unnest(?)) AND "time" >= make_timestamp(?) AND "time" < make_timestamp(?) '
            f'AND ({some}) ORDER BY station, "time"',
            [list(stations), start * 1000, stop * 1000],
            lambda answer: answer.fetchnumpy(),
        )
        where = np.ma.getdata(found.pop("station"))
        at = np.ma.getdata(found.pop("time"))
        fields = {name: _absent(column) for name, column in found.items()}
        edges = [*np.flatnonzero(np.append(True, where[1:] != where[:-1])), len(where)] if len(where) else [0]
        tables = {}
        for begin, end in pairwise(edges):
            mine = {name: column[begin:end] for name, column in fields.items() if _any(column[begin:end])}
            tables[str(where[begin])] = Table(at=at[begin:end], fields=mine)
        return tables

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """Give samples, or buckets; nothing for a series that is not known."""
        columns = self._columns.get(series.measurement, set())
        name = series.quantity
        if name not in columns or f"{name}_flag" not in columns:
            return []
        status = f'coalesce("{name}_status", 0)' if f"{name}_status" in columns else "0"
        samples = (
            f'SELECT epoch_ms("time") AS ms, "{name}" AS value, coalesce("{name}_flag", 2) AS flag, {status} AS status '
            f'FROM "{series.measurement}" WHERE station = ? AND "time" >= make_timestamp(?) '
            f'AND "time" < make_timestamp(?) AND ("{name}" IS NOT NULL OR "{name}_flag" IS NOT NULL)'
        )
        span = [series.station, series.start * 1000, series.stop * 1000]
        if every_ms is None:
            rows = self._ask(f"{samples} ORDER BY ms LIMIT {limit:d}", span)
            return [ReadingRow(at=at, value=v, flag=f, status=s, n=int(v is not None)) for at, v, f, s in rows]
        rows = self._ask(
            f"SELECT (ms + {LOCAL_MS}) // {every_ms:d} * {every_ms:d} - {LOCAL_MS} AS bucket, "
            "avg(value) FILTER (flag IN (1, 2)), coalesce(max(flag) FILTER (flag <> 9), 9), max(status), "
            "count(value) FILTER (flag IN (1, 2)), count(*) "
            f"FROM ({samples}) GROUP BY bucket ORDER BY bucket LIMIT {limit:d}",
            span,
        )
        return [ReadingRow(at=at, value=v, flag=f, status=s, n=n, of=of) for at, v, f, s, n, of in rows]

    def latest(self, since: int) -> list[LatestRow]:
        """Give the last sample of every quantity and station."""
        found: list[LatestRow] = []
        for medium in MEDIA:
            columns = self._columns.get(medium, set())
            names = [name for name in BY_NAME if {name, f"{name}_flag"} <= columns]
            if not names:
                continue
            last = ", ".join(
                f"arg_max({{'at': epoch_ms(\"time\"), 'value': \"{name}\", 'flag': \"{name}_flag\", "
                + (f"'status': coalesce(\"{name}_status\", 0)" if f"{name}_status" in columns else "'status': 0")
                + f'}}, "time") FILTER ("{name}_flag" IS NOT NULL)'
                for name in names
            )
            rows = self._ask(
                f'SELECT station, arg_max(site, "time"), {last} FROM "{medium}" WHERE "time" >= make_timestamp(?) '
                "GROUP BY station ORDER BY station",
                [since * 1000],
            )
            for where, site, *samples in rows:
                found += [
                    LatestRow(measurement=medium, station=where, site=site, quantity=name, **sample)
                    for name, sample in zip(names, samples, strict=True)
                    if sample is not None
                ]
        return found

    def close(self) -> None:
        """Write everything into the one file and close it."""
        self._queries.close()
        self._db.close()
        self._mark.close()

    def _ask(self, sql: str, parameters: list[Any]) -> list[Any]:
        return self._asked(sql, parameters, lambda answer: list(answer.fetchall()))

    def _asked(self, sql: str, parameters: list[Any], take: Callable[[Any], T]) -> T:
        try:
            with self._queries.cursor() as cursor:
                return take(cursor.execute(sql, parameters))
        except duckdb.Error as error:
            raise StoreError(f"{self._path} did not answer: {error}") from error


def _checked(name: str) -> str:
    """Names come from the code and the registry; this keeps it so."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a name for a column or table: {name!r}")
    return name


def _quoted(name: str) -> str:
    return f'"{name}"'


def _absent(column: Any) -> Any:
    """A column as DuckDB gives it, with NaN or None where it has no value."""
    if column.dtype.kind == "O":
        return np.where(np.ma.getmaskarray(column), np.array(None), np.ma.getdata(column))
    return np.ma.filled(column.astype(np.float64), np.nan)


def _any(column: Any) -> bool:
    return bool((column != None).any() if column.dtype.kind == "O" else not np.isnan(column).all())  # noqa: E711
