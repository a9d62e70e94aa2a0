"""InfluxDB 2.x through its own client; writes also go to whatever takes `/api/v2/write`, such as VictoriaMetrics.

Every write waits for the server's answer: the client's default batching drops data after five tries with only a line
in the log. InfluxDB merges fields of the same series and time, so a redelivery changes nothing.

Environmental officers ask the server themselves and must never see a plate. The server's rights are by bucket (in 1.x
by database), so plates stand in one of their own; where none is named, what tells which vehicle it was is not written.

Checked against a real VictoriaMetrics 1.79: writing, with what it makes of it (text is 0 there, every number a float,
and milliseconds, so that two plate reads of one millisecond are one). Queries and deletion are
checked with the real client against canned answers of a 2.x server only, and with InfluxData's compiler of Flux: no
server could be had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import SYNCHRONOUS
from urllib3.exceptions import HTTPError

from collector.points import NAMING, PLATES, Frame
from collector.stores import LatestRow, ReadingRow, RejectedError, Series, StoreError, Table, buckets
from collector.stores.lines import lines
from edge_agent.contract.quantities import BY_NAME, MEDIA

LINES_A_REQUEST = 5000
"""What InfluxData advises."""
TIMEOUT_S = 10
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""Names that may stand in a query as they are; no other device or quantity exists."""

T = TypeVar("T")


