"""VictoriaMetrics, a single server, by `/api/v1/import` and `/api/v1/export`; checked against a real one, 1.79.

Its yes means only that the points are in its memory: a `kill -9` loses all of the last seconds (measured: 162,400 of
162,400), also after `/internal/force_flush`, which makes them visible (7,300 of 126,300). A snapshot does write out
what is in memory, in every version, so one is made, and deleted, before `write` returns (0 of 73,400).

It keeps numbers only: text, and so whatever tells which vehicle passed, is not written. It changes and deletes no
point: of several values for one moment the greatest counts here, so the worst flag; with its
`-dedup.minScrapeInterval=1ms`, which keeps one of equal ones only, 1.79 leaves any. What it is too old for it drops in
silence, so that is refused here.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Sequence
from random import Random, SystemRandom
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
import urllib3
from numpy.typing import NDArray

from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, RejectedError, Series, StoreError, Table, buckets
from collector.stores.requests import Request, Witness, missing, requests, send_all
from collector.stores.rows import PLAIN, latest_row, newest, sample
from collector.stores.series import series
from collector.stores.server import Server
from collector.stores.victoria_flags import Span, span
from edge_agent.contract.quantities import BY_NAME, MEDIA

log = logging.getLogger(__name__)

FLAGS_EVERY_S = 600.0
_ANSWERS = (ValueError, LookupError, TypeError)
"""What comes of an answer that is not VictoriaMetrics'."""


