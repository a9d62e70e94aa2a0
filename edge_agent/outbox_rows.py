"""The rows of an outbox file: an event has a row of its own until many of its kind wait; then they are joined.

A row for each event costs 40 to 160 bytes, and a station must keep sixty days of them. So when JOIN_EVENTS of a kind
wait, the oldest of them are moved into one row of the table `joined`, compressed: 10 to 20 bytes each. That happens in
one transaction, so after a power cut every event is in exactly one of the two tables. What the collector confirms
within hours is never moved, the rest once; only a receipt for a part of a row makes that row be written again. So the
flash sees one more write of about ten kilobytes for a thousand events, each of which cost it a page or more at first.

Of one kind, every joined event is older than every event with a row of its own. Pictures are not joined: they are
compressed already.
"""

from __future__ import annotations

import sqlite3
import zlib
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from heapq import merge
from itertools import accumulate
from typing import NamedTuple

import msgspec

from edge_agent.contract.runs import numbers, pack_runs

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (id INTEGER NOT NULL, set_aside TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, number);
CREATE TABLE IF NOT EXISTS joined (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, kind TEXT NOT NULL, events INTEGER NOT NULL,
    oldest INTEGER NOT NULL, newest INTEGER NOT NULL, runs BLOB NOT NULL, bodies BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS joined_by_kind ON joined (kind, first);
CREATE TABLE IF NOT EXISTS lost (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, runs BLOB NOT NULL);
"""
"""`oldest` and `newest` are times of events, those of the row when it was made."""
JOINED_KINDS = ("readings", "health", "wifi")
JOIN_EVENTS = 1000
"""Of so many rows of a kind the oldest are joined; and so many make one row at most."""
JOIN_BYTES = 128 * 1024
"""Of events in one row, before they are compressed: the box is small."""

_encode = msgspec.msgpack.Encoder().encode
_decode_runs = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_decode_bodies = msgspec.msgpack.Decoder(list[bytes]).decode


class Row(NamedTuple):
    """An event as it stands in the file."""

    number: int
    kind: str
    body: bytes
    """Empty where the bytes of a joined row are damaged."""


class Total(NamedTuple):
    """How many events there are, and the times (ms) of the oldest and the newest; None where there are none."""

    events: int
    oldest: int | None
    newest: int | None


def join(db: sqlite3.Connection, kind: str) -> bool:
    """Move the oldest events of a kind into one row if many have rows of their own; tells whether it did."""
    many = "SELECT count(*) FROM (SELECT 1 FROM events WHERE kind = ? LIMIT ?)"
    if db.execute(many, (kind, JOIN_EVENTS)).fetchone()[0] < JOIN_EVENTS:
        return False
    found = db.execute(
        "SELECT number, at, body FROM events WHERE kind = ? ORDER BY number LIMIT ?", (kind, JOIN_EVENTS)
    )
    rows = found.fetchall()
    sizes = accumulate(len(body) for _, _, body in rows)
    rows = [row for row, size in zip(rows, sizes, strict=True) if size <= JOIN_BYTES] or rows[:1]
    times = [at for _, at, _ in rows]
    with db:
        _insert(db, kind, (min(times), max(times)), [(number, body) for number, _, body in rows])
        db.execute("DELETE FROM events WHERE kind = ? AND number <= ?", (kind, rows[-1][0]))
    return True


def of_kind(db: sqlite3.Connection, kind: str, after: int, before: int) -> Generator[tuple[int, bytes], None, None]:
    """Numbers and bodies of a kind with `after < number < before`, in order; close it, since it holds the file."""
    span = (kind, after, before)
    joined = "SELECT first, last, runs, bodies FROM joined WHERE kind = ? AND last > ? AND first < ? ORDER BY first"
    with closing(db.execute(joined, span)) as rows:
        for row in rows:
            yield from ((number, body) for number, body in _unpack(*row) if after < number < before)
    single = "SELECT number, body FROM events WHERE kind = ? AND number > ? AND number < ? ORDER BY number"
    with closing(db.execute(single, span)) as rows:
        yield from rows


def every(db: sqlite3.Connection) -> Iterator[Row]:
    """Every event by number, also of a file from before events were joined."""
    single = db.execute("SELECT number, kind, body FROM events ORDER BY number")
    streams: list[Iterator[Row]] = [map(Row._make, single)]
    if _has_joined(db):
        kinds = [kind for (kind,) in db.execute("SELECT DISTINCT kind FROM joined")]
        streams += [_joined(db, kind) for kind in kinds]
    return merge(*streams, key=lambda row: row.number)


def oldest(db: sqlite3.Connection, kind: str, at_most: int) -> list[int]:
    """Numbers of the oldest events of a kind: those of one joined row, or some that have rows of their own."""
    row = db.execute("SELECT first, last, runs FROM joined WHERE kind = ? ORDER BY first LIMIT 1", (kind,)).fetchone()
    if row:
        return _numbers(*row)
    single = db.execute("SELECT number FROM events WHERE kind = ? ORDER BY number LIMIT ?", (kind, at_most))
    return [number for (number,) in single]


def total(db: sqlite3.Connection, kind: str | None = None) -> Total:
    """Count the events of a kind, or all."""
    rows = "SELECT kind, 1 AS events, at AS oldest, at AS newest FROM events"
    if _has_joined(db):
        rows += " UNION ALL SELECT kind, events, oldest, newest FROM joined"
    found = db.execute(
        f"SELECT sum(events), min(oldest), max(newest) FROM ({rows}) WHERE ?1 IS NULL OR kind = ?1",  # noqa: S608
        (kind,),
    ).fetchone()
    return Total(found[0] or 0, *found[1:])


def delete(db: sqlite3.Connection, spans: Sequence[tuple[int, int]]) -> None:
    """Delete numbers from first to last, within the caller's transaction; those that are not here are no error."""
    gone = _Numbers(spans)
    db.executemany("DELETE FROM events WHERE number BETWEEN ? AND ?", zip(gone.firsts, gone.lasts, strict=True))
    if not gone.firsts:
        return
    reach = "SELECT first, last, runs FROM joined WHERE last >= ? AND first <= ?"
    for first, last, runs in db.execute(reach, (gone.firsts[0], gone.lasts[-1])).fetchall():
        if not gone.touch(first, last):
            continue
        inside = _numbers(first, last, runs)
        kept = {number for number in inside if not gone.touch(number, number)}
        if len(kept) == len(inside):
            continue
        row = "SELECT kind, oldest, newest, bodies FROM joined WHERE first = ?"
        kind, oldest, newest, bodies = db.execute(row, (first,)).fetchone()
        db.execute("DELETE FROM joined WHERE first = ?", (first,))
        if kept:
            left = [(number, body) for number, body in _unpack(first, last, runs, bodies) if number in kept]
            _insert(db, kind, (oldest, newest), left)


class _Numbers:
    """A set of numbers, given as spans that may overlap."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self.firsts: list[int] = []
        self.lasts: list[int] = []
        for first, last in sorted(spans):
            if self.lasts and first <= self.lasts[-1] + 1:
                self.lasts[-1] = max(self.lasts[-1], last)
            else:
                self.firsts.append(first)
                self.lasts.append(last)

    def touch(self, first: int, last: int) -> bool:
        """Tell whether any number from first to last is in the set."""
        i = bisect_left(self.lasts, first)
        return i < len(self.lasts) and self.firsts[i] <= last


def _insert(db: sqlite3.Connection, kind: str, times: tuple[int, int], numbered: Sequence[tuple[int, bytes]]) -> None:
    runs = _encode(pack_runs(number for number, _ in numbered))
    bodies = zlib.compress(_encode([body for _, body in numbered]))
    row = (numbered[0][0], numbered[-1][0], kind, len(numbered), *times, runs, bodies)
    db.execute("INSERT INTO joined VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def _unpack(first: int, last: int, runs: bytes, bodies: bytes) -> Iterator[tuple[int, bytes]]:
    inside = _numbers(first, last, runs)
    try:
        found = _decode_bodies(zlib.decompress(bodies))
    except (zlib.error, msgspec.MsgspecError):
        found = []
    return zip(inside, found if len(found) == len(inside) else [b""] * len(inside), strict=True)


def _numbers(first: int, last: int, runs: bytes) -> list[int]:
    try:
        return list(numbers(_decode_runs(runs)))
    except (msgspec.MsgspecError, ValueError):
        return sorted({first, last})  # of a damaged row no more is known; the others stay missing in the ledger


def _joined(db: sqlite3.Connection, kind: str) -> Iterator[Row]:
    for row in db.execute("SELECT first, last, runs, bodies FROM joined WHERE kind = ? ORDER BY first", (kind,)):
        yield from (Row(number, kind, body) for number, body in _unpack(*row))


def _has_joined(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'joined'").fetchone() is not None
