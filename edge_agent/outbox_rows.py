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
from typing import Any, NamedTuple

import msgspec

from edge_agent.contract.runs import MAX_NUMBERS, numbers, pack_runs
from edge_agent.outbox_epochs import Epochs, read_epochs
from edge_agent.outbox_seal import intact, seal

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
    """Empty where the row is damaged; for a damaged row of many events that of its first stands for all."""


class Total(NamedTuple):
    """How many events there are, and the times (ms) of the oldest and the newest; None where there are none."""

    events: int
    oldest: int | None
    newest: int | None


def add(db: sqlite3.Connection, outbox: int, first: int, events: Iterable[tuple[str, int, bytes]]) -> None:
    """Write events (kind, time, body) with the numbers from `first` on, within the caller's transaction."""
    rows = ((n, kind, at, body, seal(body, outbox, n, kind, at)) for n, (kind, at, body) in enumerate(events, first))
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)


def join(db: sqlite3.Connection, epochs: Epochs, kind: str) -> bool:
    """Move the oldest events of a kind into one row if many have rows of their own; tells whether it did.

    A row is of one epoch, so that one that holds no more of a box's events than that can be forgotten.
    """
    many = "SELECT count(*) FROM (SELECT 1 FROM events WHERE kind = ? LIMIT ?)"
    if db.execute(many, (kind, JOIN_EVENTS)).fetchone()[0] < JOIN_EVENTS:
        return False
    found = db.execute(f"{SINGLE} WHERE kind = ? ORDER BY number LIMIT ?", (kind, JOIN_EVENTS)).fetchall()
    epoch = epochs.of(found[0][0])
    found = [row for row in found if row[0] <= epoch.last]
    bodies = [_body(row, epochs) for row in found]
    sizes = accumulate(len(body) for body in bodies)
    fit = max(1, sum(size <= JOIN_BYTES for size in sizes))
    numbered = [(row[0], body) for row, body in zip(found[:fit], bodies, strict=False)]
    times = [row[2] for row in found[:fit]]
    with db:
        put_joined(db, epoch.id, kind, (min(times), max(times)), numbered)
        db.execute("DELETE FROM events WHERE kind = ? AND number <= ?", (kind, numbered[-1][0]))
    return True


def of_kind(db: sqlite3.Connection, epochs: Epochs, kind: str, after: int, before: int) -> Generator[Row, None, None]:
    """The events of a kind with `after < number < before`, in order; close it, since it holds the file."""
    span = (kind, after, before)
    with closing(db.execute(f"{JOINED} WHERE kind = ? AND last > ? AND first < ? ORDER BY first", span)) as rows:
        for row in rows:
            yield from (event for event in _events(row, epochs) if after < event.number < before)
    with closing(db.execute(f"{SINGLE} WHERE kind = ? AND number > ? AND number < ? ORDER BY number", span)) as rows:
        for row in rows:
            yield Row(row[0], row[1], _body(row, epochs))


def every(db: sqlite3.Connection) -> Iterator[Row]:
    """Every event by number, also of a file of an earlier version."""
    epochs = read_epochs(db)
    single, joined = (of_this_file(db, sql) for sql in (SINGLE, JOINED))
    streams: list[Iterator[Row]] = [
        (Row(row[0], row[1], _body(row, epochs)) for row in db.execute(f"{single} ORDER BY number"))
    ]
    if _has_joined(db):
        kinds = [kind for (kind,) in db.execute("SELECT DISTINCT kind FROM joined")]
        streams += [_joined(db, epochs, joined, kind) for kind in kinds]
    return merge(*streams, key=lambda row: row.number)


def oldest(db: sqlite3.Connection, epochs: Epochs, kind: str, at_most: int) -> list[Row]:
    """The oldest events of a kind: those of one joined row, or some that have rows of their own."""
    if row := db.execute(f"{JOINED} WHERE kind = ? ORDER BY first LIMIT 1", (kind,)).fetchone():
        return _events(row, epochs)
    single = db.execute(f"{SINGLE} WHERE kind = ? ORDER BY number LIMIT ?", (kind, at_most))
    return [Row(row[0], row[1], _body(row, epochs)) for row in single]


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