class _Values(msgspec.Struct, frozen=True):
    """A line of `/api/v1/export`."""

    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]
    """Milliseconds since 1970 in UTC."""

    def __post_init__(self) -> None:
        if "__name__" not in self.metric or len(self.values) != len(self.timestamps):
            raise ValueError("no series")

    def there(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and values; null is none, but says that a series ended."""
        values = np.array(self.values, float)
        there = ~np.isnan(values)
        return np.array(self.timestamps, np.int64)[there], values[there]


_decoder = msgspec.json.Decoder(_Values)


class VictoriaStore:
    """A VictoriaMetrics server. See `Store`."""

    def __init__(
        self,
        *,
        url: str,
        user: str | None = None,
        password: str | None = None,
        chance: Random | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        """`now`: seconds since 1970; by default the server's clock, since that decides what it keeps."""
        self._server = Server(url, urllib3.make_headers(basic_auth=f"{user}:{password or ''}") if user else {})
        self._chance = chance or SystemRandom()
        self._now = now or self._server.now
        self._span = Span()
        self._span_read = -FLAGS_EVERY_S

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points; RejectedError before anything is sent if one is older than is kept, or far ahead."""
        self._server.leave_alone()
        self._refuse_outside(frames)
        sent: list[Witness] = []

        def send(request: Request) -> None:
            self._server.write("/api/v1/import", request.body)
            sent.extend(request.witnesses)

        numbers = [_numbers(frame) for frame in frames]
        send_all(requests(numbers, "", None, render=series, chance=self._chance), send)
        if sent:
            self._to_disk()
        for witness in sent:
            if not self._has(witness):
                self._span_read = -FLAGS_EVERY_S
                self._refuse_outside(frames)  # it may have been started again to keep less
                raise missing(self._server.url, witness)

    def forget(self, measurement: str, before: int) -> None:
        """Do nothing: nothing that must be forgotten is written here; the server's retention deletes the rest."""

    def erase(self, measurement: str, station: str, times: Collection[int]) -> None:
        """Do nothing: it cannot delete single points."""

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """Give samples or buckets; these are made here, from all samples."""
        q = series.quantity
        if not (PLAIN.fullmatch(series.station) and q in BY_NAME and series.measurement in MEDIA):
            return []
        names = [q, f"{q}_flag", f"{q}_status"]
        found = self.tables(series.measurement, [series.station], start=series.start, stop=series.stop, names=names)
        if series.station not in found:
            return []
        table = found[series.station]
        columns = ([None if v != v else v for v in table.numbers(name).tolist()] for name in names)  # noqa: PLR0124
        rows = [sample(*row) for row in zip(table.at.tolist(), *columns, strict=True)]
        return (rows if every_ms is None else buckets(rows, every_ms))[:limit]

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
        which = "|".join(station for station in stations if PLAIN.fullmatch(station))
        if not which or (names is not None and not names) or not PLAIN.fullmatch(measurement):
            return {}
        fields = "[a-z].*" if names is None else "|".join(names)
        match = f'{{__name__=~"{measurement}_({fields})",station=~"{which}"}}'
        by_station: dict[str, dict[str, list[_Values]]] = {}
        for found in self._export(match, start, stop):
            field = found.metric["__name__"].removeprefix(f"{measurement}_")
            if names is not None or not field.startswith("month_"):  # that is of another measurement
                by_station.setdefault(found.metric["station"], {}).setdefault(field, []).append(found)
        tables = {station: _table(columns) for station, columns in by_station.items()}
        return {station: table for station, table in tables.items() if len(table.at)}

    def latest(self, since: int) -> list[LatestRow]:
        """Give the last sample of every quantity and station."""
        end = self._now() + 2 * 86_400
        which = f'{{__name__=~"({"|".join(MEDIA)})_.+",station!=""}}[{end - since / 1000:.0f}s]'
        asked = {"time": f"{end:.0f}", "nocache": "1"}
        times = self._query(f"tlast_over_time({which}) keep_metric_names", asked)
        values = self._query(f"last_over_time({which})", asked)
        rows = []
        for (name, station, site), seconds in times.items():
            medium = next(medium for medium in MEDIA if name.startswith(f"{medium}_"))
            quantity = name.removeprefix(f"{medium}_").removesuffix("_flag")
            if name.endswith("_flag") and quantity in BY_NAME:
                of_then = [
                    values.get(key) if times.get(key) == seconds else None
                    for key in ((f"{medium}_{quantity}{ending}", station, site) for ending in ("", "_status"))
                ]
                flag = int(values[name, station, site])
                status = None if of_then[1] is None else int(of_then[1])
                row = sample(round(seconds * 1000), of_then[0], flag, status)
                rows.append(latest_row(medium, station, site, quantity, row))
        return newest(rows)

    def counts(self, measurement: str, start: int, stop: int) -> dict[str, int]:
        """How many values each field of a measurement has from `start` to before `stop` (ms)."""
        total: dict[str, int] = {}
        if PLAIN.fullmatch(measurement):
            for found in self._export(f'{{__name__=~"{measurement}_[a-z].*"}}', start, stop):
                field = found.metric["__name__"].removeprefix(f"{measurement}_")
                total[field] = total.get(field, 0) + len(np.unique(found.there()[0]))
        return total

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _refuse_outside(self, frames: Sequence[Frame]) -> None:
        if time.monotonic() - self._span_read >= FLAGS_EVERY_S:
            self._span = span(self._server.ask("/flags").decode(errors="replace"))
            self._span_read = time.monotonic()
        reason = self._span.refuses(frames, self._now())
        if reason:
            if apart := self._server.clocks_apart():
                raise StoreError(f"{self._server.url} {reason}; {apart}")
            raise RejectedError(f"{self._server.url} {reason}")

    def _to_disk(self) -> None:
        """Let it write out what it has in memory."""
        made = self._say("/snapshot/create")
        if made.get("status") != "ok":
            raise StoreError(f"{self._server.url} cannot write out what it holds in memory: {made.get('msg')}")
        self._say("/snapshot/delete?" + urlencode({"snapshot": made.get("snapshot", "")}))

    def _has(self, witness: Witness) -> bool:
        tags = ",".join(f"{name}={json.dumps(value)}" for name, value in witness.tags.items())
        at = witness.at_ns // 1_000_000
        found = self._export(f"{witness.measurement}_{witness.field}{{{tags}}}", at, at + 1)
        return witness.among(value for each in found for value in each.values)

    def _export(self, match: str, start: int, stop: int) -> list[_Values]:
        """Series with their values, one sometimes in several parts, and a moment in several of them."""
        asked = {"match[]": match, "start": f"{start / 1000:.3f}", "end": f"{(stop - 1) / 1000:.3f}"}
        text = self._server.ask("/api/v1/export", urlencode(asked).encode())
        try:
            return _decoder.decode_lines(text)
        except ValueError as error:
            raise self._odd(text) from error

    def _query(self, query: str, asked: dict[str, str]) -> dict[tuple[str, str, str], float]:
        """Of a question for one moment the value of each series, by name, station and site."""
        text = self._server.ask("/api/v1/query", urlencode({"query": query, **asked}).encode())
        try:
            return {
                (tags["__name__"], tags["station"], tags.get("site", "")): float(value)
                for tags, (_, value) in (
                    (found["metric"], found["value"]) for found in json.loads(text)["data"]["result"]
                )
            }
        except _ANSWERS as error:
            raise self._odd(text) from error

    def _say(self, path: str) -> dict[str, Any]:
        text = self._server.ask(path)
        try:
            return dict(json.loads(text))
        except _ANSWERS as error:
            raise self._odd(text) from error

    def _odd(self, text: bytes) -> StoreError:
        return StoreError(f"{self._server.url} answers what VictoriaMetrics does not: {text[:100]!r}")


def _numbers(frame: Frame) -> Frame:
    """A frame without its texts, of which zeros would be made."""
    fields = {name: column for name, column in frame.fields.items() if not isinstance(column, list)}
    return msgspec.structs.replace(frame, fields=fields)


def _table(columns: dict[str, list[_Values]]) -> Table:
    """Of several values for one moment the greatest."""
    parts = {name: [part.there() for part in found] for name, found in columns.items()}
    at = np.unique(np.concatenate([times for found in parts.values() for times, _ in found]))
    fields = {name: np.full(len(at), np.nan) for name, found in parts.items() if any(len(times) for times, _ in found)}
    for name, column in fields.items():
        for times, values in parts[name]:
            np.fmax.at(column, np.searchsorted(at, times), values)
    return Table(at=at, fields=fields)
