"""InfluxDB 1.x by its `/write` and `/query`; checked against a real server, 1.6.7. See `influx.py`."""

# ruff: noqa: S608 - InfluxQL takes names as text: each is ours or matched against PLAIN
from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, Series, StoreError, Table, buckets
from collector.stores.influx import PLAIN, TIMEOUT_S, latest_row, newest, places, refusal, requests, sample, tables_of
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
    ) -> None:
        self._url = url.rstrip("/")
        self._database, self._plates_database = database, plates_database
        self._headers = urllib3.make_headers(basic_auth=f"{user}:{password or ''}") if user else {}
        self._http = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False)

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points; in several requests if they are many, of which the first may be stored when one fails."""
        for database, body in requests(frames, self._database, self._plates_database):
            try:
                self._write(database, body)
            except StoreError as error:
                if _MISSING not in str(error):
                    raise
                self._ask(f'CREATE DATABASE "{database}"', database)
                self._write(database, body)

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
        (found,) = self._ask(
            f'SELECT {fields} FROM "{measurement}" WHERE ({which}) AND time >= {start:d}ms AND time < {stop:d}ms '
            "GROUP BY station ORDER BY time"
        )
        return tables_of((r["station"], r.pop("time"), r) for r in found)

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
        self._http.clear()

    def _fields(self) -> Iterator[tuple[str, str]]:
        """Measurement and name of every field."""
        (found,) = self._ask("SHOW FIELD KEYS")
        return ((r["measurement"], r["fieldKey"]) for r in found)

    def _ask(self, influxql: str, database: str | None = None) -> list[list[dict[str, Any]]]:
        """The rows of each statement's answer, with their tags and the measurement."""
        asked = {"db": database or self._database, "epoch": "ms", "q": influxql}
        answer = json.loads(self._say("/query", urlencode(asked).encode(), "application/x-www-form-urlencoded"))
        statements = []
        for result in answer["results"]:
            if _MISSING not in result.get("error", _MISSING):
                raise StoreError(f"{self._url}: {result['error']}")
            statements.append(
                [
                    {"measurement": s.get("name"), **s.get("tags", {}), **dict(zip(s["columns"], values, strict=True))}
                    for s in result.get("series", ())
                    for values in s["values"]
                ]
            )
        return statements

    def _write(self, database: str, body: bytes) -> None:
        self._say(f"/write?{urlencode({'db': database, 'precision': 'ns'})}", body, "text/plain; charset=utf-8")

    def _say(self, path: str, body: bytes, kind: str) -> bytes:
        headers = {**self._headers, "Content-Type": kind}
        try:
            response = self._http.request("POST", self._url + path, body=body, headers=headers)
        except HTTPError as error:
            raise StoreError(f"{self._url} does not answer: {error}") from error
        if response.status >= 300:
            raise refusal(self._url, response.status, response.data, body)
        return bytes(response.data)
