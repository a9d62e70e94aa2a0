"""InfluxDB 2.x: lines by our own requests, questions and deletion through its own client.

The client's way of writing drops data after five tries with only a line in the log; here every write waits for the
server's answer and then asks for what it was sent (see `requests.py`). InfluxDB answers when its log is on disk, as
long as `storage-wal-fsync-delay` is 0, the default, and merges fields of the same series and time, so a redelivery
changes nothing.

Environmental officers ask the server themselves and must never see a plate. The server's rights are by bucket (in 1.x
by database), so plates stand in one of their own; where none is named, what tells which vehicle it was is not written.

Checked with the real client against a double of a 2.x server and canned answers only, and with InfluxData's compiler
of Flux: no server could be had.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random, SystemRandom
from typing import Any, TypeVar
from urllib.parse import urlencode

from influxdb_client import InfluxDBClient
from influxdb_client.client.exceptions import InfluxDBError
from urllib3.exceptions import HTTPError

from collector.points import Frame
from collector.stores import LatestRow, ReadingRow, Series, StoreError, Table, buckets
from collector.stores.lines import lines
from collector.stores.requests import Request, Witness, missing, places, requests, send_all
from collector.stores.rows import PLAIN, latest_row, newest, sample, tables_of
from collector.stores.server import TIMEOUT_S, Server, refusal, unanswered
from edge_agent.contract.quantities import BY_NAME, MEDIA

T = TypeVar("T")


class Influx2Store:
    """A bucket of an InfluxDB 2.x server, and one for plates. See `Store`."""

    def __init__(
        self,
        *,
        url: str,
        token: str,
        org: str,
        bucket: str,
        plates_bucket: str | None = None,
        chance: Random | None = None,
    ) -> None:
        self._url, self._org = url, org
        self._bucket, self._plates_bucket = bucket, plates_bucket
        self._server = Server(url, {"Authorization": f"Token {token}"})
        self._client = InfluxDBClient(url=url, token=token, org=org, timeout=TIMEOUT_S * 1000)
        self._chance = chance or SystemRandom()

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points; in several requests if they are many, of which the first may be stored when one fails."""
        where = self._bucket, self._plates_bucket
        send_all(requests(frames, *where, render=lines, chance=self._chance), self._send)

    def _send(self, request: Request) -> None:
        where = {"org": self._org, "bucket": request.place, "precision": "ns"}
        self._server.write(f"/api/v2/write?{urlencode(where)}", request.body)
        for witness in request.witnesses:
            if not self._has(request.place, witness):
                raise missing(self._url, witness)

    def _has(self, bucket: str, witness: Witness) -> bool:
        of = {"_measurement": witness.measurement, "_field": witness.field, **witness.tags}
        which = " and ".join(f"r.{name} == {_text(value)}" for name, value in of.items())
        at = witness.at_ns
        flux = f"|> range(start: time(v: {at:d}), stop: time(v: {at + 1:d})) |> filter(fn: (r) => {which})"
        return witness.among(r["_value"] for r in self._ask(flux, bucket))

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
        self._server.close()
        self._client.close()

    def _ask(self, flux: str, bucket: str = "") -> Iterator[dict[str, Any]]:
        asked = f'from(bucket: "{bucket or self._bucket}") {flux}'
        tables = self._say(lambda: self._client.query_api().query(asked, self._org))
        return (record.values for table in tables for record in table.records)

    def _say(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except InfluxDBError as error:
            response = error.response
            if response is None:
                raise StoreError(f"{self._url}: {error}") from error
            raise refusal(self._url, response.status, response.data) from error
        except HTTPError as error:
            raise unanswered(self._url, error) from error


_POINTS = '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") '


def _range(start: int, stop: int | None) -> str:
    last = "" if stop is None else f", stop: time(v: {stop * 1_000_000:d})"
    return f"|> range(start: time(v: {start * 1_000_000:d}){last}) "


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _text(value: str) -> str:
    """A text of Flux."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'
