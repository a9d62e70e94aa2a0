"""Stores: where points are kept for the officers; the same measurements, tags and fields in each.

A point is known by its measurement, its tags and its time. Writing it again changes nothing; writing other fields for
it adds them; writing a field again replaces it. That makes every redelivery harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.local_time import LOCAL_MS
from collector.points import Frame


class StoreError(Exception):
    """The store did not take, or did not give, what was asked; nothing of a failed write needs to be undone."""


class RejectedError(StoreError):
    """The store will never take one of these points; sending the same again is in vain."""


class ReadingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one quantity, or a bucket of them."""

    at: int
    """Milliseconds since 1970 in UTC; of a bucket its beginning."""
    value: float | None
    """Of a bucket the mean of the values that pass or were not evaluated; None if there is none."""
    flag: int
    """Of a bucket the worst of all its samples (9 only if nothing has a value)."""
    status: int = 0
    """Of a bucket the highest."""
    n: int = 1
    """How many samples made the value."""
    of: int = 1
    """How many samples there are."""


class LatestRow(msgspec.Struct, frozen=True, kw_only=True):
    """The last sample of one quantity at a station."""

    measurement: str
    station: str
    site: str
    quantity: str
    at: int
    value: float | None
    flag: int
    status: int = 0


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity of one station, in a time span from `start` to before `stop` (ms)."""

    measurement: str
    station: str
    quantity: str
    start: int
    stop: int


class Table(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Points of one measurement and station by column, in order of time."""

    at: NDArray[np.int64]
    """Milliseconds since 1970 in UTC."""
    fields: dict[str, NDArray[Any]]
    """As long as `at`: float64 (NaN: absent), or text (None: absent). A field that no point has is left out."""

    @classmethod
    def of(cls, at: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> Table:
        """Make a table of columns in which None is absent."""
        kinds = {name: set(map(type, column)) - {type(None)} for name, column in columns.items()}
        fields = {
            name: np.array(column, object if str in kinds[name] else float)
            for name, column in columns.items()
            if kinds[name]
        }
        return cls(at=np.array(at, np.int64), fields=fields)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A field of numbers; all absent if there is no such field."""
        found = self.fields.get(name)
        return np.full(len(self.at), np.nan) if found is None else found


class Store(Protocol):
    """What the collector asks of a store; every call blocks and may raise StoreError.

    One thread writes and forgets; the queries may be called from any other thread at the same time.
    """

    def write(self, frames: Sequence[Frame]) -> None:
        """Store all points, or raise StoreError; they are on disk when this returns.

        After an error some may be stored: write the same again.
        """

    def forget(self, measurement: str, before: int) -> None:
        """Delete the points of a measurement that are older than `before` (ms)."""

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """Give samples, or buckets of `every_ms`, in order of time; the first `limit` of them."""

    def tables(
        self,
        measurement: str,
        stations: Collection[str],
        *,
        start: int,
        stop: int,
        names: Collection[str] | None = None,
    ) -> dict[str, Table]:
        """Give all points of some stations in a span (ms), by station; those of the named fields, or of all.

        A station without such a point is left out. Only for measurements of stations.
        """

    def erase(self, measurement: str, station: str, times: Collection[int]) -> None:
        """Delete points of a station at these times (ms), so that they can be written with fewer fields than before.

        Called in the thread that writes.
        """

    def latest(self, since: int) -> list[LatestRow]:
        """Give the last sample of every quantity of every station that is not older than `since` (ms)."""

    def close(self) -> None:
        """Let go of files and connections."""


def buckets(rows: Iterable[ReadingRow], every_ms: int) -> list[ReadingRow]:
    """Gather samples in order of time into buckets, as `Store.readings` says; days begin at local midnight."""
    gathered: dict[int, list[ReadingRow]] = {}
    for row in rows:
        start = (row.at + LOCAL_MS) // every_ms * every_ms - LOCAL_MS
        gathered.setdefault(start, []).append(row)
    return [_bucket(start, samples) for start, samples in gathered.items()]


def _bucket(start: int, samples: Sequence[ReadingRow]) -> ReadingRow:
    good = [row.value for row in samples if row.value is not None and row.flag in (1, 2)]
    return ReadingRow(
        at=start,
        value=sum(good) / len(good) if good else None,
        flag=max((row.flag for row in samples if row.flag != 9), default=9),
        status=max(row.status for row in samples),
        n=len(good),
        of=len(samples),
    )