def delete(db: sqlite3.Connection, epochs: Epochs, spans: Sequence[tuple[int, int]]) -> None:
    """Delete numbers from first to last, within the caller's transaction; those that are not here are no error."""
    gone = _Numbers(spans)
    db.executemany("DELETE FROM events WHERE number BETWEEN ? AND ?", zip(gone.firsts, gone.lasts, strict=True))
    if not gone.firsts:
        return
    for row in db.execute(f"{JOINED} WHERE last >= ? AND first <= ?", (gone.firsts[0], gone.lasts[-1])).fetchall():
        if not gone.touch(row[0], row[1]):
            continue
        inside = unpack(row, epochs) or []  # of a damaged row nobody can tell what is in it
        kept = [event for event in inside if not gone.touch(event.number, event.number)]
        if len(kept) == len(inside):
            continue
        times = db.execute("SELECT oldest, newest FROM joined WHERE first = ?", row[:1]).fetchone()
        db.execute("DELETE FROM joined WHERE first = ?", row[:1])
        if kept:
            put_joined(db, epochs.of(row[0]).id, row[2], times, [(event.number, event.body) for event in kept])


def discard(db: sqlite3.Connection, epochs: Epochs, damaged: int, highest: int) -> list[int]:
    """Delete a damaged row by the number that it is read with; returns the numbers that may have stood in it.

    The number itself may be what is damaged: no number is told that stands elsewhere in the file, none that is yet to
    be given. What the collector has already, it does not take as lost.
    """
    row = db.execute(f"{JOINED} WHERE first = ?", (damaged,)).fetchone()
    last = damaged
    if row is not None and unpack(row, epochs) is None:
        last = max(damaged, row[1]) if isinstance(row[1], int) else damaged
        db.execute("DELETE FROM joined WHERE first = ?", (damaged,))
    else:
        delete(db, epochs, [(damaged, damaged)])
    span = (max(1, damaged), min(last, highest, damaged + MAX_NUMBERS - 1))
    there = {n for (n,) in db.execute("SELECT number FROM events WHERE number BETWEEN ? AND ?", span)}
    for row in db.execute(f"{JOINED} WHERE last >= ? AND first <= ?", span):
        there.update(event.number for event in _events(row, epochs))
    return [number for number in range(span[0], span[1] + 1) if number not in there]


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


SINGLE = "SELECT number, kind, at, body, crc FROM events"
JOINED = "SELECT first, last, kind, runs, bodies, crc FROM joined"


def put_joined(
    db: sqlite3.Connection, outbox: int, kind: str, times: tuple[int, int], numbered: Sequence[tuple[int, bytes]]
) -> None:
    """Write a joined row of events of one epoch, within the caller's transaction; `times` of the oldest and newest."""
    first, last = numbered[0][0], numbered[-1][0]
    runs = _encode(pack_runs(number for number, _ in numbered))
    bodies = zlib.compress(_encode([body for _, body in numbered]))
    crc = seal(bodies, outbox, first, last, kind, runs.hex())
    row = (first, last, kind, len(numbered), *times, runs, bodies, crc)
    db.execute("INSERT INTO joined VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def _body(row: Any, epochs: Epochs) -> bytes:
    """The body of an event with a row of its own; empty if the row is damaged."""
    number, kind, at, body, crc = row
    return body if intact(crc, body, epochs.of(number).id, number, kind, at) else b""


def unpack(row: Any, epochs: Epochs) -> list[Row] | None:
    """The events of a joined row; None if the row is damaged."""
    first, last, kind, runs, bodies, crc = row
    try:
        if not intact(crc, bodies, epochs.of(first).id, first, last, kind, runs.hex()):
            return None
        found = zip(numbers(_decode_runs(runs)), _decode_bodies(zlib.decompress(bodies)), strict=True)
        return [Row(number, kind, body) for number, body in found]
    except (zlib.error, msgspec.MsgspecError, ValueError, AttributeError):  # no bytes may stand there
        return None


def _events(row: Any, epochs: Epochs) -> list[Row]:
    found = unpack(row, epochs)
    return [Row(row[0], row[2], b"")] if found is None else found


def _joined(db: sqlite3.Connection, epochs: Epochs, sql: str, kind: str) -> Iterator[Row]:
    for row in db.execute(f"{sql} WHERE kind = ? ORDER BY first", (kind,)):
        yield from _events(row, epochs)


def _has_joined(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'joined'").fetchone() is not None


def of_this_file(db: sqlite3.Connection, sql: str) -> str:
    """For a file from before there were checksums."""
    has = db.execute("SELECT 1 FROM pragma_table_info('events') WHERE name = 'crc'").fetchone()
    return sql if has else sql.replace("crc", "NULL")
