"""The outbox ids of the events in one file. Every start of the agent begins a new one, an epoch.

Numbers in the file count on through all epochs; for the collector an event has the id of the epoch in which it was made
and its number in it, from 1. So an old copy of the file that is put back gives nothing new an old identity: what it
still holds is known to the collector by the old id, what is made from now on has another.
"""

from __future__ import annotations

import secrets
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from edge_agent.contract.runs import MAX_NUMBER, ranges
from edge_agent.outbox_seal import OLD_IDS, seal

EPOCHS = "CREATE TABLE epochs (first INTEGER PRIMARY KEY, id INTEGER NOT NULL, crc INTEGER NOT NULL)"
MAX_EPOCHS = 1000
"""With so many that still hold events, a start goes on with the last: they all stand in the box's status."""
NO_END = 2**62

_decode_runs = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class Epoch(NamedTuple):
    """The events from `first` to `last`, numbers of the file, belong to the outbox `id`."""

    id: int
    first: int
    last: int

    def number(self, place: int) -> int:
        """The number by which the collector knows the event that has a number in the file."""
        return place - self.first + 1

    def places(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Spans of the collector's numbers as spans of the file's, without what is not of this epoch."""
        moved = ((first + self.first - 1, min(last + self.first - 1, self.last)) for first, last in spans)
        return [(first, last) for first, last in moved if first <= last]


class Epochs:
    """All epochs of a file, oldest first; it never changes, so that any thread may ask."""

    def __init__(self, begun: Sequence[tuple[int, int]]) -> None:
        """`begun` gives the first number and the id of each, by first number."""
        firsts = [first for first, _ in begun]
        lasts = [*(first - 1 for first in firsts[1:]), NO_END][: len(firsts)]
        self._firsts = firsts
        self._all = [Epoch(id_, first, last) for (first, id_), last in zip(begun, lasts, strict=True)]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def ids(self) -> tuple[int, ...]:
        """The outbox ids, that of new events last."""
        return tuple(epoch.id for epoch in self._all)

    @property
    def current(self) -> Epoch:
        """The epoch of new events."""
        return self._all[-1]

    def of(self, place: int) -> Epoch:
        """The epoch of the event that has a number in the file."""
        return self._all[max(0, bisect_right(self._firsts, place) - 1)]

    def find(self, outbox: int) -> Epoch | None:
        """The epoch with an outbox id, if the file has it."""
        return next((epoch for epoch in self._all if epoch.id == outbox), None)

    def split(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Cut spans of the file's numbers where an epoch ends."""
        parts = []
        for first, last in spans:
            begin = first
            while begin <= last:
                end = min(last, self.of(begin).last)
                parts.append((begin, end))
                begin = end + 1
        return parts


def new_id() -> int:
    """A new outbox id, of so many bits that no box of a large fleet ever takes one twice."""
    return OLD_IDS + secrets.randbelow(MAX_NUMBER - OLD_IDS)


def read_epochs(db: sqlite3.Connection) -> Epochs:
    """The epochs of a file, also of an earlier version. Raises sqlite3.DatabaseError where one is damaged."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'epochs'").fetchone():
        return Epochs([(1, id_) for (id_,) in db.execute("SELECT id FROM meta")])
    rows = db.execute("SELECT first, id, crc FROM epochs ORDER BY first").fetchall()
    if not all(crc == seal(b"", id_, first) for first, id_, crc in rows):
        raise sqlite3.DatabaseError("an outbox id is damaged")
    return Epochs([(first, id_) for first, id_, _ in rows])


def last_number(db: sqlite3.Connection) -> int:
    """The last number that was given, also where its event is gone."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def put_epoch(db: sqlite3.Connection, first: int, id_: int) -> None:
    """Write an epoch down."""
    db.execute("INSERT INTO epochs VALUES (?, ?, ?)", (first, id_, seal(b"", id_, first)))


def begin_epoch(db: sqlite3.Connection, first: int) -> Epochs:
    """Begin an epoch with the number `first`, within the caller's transaction; those that hold nothing go."""
    if drop_empty(db, read_epochs(db), keep_current=False) < MAX_EPOCHS:
        put_epoch(db, first, new_id())
    return read_epochs(db)


def drop_empty(db: sqlite3.Connection, epochs: Epochs, *, keep_current: bool = True) -> int:
    """Delete, within the caller's transaction, epochs without events and lost numbers; returns how many are left."""
    held = {epochs.current} if keep_current else set()
    held |= {epoch for epoch in epochs if epoch not in held and _has_events(db, epoch)}
    if len(held) < len(epochs):
        held |= set(_with_lost(db, epochs))
    gone = [(epoch.first,) for epoch in epochs if epoch not in held]
    db.executemany("DELETE FROM epochs WHERE first = ?", gone)
    return len(held)


def _has_events(db: sqlite3.Connection, epoch: Epoch) -> bool:
    span = "SELECT EXISTS (SELECT 1 FROM events WHERE number BETWEEN ?1 AND ?2)"
    span += " OR EXISTS (SELECT 1 FROM joined WHERE last >= ?1 AND first <= ?2)"
    return bool(db.execute(span, epoch[1:]).fetchone()[0])


def _with_lost(db: sqlite3.Connection, epochs: Epochs) -> Iterator[Epoch]:
    """The epochs of numbers that are lost and not yet told; no row of them is of two."""
    for (runs,) in db.execute("SELECT runs FROM lost"):
        with suppress(msgspec.MsgspecError, ValueError):  # what is damaged can be told to nobody
            yield epochs.of(next(ranges(_decode_runs(runs)))[0])
