"""InfluxDB 2.x through its own client; writes also go to whatever takes `/api/v2/write`, such as VictoriaMetrics.

Every write waits for the server's answer: the client's default batching drops data after five tries with only a line
in the log. InfluxDB merges fields of the same series and time, so a redelivery changes nothing.

Checked against a real VictoriaMetrics 1.79: writing, with what it makes of it (text is 0 there, every number a float,
and milliseconds, so that two plate reads of one millisecond are one). Queries and deletion are
checked with the real client against canned answers of a 2.x server only: none was at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.write_api import SYNCHRONOUS
from urllib3.exceptions import HTTPError

from collector.points import HEALTH, PLATES, WIFI, Frame
from collector.stores import LatestRow, PlateRow, ReadingRow, RejectedError, Series, StoreError, buckets
from collector.stores.lines import lines
from edge_agent.contract.quantities import BY_NAME, MEDIA

LINES_A_REQUEST = 5000
"""What InfluxData advises."""
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""Names that may stand in a query as they are; no other device or quantity exists."""
ONE_OF_EACH = {PLATES: "plate", WIFI: "clients", HEALTH: "uptime_s"}
"""Measurement: a field that each of its points has."""

T = TypeVar("T")


class Influx2Store:
    """A bucket of an InfluxDB 2.x server. See `Store`."""

    def __init__(self, *, url: str, token: str, org: str, bucket: str, timeout_s: float = 10) -> None:
        self._url, self._bucket, self._org = url, bucket, org
        self._client = InfluxDBClient(url=url, token=token, org=org, timeout=round(timeout_s * 1000))
        self._writes = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points; in several requests if they are many, of which the first may be stored when one fails."""
        for body in bodies(frames):
            self._say(lambda body=body: self._writes.write(self._bucket, self._org, body), body)  # type: ignore[misc]

    def forget(self, measurement: str, before: int) -> None:
        """Delete old points."""
        delete = self._client.delete_api().delete
        start, stop = datetime(1970, 1, 1, tzinfo=UTC), datetime.fromtimestamp(before / 1000, UTC)
        self._say(lambda: delete(start, stop, f'_measurement="{measurement}"', bucket=self._bucket, org=self._org))

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

    def latest(self, since: int, station: str | None = None) -> list[LatestRow]:
        """Give the last sample of every quantity and station."""
        if station is not None and not PLAIN.fullmatch(station):
            return []
        media = " or ".join(f'r._measurement == "{medium}"' for medium in MEDIA)
        only = f'|> filter(fn: (r) => r.station == "{station}")' if station else ""
        found = self._ask(_range(since, None) + f"|> filter(fn: (r) => {media}) {only} |> last()")
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

    def plates(self, start: int, stop: int, camera: str | None = None, limit: int = 1000) -> list[PlateRow]:
        """Give the newest plate reads, newest first."""
        if camera is not None and not PLAIN.fullmatch(camera):
            return []
        only = f'and r.camera == "{camera}"' if camera else ""
        found = self._ask(
            _range(start, stop)
            + f'|> filter(fn: (r) => r._measurement == "{PLATES}" {only}) '
            + _POINTS
            + f'|> group() |> sort(columns: ["_time"], desc: true) |> limit(n: {limit:d})'
        )
        names = [name for name in PlateRow.__struct_fields__ if name != "at"]
        return [PlateRow(at=_ms(r["_time"]), **{name: r[name] for name in names}) for r in found]

    def counts(self) -> dict[str, int]:
        """Give the number of readings or events of every measurement."""
        counted: dict[str, int] = {}
        for r in self._ask(_range(0, None) + '|> count() |> group(columns: ["_measurement", "_field"]) |> sum()'):
            measurement, field = r["_measurement"], r["_field"]
            if field.endswith("_flag") or ONE_OF_EACH.get(measurement) == field:
                counted[measurement] = counted.get(measurement, 0) + r["_value"]
        return dict(sorted(counted.items()))

    def close(self) -> None:
        """Close the connections."""
        self._writes.close()
        self._client.close()

    def _ask(self, flux: str) -> Iterator[dict[str, Any]]:
        tables = self._say(lambda: self._client.query_api().query(f'from(bucket: "{self._bucket}") {flux}', self._org))
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


def bodies(frames: Sequence[Frame]) -> Iterator[bytes]:
    """The frames in line protocol, as requests of a bounded size. Raises RejectedError."""
    try:
        rendered = [line for frame in frames for line in lines(frame)]
    except ValueError as error:
        raise RejectedError(f"cannot be written as line protocol: {error}") from error
    for i in range(0, len(rendered), LINES_A_REQUEST):
        yield "\n".join(rendered[i : i + LINES_A_REQUEST]).encode()


def refusal(url: str, status: int, answer: bytes | str | None, body: bytes = b"") -> StoreError:
    """What a server's answer means; where it names one of our lines, that line is said."""
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer or ""
    said = _json_object(text)
    text = str(said.get("message") or said.get("error") or text)[:500]
    rows, number = body.decode().split("\n"), said.get("line")
    if isinstance(number, int) and 0 < number <= len(rows):
        text += f"; line {number} is {rows[number - 1][:300]!r}"
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
