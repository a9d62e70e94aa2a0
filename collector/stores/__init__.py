"""Stores: where points are kept for the officers; the same measurements, tags and fields in each.

A point is known by its measurement, its tags and its time. Writing it again changes nothing; writing other fields for
it adds them; writing a field again replaces it. That makes every redelivery harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from collector.points import Frame

LOCAL_MS = 7 * 3_600_000
"""Buckets of a day begin at midnight of the island, UTC+7; shorter ones are the same in both."""


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

    def latest(self, since: int) -> list[LatestRow]:
        """Give the last sample of every quantity of every station that is not older than `since` (ms)."""

    def close(self) -> None:
        """Let go of files and connections."""


def buckets(rows: Iterable[ReadingRow], every_ms: int) -> list[ReadingRow]:
    """Gather samples in order of time into buckets, as `Store.readings` describes them."""
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
