"""Events on disk until the collector has stored them.

One SQLite file: `synchronous=FULL`, so an event that `put` has returned survives a power cut. Every event gets a number
that rises by one and is never given twice. The file keeps within a byte cap by dropping the oldest events of the least
important kind; the dropped numbers are kept until the collector knows of them. Where many events wait, the oldest are
joined into fewer, smaller rows (`outbox_rows.py`). A damaged file is set aside and a new outbox begins.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import msgspec

from edge_agent.contract.events import EVENT_OF, KIND_OF, PRIORITY, Event, Lost
from edge_agent.contract.runs import MAX_NUMBERS, pack_ranges, pack_runs
from edge_agent.outbox_file import Waiting, open_file, used_bytes, waiting
from edge_agent.outbox_rows import JOINED_KINDS, delete, join, of_kind, oldest

log = logging.getLogger(__name__)

T = TypeVar("T")

DROP_AT_ONCE = 500
"""Events dropped together when the cap is reached, so that a full outbox does not drop at every event."""
PACK_EVENTS = 1000
"""Events in one pack at most."""
MAX_EVENT_BYTES = 240 * 1024
"""A larger event fits into no pack that the collector would read."""

_encode = msgspec.msgpack.Encoder().encode
_decode: dict[str, Callable[[bytes], Event]] = {
    kind: msgspec.msgpack.Decoder(event).decode for kind, event in EVENT_OF.items()
}
_decode_runs = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class _Put(NamedTuple):
    """An event that waits for its commit."""

    kind: str
    at: int
    body: bytes
    number: asyncio.Future[int]


class LostRuns(NamedTuple):
    """Numbers that were dropped and that the collector has not confirmed to know of."""

    id: int
    runs: tuple[int, ...]
    lost: Lost


class Outbox:
    """One box's outbox; its methods may be awaited from many tasks, the file is touched by one thread."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int) -> None:
        self._db = connection
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._pending: deque[_Put] = deque()
        self._commit_due = False
        self._unwritten: Counter[str] = Counter()
        """Events of each kind that the disk did not take; they are numbered, as lost, with the next that it takes."""
        self._joins = True
        """Whether old events are joined; no more after an error that nobody foresaw, since nothing depends on it."""
        self.id, self.set_aside = connection.execute("SELECT id, set_aside FROM meta").fetchone()
        self.last_number = self._last_number()
        self.has_lost = connection.execute("SELECT count(*) FROM lost").fetchone()[0] > 0
        """Whether numbers were dropped that the collector does not know of."""
        self.dropped = 0
        """Events dropped since the start."""
        self.on_change: Callable[[], None] = lambda: None
        """Called in the event loop after events were added."""

    @classmethod
    def open(cls, path: Path, max_bytes: int) -> Self:
        """Open the outbox at `path`, or make one; a damaged file is set aside first.

        Raises OSError or sqlite3.OperationalError where the disk is full or may not be written.
        """
        return cls(open_file(path, max_bytes), max_bytes)

    async def close(self) -> None:
        """Finish what was put and close the file."""
        await self._call(self._db.close)
        self._thread.shutdown()

    async def put(self, event: Event) -> int:
        """Keep an event; returns its number once it is on disk. Events put meanwhile share the commit."""
        put = _Put(KIND_OF[type(event)], event.at, _encode(event), asyncio.get_running_loop().create_future())
        self._pending.append(put)
        if not self._commit_due:
            self._commit_due = True
            # not awaited: a task that is cancelled here must not take the commit from the others
            self._thread.submit(self._commit_pending)
        return await put.number

    async def read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        """The next events of a kind with `after < number < before`, oldest first, within the size of a pack."""
        return await self._call(lambda: self._read(kind, after, before, max_bytes))

    async def forget(self, spans: Sequence[tuple[int, int]]) -> None:
        """Delete events that the collector has stored, from first to last; numbers that are not here are no error."""
        await self._call(lambda: self._forget(spans))

    async def lost(self) -> list[LostRuns]:
        """What was dropped and is not yet known to the collector."""
        return await self._call(self._read_lost)

    async def forget_lost(self, lost_id: int) -> None:
        """The collector knows of these lost numbers now."""
        await self._call(lambda: self._write("DELETE FROM lost WHERE id = ?", (lost_id,)))

    async def waiting(self) -> Waiting:
        """How much waits for the collector."""
        return await self._call(lambda: waiting(self._db))

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _commit_pending(self) -> None:
        self._commit_due = False
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        if not batch:
            return
        loop = batch[0].number.get_loop()
        try:
            with self._db:
                self._number_unwritten()
                rows = [(put.kind, put.at, put.body) for put in batch]
                self._db.executemany("INSERT INTO events (kind, at, body) VALUES (?, ?, ?)", rows)
                last = self._last_number()
                while used_bytes(self._db) > self._max_bytes and self._drop_oldest():
                    pass
        except Exception as error:  # who put the events must know, whatever it is
            self._unwritten.update(put.kind for put in batch)
            for put in batch:
                loop.call_soon_threadsafe(_fail, put.number, error)
            return
        self._unwritten.clear()
        self.last_number = last
        for number, put in enumerate(batch, last - len(batch) + 1):
            loop.call_soon_threadsafe(_succeed, put.number, number)
        loop.call_soon_threadsafe(self._changed)
        if self._joins:
            self._join()

    def _join(self) -> None:
        try:
            any(join(self._db, kind) for kind in JOINED_KINDS)  # one at a time, so that nobody waits long
        except sqlite3.OperationalError:
            pass  # the disk is full: they stay as they are until it has room
        except Exception:
            self._joins = False
            log.exception("outbox: old events cannot be joined; they stay as they are until the agent starts anew")

    def _changed(self) -> None:
        self.on_change()  # as it is set by now

    def _last_number(self) -> int:
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return int(row[0]) if row else 0

    def _number_unwritten(self) -> None:
        """Number what could not be written, so that the collector's ledger shows it as lost."""
        for kind, count in self._unwritten.items():
            first = self._last_number() + 1
            last = first + min(count, MAX_NUMBERS) - 1
            # an event with the last of the numbers, gone at once, moves the sequence on
            self._db.execute("INSERT INTO events VALUES (?, ?, 0, '')", (last, kind))
            self._db.execute("DELETE FROM events WHERE number = ?", (last,))
            self._note_lost(kind, pack_ranges([(first, last)]), "the disk could not be written")

    def _drop_oldest(self) -> bool:
        for kind in reversed(PRIORITY):
            if numbers := oldest(self._db, kind, DROP_AT_ONCE):
                self._lose(kind, numbers, "the outbox was full")
                return True
        return False

    def _lose(self, kind: str, numbers: list[int], reason: str) -> None:
        self.dropped += len(numbers)
        delete(self._db, [(number, number) for number in numbers])
        self._note_lost(kind, pack_runs(numbers), reason)

    def _note_lost(self, kind: str, runs: tuple[int, ...], reason: str) -> None:
        self.has_lost = True
        self._db.execute("INSERT INTO lost (kind, reason, runs) VALUES (?, ?, ?)", (kind, reason, _encode(runs)))

    def _read_lost(self) -> list[LostRuns]:
        rows = self._db.execute("SELECT id, runs, kind, reason FROM lost ORDER BY id LIMIT 8").fetchall()
        self.has_lost = bool(rows)
        return [LostRuns(row[0], _decode_runs(row[1]), Lost(kind=row[2], reason=row[3])) for row in rows]

    def _read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = []
        unreadable: dict[str, list[int]] = {}
        size = 0
        with closing(of_kind(self._db, kind, after, before)) as bodies:
            for number, body in islice(bodies, PACK_EVENTS):
                if len(body) > MAX_EVENT_BYTES:
                    unreadable.setdefault("it was larger than a pack may be", []).append(number)
                    continue
                size += len(body)
                if events and size > max_bytes:
                    break
                try:
                    events.append((number, _decode[kind](body)))
                except msgspec.MsgspecError:
                    unreadable.setdefault("the bytes on disk were damaged", []).append(number)
        if not unreadable:
            return events
        with self._db:
            for reason, numbers in unreadable.items():
                self._lose(kind, numbers, reason)
        return events or self._read(kind, after, before, max_bytes)

    def _forget(self, spans: Sequence[tuple[int, int]]) -> None:
        with self._db:
            delete(self._db, spans)

    def _write(self, sql: str, parameters: tuple[int, ...]) -> None:
        with self._db:
            self._db.execute(sql, parameters)


def _succeed(future: asyncio.Future[int], number: int) -> None:
    if not future.done():
        future.set_result(number)


def _fail(future: asyncio.Future[int], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
