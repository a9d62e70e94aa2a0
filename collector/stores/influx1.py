"""InfluxDB 1.x by its `/write` and `/query`; checked against a real server, 1.6.7. See `influx.py`.

It answers when its log is on disk, as long as `wal-fsync-delay` is 0, the default: what it took survives a `kill -9`.
"""

# ruff: noqa: S608 - InfluxQL takes names as text: each is ours or matched against PLAIN
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from random import Random, SystemRandom
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3

from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, Series, StoreError, Table, buckets
from collector.stores.lines import lines
from collector.stores.requests import Request, Witness, missing, places, requests, send_all
from collector.stores.rows import PLAIN, latest_row, newest, sample
from collector.stores.server import Server
from edge_agent.contract.quantities import BY_NAME, MEDIA

_MISSING = "database not found"
"""The server's words; nothing has been written then."""


class Influx1Store:
    """A database of an InfluxDB 1.x server, and one for plates; made if they are missing. See `Store`."""

    def __init__(
        self,
        *,
        url: str,
        database: str,
        plates_database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        chance: Random | None = None,
    ) -> None:
        self._database, self._plates_database = database, plates_database
        self._server = Server(url, urllib3.make_headers(basic_auth=f"{user}:{password or ''}") if user else {})
        self._chance = chance or SystemRandom()

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points; in several requests if they are many, of which the first may be stored when one fails."""
        where = self._database, self._plates_database
        send_all(requests(frames, *where, render=lines, chance=self._chance), self._send)

    def _send(self, request: Request) -> None:
        try:
            self._write(request.place, request.body)
        except StoreError as error:
            if _MISSING not in str(error):
                raise
            self._ask(f'CREATE DATABASE "{request.place}"', request.place)
            self._write(request.place, request.body)
        answers = self._ask("; ".join(map(_question, request.witnesses)), request.place)
        for witness, found in zip(request.witnesses, answers, strict=True):
            if not witness.among(row[witness.field] for row in found):
                raise missing(self._server.url, witness)

    def forget(self, measurement: str, before: int) -> None:
        """Delete old points."""
        for database in places(measurement, self._database, self._plates_database):
            self._ask(f'DELETE FROM "{measurement}" WHERE time < {before:d}ms', database)

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """Give samples or buckets; these are made here, from all samples."""
        q = series.quantity
        if not (PLAIN.fullmatch(series.station) and q in BY_NAME and series.measurement in MEDIA):
            return []
        (found,) = self._ask(
            f'SELECT "{q}", "{q}_flag", "{q}_status" FROM "{series.measurement}" '
            f"WHERE station = '{series.station}' AND time >= {series.start:d}ms AND time < {series.stop:d}ms "
            "ORDER BY time" + (f" LIMIT {limit:d}" if every_ms is None else "")
        )
        rows = (sample(r["time"], r[q], r[f"{q}_flag"], r[f"{q}_status"]) for r in found)
        return list(rows) if every_ms is None else buckets(rows, every_ms)[:limit]

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
        which = " OR ".join(f"station = '{station}'" for station in stations if PLAIN.fullmatch(station))
        if not which or names == [] or not PLAIN.fullmatch(measurement):
            return {}
        fields = "*::field" if names is None else ", ".join(f'"{name}"' for name in names)
        (found,) = self._series(
            f'SELECT {fields} FROM "{measurement}" WHERE ({which}) AND time >= {start:d}ms AND time < {stop:d}ms '
            "GROUP BY station ORDER BY time"
        )
        return {s["tags"]["station"]: _table(s["columns"], s["values"]) for s in found}

    def erase(self, measurement: str, station: str, times: Collection[int]) -> None:
        """Delete points."""
        if times and PLAIN.fullmatch(station):
            this = f"DELETE FROM \"{measurement}\" WHERE station = '{station}' AND time = "
            self._ask("; ".join(f"{this}{at:d}ms" for at in times))

    def latest(self, since: int) -> list[LatestRow]:
        """Give the last sample of every quantity and station."""
        series = [(medium, name) for medium, name in self._fields() if name in BY_NAME and medium in MEDIA]
        if not series:
            return []
        found = self._ask(
            "; ".join(
                f'SELECT last("{q}_flag") AS flag, "{q}" AS value, "{q}_status" AS status FROM "{medium}" '
                f"WHERE time >= {since:d}ms GROUP BY station, site"
                for medium, q in series
            )
        )
        return newest(
            [
                latest_row(medium, r["station"], r["site"], q, sample(r["time"], r["value"], r["flag"], r["status"]))
                for (medium, q), rows in zip(series, found, strict=True)
                for r in rows
            ]
        )

    def counts(self, measurement: str, start: int, stop: int) -> dict[str, int]:
        """How many values each field of a measurement has from `start` to before `stop` (ms), plates included."""
        total: dict[str, int] = {}
        for database in places(measurement, self._database, self._plates_database):
            (found,) = self._ask(
                f'SELECT count(*) FROM "{measurement}" WHERE time >= {start:d}ms AND time < {stop:d}ms', database
            )
            for row in found:
                for name, count in row.items():
                    if name.startswith("count_"):
                        field = name.removeprefix("count_")
                        total[field] = total.get(field, 0) + (count or 0)
        return total

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Measurement and name of every field."""
        (found,) = self._ask("SHOW FIELD KEYS")
        return ((r["measurement"], r["fieldKey"]) for r in found)

    def _ask(self, influxql: str, database: str | None = None) -> list[list[dict[str, Any]]]:
        """The rows of each statement's answer, with their tags and the measurement."""
        return [
            [
                {"measurement": s.get("name"), **s.get("tags", {}), **dict(zip(s["columns"], values, strict=True))}
                for s in found
                for values in s["values"]
            ]
            for found in self._series(influxql, database)
        ]

    def _series(self, influxql: str, database: str | None = None) -> list[list[dict[str, Any]]]:
        """The series of each statement's answer: name, tags, columns, values by row."""
        asked = {"db": database or self._database, "epoch": "ms", "q": influxql}
        answer = self._answer(urlencode(asked).encode())
        for result in answer:
            if _MISSING not in result.get("error", _MISSING):
                raise StoreError(f"{self._server.url}: {result['error']}")
        return [result.get("series", []) for result in answer]

    def _answer(self, asked: bytes) -> list[Any]:
        text = self._server.ask("/query", asked)
        try:
            results = msgspec.json.decode(text)["results"]
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"{self._server.url} answers what InfluxDB does not: {text[:100]!r}") from error
        if not results:
            raise StoreError(f"{self._server.url} answers a question with nothing")
        return list(results)

    def _write(self, database: str, lines: bytes) -> None:
        self._server.write(f"/write?{urlencode({'db': database, 'precision': 'ns'})}", lines)


def _table(names: Sequence[str], points: Sequence[Sequence[Any]]) -> Table:
    columns = dict(zip(names, zip(*points, strict=True), strict=True))
    return Table.of(columns.pop("time"), columns)


def _question(witness: Witness) -> str:
    tags = " AND ".join(f'"{name}" = {_text(value)}' for name, value in witness.tags.items())
    return f'SELECT "{witness.field}" FROM "{witness.measurement}" WHERE time = {witness.at_ns:d} AND {tags}'


def _text(value: str) -> str:
    """A text of InfluxQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