class Influx2Store:
    """A bucket of an InfluxDB 2.x server, and one for plates. See `Store`."""

    def __init__(self, *, url: str, token: str, org: str, bucket: str, plates_bucket: str | None = None) -> None:
        self._url, self._org = url, org
        self._bucket, self._plates_bucket = bucket, plates_bucket
        self._client = InfluxDBClient(url=url, token=token, org=org, timeout=TIMEOUT_S * 1000)
        self._writes = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points; in several requests if they are many, of which the first may be stored when one fails."""
        for bucket, body in requests(frames, self._bucket, self._plates_bucket):
            self._say(partial(self._writes.write, bucket, self._org, body), body)

    def forget(self, measurement: str, before: int) -> None:
        """Delete old points."""
        delete = self._client.delete_api().delete
        start, stop = datetime(1970, 1, 1, tzinfo=UTC), datetime.fromtimestamp(before / 1000, UTC)
        for bucket in places(measurement, self._bucket, self._plates_bucket):
            self._say(partial(delete, start, stop, f'_measurement="{measurement}"', bucket, self._org))

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """Give samples or buckets; these are made here, from all samples."""
        q = series.quantity
        if not (PLAIN.fullmatch(series.station) and q in BY_NAME and series.measurement in MEDIA):
            return []
        wanted = " or ".join(f'r._field == "{q}{ending}"' for ending in ("", "_flag", "_status"))
        found = self._ask(
            _range(series.start, series.stop)
            + f'|> filter(fn: (r) => r._measurement == "{series.measurement}" and r.station == "{series.station}")'
            + f"|> filter(fn: (r) => {wanted}) "
            + _POINTS
            + '|> group() |> sort(columns: ["_time"])'
            + (f"|> limit(n: {limit:d})" if every_ms is None else "")
        )
        rows = (sample(_ms(r["_time"]), r.get(q), r.get(f"{q}_flag"), r.get(f"{q}_status")) for r in found)
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
        which = " or ".join(f'r.station == "{station}"' for station in stations if PLAIN.fullmatch(station))
        fields = None if names is None else " or ".join(f'r._field == "{name}"' for name in names)
        if not which or fields == "" or not PLAIN.fullmatch(measurement):
            return {}
        found = self._ask(
            _range(start, stop)
            + f'|> filter(fn: (r) => r._measurement == "{measurement}" and ({which}))'
            + (f"|> filter(fn: (r) => {fields}) " if fields else "")
            + '|> pivot(rowKey: ["_time", "station"], columnKey: ["_field"], valueColumn: "_value") '
            + '|> group(columns: ["station"]) |> sort(columns: ["_time"])'
        )
        return tables_of((r["station"], _ms(r["_time"]), r) for r in found)

    def erase(self, measurement: str, station: str, times: Collection[int]) -> None:
        """Delete points."""
        delete = self._client.delete_api().delete
        if PLAIN.fullmatch(station):
            for at in times:
                start, stop = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at, at + 1))
                which = f'_measurement="{measurement}" AND station="{station}"'
                self._say(partial(delete, start, stop, which, self._bucket, self._org))

    def latest(self, since: int) -> list[LatestRow]:
        """Give the last sample of every quantity and station."""
        media = " or ".join(f'r._measurement == "{medium}"' for medium in MEDIA)
        found = self._ask(_range(since, None) + f"|> filter(fn: (r) => {media}) |> last()")
        last: dict[tuple[str, str, str, str], tuple[int, Any]] = {}
        for r in found:
            last[r["_measurement"], r["station"], r["site"], r["_field"]] = _ms(r["_time"]), r["_value"]
        rows = []
        for (medium, where, site, field), (at, flag) in last.items():
            quantity = field.removesuffix("_flag")
            if field.endswith("_flag") and quantity in BY_NAME:
                of_then = [last.get((medium, where, site, name)) for name in (quantity, f"{quantity}_status")]
                value, status = (found[1] if found and found[0] == at else None for found in of_then)
                row = sample(at, value, flag, status)
                rows.append(latest_row(medium, where, site, quantity, row))
        return newest(rows)

    def counts(self, measurement: str, start: int, stop: int) -> dict[str, int]:
        """How many values each field of a measurement has from `start` to before `stop` (ms), plates included."""
        total: dict[str, int] = {}
        for bucket in places(measurement, self._bucket, self._plates_bucket):
            found = self._ask(
                _range(start, stop) + f'|> filter(fn: (r) => r._measurement == "{measurement}") '
                # values of different types cannot stand in one column, so they are counted by series
                "|> count()",
                bucket,
            )
            for row in found:
                total[row["_field"]] = total.get(row["_field"], 0) + row["_value"]
        return total

    def close(self) -> None:
        """Close the connections."""
        self._writes.close()
        self._client.close()

    def _ask(self, flux: str, bucket: str = "") -> Iterator[dict[str, Any]]:
        asked = f'from(bucket: "{bucket or self._bucket}") {flux}'
        tables = self._say(lambda: self._client.query_api().query(asked, self._org))
        return (record.values for table in tables for record in table.records)

    def _say(self, request: Callable[[], T], body: bytes = b"") -> T:
        try:
            return request()
        except InfluxDBError as error:
            response = error.response
            if response is None:
                raise StoreError(f"{self._url}: {error}") from error
            raise refusal(self._url, response.status, response.data, body) from error
        except HTTPError as error:
            raise StoreError(f"{self._url} does not answer: {error}") from error


_POINTS = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") '


def _range(start: int, stop: int | None) -> str:
    last = "" if stop is None else f", stop: time(v: {stop * 1_000_000:d})"
    return f"|> range(start: time(v: {start * 1_000_000:d}){last}) "


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


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


def requests(frames: Sequence[Frame], common: str, plates: str | None) -> Iterator[tuple[str, bytes]]:
    """The frames in line protocol, as requests of a bounded size: the bucket or database of each, and its body.

    Plates go to `plates`; if it is None, to `common` without what tells which vehicle it was. Raises RejectedError.
    """
    rendered: dict[str, list[str]] = {common: []}
    try:
        for frame in frames:
            if frame.measurement != PLATES:
                rendered[common] += lines(frame)
            elif plates is None:
                rendered[common] += lines(_nameless(frame))
            else:
                rendered.setdefault(plates, []).extend(lines(frame))
    except ValueError as error:
        raise RejectedError(f"cannot be written as line protocol: {error}") from error
    for place, part in rendered.items():
        for i in range(0, len(part), LINES_A_REQUEST):
            yield place, "\n".join(part[i : i + LINES_A_REQUEST]).encode()


def _nameless(frame: Frame) -> Frame:
    fields = {name: column for name, column in frame.fields.items() if name not in NAMING}
    return msgspec.structs.replace(frame, fields=fields)


def places(measurement: str, common: str, plates: str | None) -> list[str]:
    """Where points of a measurement may stand: plates also where they went before they had a place of their own."""
    return [common, plates] if plates is not None and measurement == PLATES else [common]


def refusal(url: str, status: int, answer: bytes | str | None, body: bytes = b"") -> StoreError:
    """What a server's answer means; where it names one of our lines, that line is said.

    Servers repeat lines that they refuse, and errors are kept and shown to technicians: not so if they hold plates.
    """
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer or ""
    said = _json_object(text)
    text = str(said.get("message") or said.get("error") or text)[:500]
    rows, number = body.decode().split("\n"), said.get("line")
    if isinstance(number, int) and 0 < number <= len(rows):
        text += f"; line {number} is {rows[number - 1][:300]!r}"
    if status not in _ADVICE and b'plate="' in body:
        text = "its words are left out, as they may hold a plate"
    kind = RejectedError if status in (400, 422) else StoreError
    return kind(f"{url} answers {status}: {text}{_ADVICE.get(status, '')}")


_ADVICE = {
    401: "; check user or token",
    403: "; check the rights of user or token",
    404: "; check database, bucket, organisation",
}


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
