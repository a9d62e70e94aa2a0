"""Events on the box until the collector has stored them.

One SQLite file: `synchronous=FULL`, so an event that `put` has returned survives a power cut, unless the box keeps its
outbox in memory. Every event gets a number
that rises by one and is never given twice; to the collector it is known by the outbox id of the start in which it was
made and its number there (`outbox_epochs.py`). The file keeps within a byte cap by dropping the oldest events of the
least important kind; the dropped numbers are kept until the collector knows of them. Where many events wait, the oldest
are joined into fewer, smaller rows (`outbox_rows.py`). A damaged file is set aside and a new outbox begins.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

import msgspec

from edge_agent.contract.events import EVENT_OF, KIND_OF, PRIORITY, URGENT, Event
from edge_agent.contract.runs import MAX_NUMBERS, pack_runs, ranges
from edge_agent.outbox_epochs import drop_empty, last_number, read_epochs
from edge_agent.outbox_file import Waiting, bytes_in_file, in_memory, open_outbox, used_bytes, waiting
from edge_agent.outbox_lost import DAMAGED, LostRuns, note_lost, read_lost
from edge_agent.outbox_rows import JOINED_KINDS, Row, add, delete, discard, join, of_kind, oldest

log = logging.getLogger(__name__)

T = TypeVar("T")
Storage = Literal["disk", "memory"]

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


class _Put(NamedTuple):
    """An event that waits for its commit."""

    kind: str
    at: int
    body: bytes
    number: asyncio.Future[int]


class Outbox:
    """One box's outbox; its methods may be awaited from many tasks, the file is touched by one thread."""

    def __init__(self, connection: sqlite3.Connection, max_bytes: int, commit_s: float = 0.0) -> None:
        self._db = connection
        self._commit_s = commit_s
        self._commit_later: asyncio.TimerHandle | None = None
        self.max_bytes = max_bytes
        self.bytes_put = 0
        """What was put since the start, as large as it stands in the file, before old events are joined."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._pending: deque[_Put] = deque()
        self._commit_due = False
        self._unwritten: Counter[str] = Counter()
        """Events of each kind that the disk did not take; they are numbered, as lost, with the next that it takes."""
        self._joins = True
        """Whether old events are joined; no more after an error that nobody foresaw, since nothing depends on it."""
        self.set_aside = "; ".join(text for (text,) in connection.execute("SELECT text FROM damage"))
        """Why the file before this one was given up, if it was."""
        self.volatile = in_memory(connection)
        """Whether it stands in memory only."""
        self.epochs = read_epochs(connection)
        """The outbox ids of what is here. All other numbers of this class count through all of them."""
        self.last_number = last_number(connection)
        self.has_lost = connection.execute("SELECT count(*) FROM lost").fetchone()[0] > 0
        """Whether numbers were dropped that the collector does not know of."""
        self.dropped: Counter[str] = Counter()
        """Events dropped since the start, by kind."""
        self.on_change: Callable[[], None] = lambda: None
        """Called in the event loop after events were added."""

    @property
    def id(self) -> int:
        """The outbox id of new events."""
        return self.epochs.current.id

    @classmethod
    def open(cls, path: Path, max_bytes: int, *, commit_s: float = 0.0, storage: Storage = "disk") -> Self:
        """Open the outbox at `path`, or make one; a damaged file is set aside first.

        Events that are not urgent wait at most `commit_s` seconds for others to share their commit. With `memory` it
        stands in memory, unless events wait in the file: then it stays on disk until a start finds none.
        Raises OSError or sqlite3.OperationalError where the disk is full or may not be written.
        """
        return cls(open_outbox(path, max_bytes, storage), max_bytes, commit_s)

    async def close(self) -> None:
        """Finish what was put and close the file."""
        self._commit_now()
        await self._call(self._db.close)
        self._thread.shutdown()

    async def put(self, event: Event) -> int:
        """Keep an event; returns its number once it is on disk. Events put meanwhile share the commit."""
        loop = asyncio.get_running_loop()
        put = _Put(KIND_OF[type(event)], event.at, _encode(event), loop.create_future())
        self.bytes_put += bytes_in_file(len(put.body))
        self._pending.append(put)
        if put.kind == URGENT or not self._commit_s:
            self._commit_now()
        elif self._commit_later is None:
            self._commit_later = loop.call_later(self._commit_s, self._commit_now)
        return await put.number

    def _commit_now(self) -> None:
        if self._commit_later is not None:
            self._commit_later.cancel()
            self._commit_later = None
        if self._pending and not self._commit_due:
            self._commit_due = True
            # not awaited: a task that is cancelled here must not take the commit from the others
            self._thread.submit(self._commit_pending)

    async def read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        """The next events of a kind with `after < number < before`, oldest first: one pack's, so all of one epoch."""
        return await self._call(lambda: self._read(kind, after, before, max_bytes))

    async def forget(self, spans: Sequence[tuple[int, int]]) -> None:
        """Delete events that the collector has stored, from first to last; numbers that are not here are no error."""
        await self._call(lambda: self._forget(spans))

    async def lost(self) -> list[LostRuns]:
        """What was dropped and is not yet known to the collector."""
        return await self._call(self._read_lost)

    async def forget_lost(self, lost_id: int) -> None:
        """The collector knows of these lost numbers now."""
        await self._call(lambda: self._forget_lost(lost_id))

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
                first = last_number(self._db) + 1
                add(self._db, self.id, first, ((put.kind, put.at, put.body) for put in batch))
                last = first + len(batch) - 1
                while used_bytes(self._db) > self.max_bytes and self._drop_oldest():
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
            any(join(self._db, self.epochs, kind) for kind in JOINED_KINDS)  # one at a time, so that nobody waits long
        except sqlite3.OperationalError:
            pass  # the disk is full: they stay as they are until it has room
        except Exception:
            self._joins = False
            log.exception("outbox: old events cannot be joined; they stay as they are until the agent starts anew")

    def _changed(self) -> None:
        self.on_change()  # as it is set by now

    def _number_unwritten(self) -> None:
        """Number what could not be written, so that the collector's ledger shows it as lost."""
        for kind, count in self._unwritten.items():
            first = last_number(self._db) + 1
            last = first + min(count, MAX_NUMBERS) - 1
            # an event with the last of the numbers, gone at once, moves the sequence on
            add(self._db, self.id, last, [(kind, 0, b"")])
            delete(self._db, self.epochs, [(last, last)])
            self._note_lost(kind, [(first, last)], "the disk could not be written")

    def _drop_oldest(self) -> bool:
        for kind in reversed(PRIORITY):
            if rows := oldest(self._db, self.epochs, kind, DROP_AT_ONCE):
                self._lose(kind, [row.number for row in rows if row.body], "the outbox was full")
                self._lose_damaged(kind, [row for row in rows if not row.body])
                return True
        return False

    def _lose(self, kind: str, numbers: list[int], reason: str) -> None:
        self.dropped[kind] += len(numbers)
        delete(self._db, self.epochs, [(number, number) for number in numbers])
        self._note_lost(kind, _spans(numbers), reason)

    def _lose_damaged(self, kind: str, rows: list[Row]) -> None:
        for row in rows:
            numbers = discard(self._db, self.epochs, row.number, last_number(self._db))
            self.dropped[kind] += len(numbers)
            self._note_lost(kind, _spans(numbers), DAMAGED)

    def _note_lost(self, kind: str, spans: Iterable[tuple[int, int]], reason: str) -> None:
        self.has_lost |= note_lost(self._db, self.epochs, kind, spans, reason)

    def _read_lost(self) -> list[LostRuns]:
        rows = read_lost(self._db, self.epochs)
        self.has_lost = bool(rows)
        return rows

    def _read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = []
        too_large: list[int] = []
        damaged: list[Row] = []
        size = 0
        with closing(of_kind(self._db, self.epochs, kind, after, before)) as rows:
            for row in islice(rows, PACK_EVENTS):
                if len(row.body) > MAX_EVENT_BYTES:
                    too_large.append(row.number)
                    continue
                size += len(row.body)
                if events and (size > max_bytes or row.number > self.epochs.of(events[0][0]).last):
                    break
                try:
                    events.append((row.number, _decode[kind](row.body)))
                except msgspec.MsgspecError:
                    damaged.append(row)
        if not too_large and not damaged:
            return events
        with self._db:
            self._lose(kind, too_large, "it was larger than a pack may be")
            self._lose_damaged(kind, damaged)
        return events or self._read(kind, after, before, max_bytes)

    def _forget(self, spans: Sequence[tuple[int, int]]) -> None:
        with self._db:
            delete(self._db, self.epochs, spans)
            self._drop_empty_epochs()
        self.epochs = read_epochs(self._db)  # only now, since the commit might have failed

    def _forget_lost(self, lost_id: int) -> None:
        with self._db:
            self._db.execute("DELETE FROM lost WHERE id = ?", (lost_id,))
            self._drop_empty_epochs()
        self.epochs = read_epochs(self._db)

    def _drop_empty_epochs(self) -> None:
        if len(self.epochs) > 1:
            drop_empty(self._db, self.epochs)


def _spans(numbers: list[int]) -> list[tuple[int, int]]:
    return list(ranges(pack_runs(numbers))) if numbers else []


def _succeed(future: asyncio.Future[int], number: int) -> None:
    if not future.done():
        future.set_result(number)


def _fail(future: asyncio.Future[int], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
