"""Events on disk until the collector has stored them.

One SQLite file: `synchronous=FULL`, so an event that `put` has returned survives a power cut. Every event gets a number
that rises by one and is never given twice. The file keeps within a byte cap by dropping the oldest events of the least
important kind; the dropped numbers are kept until the collector knows of them. A damaged file is set aside and a new
outbox begins.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import msgspec

from edge_agent.contract.events import EVENT_OF, KIND_OF, PRIORITY, Event, Lost
from edge_agent.contract.runs import pack_runs

log = logging.getLogger(__name__)
T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (id INTEGER NOT NULL, set_aside TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, number);
CREATE TABLE IF NOT EXISTS lost (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, runs BLOB NOT NULL);
"""
DROP_AT_ONCE = 500
"""Events dropped together when the cap is reached, so that a full outbox does not drop at every event."""
PACK_EVENTS = 1000
"""Events in one pack at most."""
DAMAGED_KEPT = 2
"""Damaged files kept for a technician to look at."""

_encode = msgspec.msgpack.Encoder().encode
_decode: dict[str, Callable[[bytes], Event]] = {
    kind: msgspec.msgpack.Decoder(event).decode for kind, event in EVENT_OF.items()
}
_decode_runs = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class Waiting(NamedTuple):
    """What waits in an outbox."""

    events: int
    bytes: int
    oldest: int | None
    """Time of the oldest event, ms."""


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
        self._pending: deque[tuple[Event, asyncio.Future[int]]] = deque()
        self._commit_due = False
        self.id, self.set_aside = connection.execute("SELECT id, set_aside FROM meta").fetchone()
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        self.last_number: int = row[0] if row else 0
        self.has_lost = connection.execute("SELECT count(*) FROM lost").fetchone()[0] > 0
        """Whether numbers were dropped that the collector does not know of."""
        self.dropped = 0
        """Events dropped since the start."""
        self.on_change: Callable[[], None] = lambda: None
        """Called in the event loop after events were added."""

    @classmethod
    def open(cls, path: Path, max_bytes: int) -> Self:
        """Open the outbox at `path`, or make one; a damaged file is set aside first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return cls(_connect(path, max_bytes), max_bytes)
        except (sqlite3.DatabaseError, TypeError) as error:
            reason = f"{path.name} was damaged ({error}); what it still held is in the file set aside"
        _set_aside(path)
        log.error("outbox: %s", reason)
        return cls(_connect(path, max_bytes, reason), max_bytes)

    async def close(self) -> None:
        """Finish what was put and close the file."""
        await self._call(self._db.close)
        self._thread.shutdown()

    async def put(self, event: Event) -> int:
        """Keep an event; returns its number once it is on disk. Events put meanwhile share the commit."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pending.append((event, future))
        if not self._commit_due:
            self._commit_due = True
            await self._call(self._commit_pending)
            self.on_change()
        return await future

    async def read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        """The next events of a kind with `after < number < before`, oldest first, within the size of a pack."""
        return await self._call(lambda: self._read(kind, after, before, max_bytes))

    async def forget(self, spans: Sequence[tuple[int, int]]) -> None:
        """Delete events that the collector has stored, from first to last; numbers that are not here are no error."""
        await self._call(lambda: self._forget(spans))

    async def lost(self) -> list[LostRuns]:
        """What was dropped and is not yet known to the collector."""
        rows = await self._call(lambda: self._db.execute("SELECT id, runs, kind, reason FROM lost LIMIT 8").fetchall())
        self.has_lost = bool(rows)
        return [LostRuns(row[0], _decode_runs(row[1]), Lost(kind=row[2], reason=row[3])) for row in rows]

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
        try:
            with self._db:
                for event, _ in batch:
                    row = (KIND_OF[type(event)], event.at, _encode(event))
                    self._db.execute("INSERT INTO events (kind, at, body) VALUES (?, ?, ?)", row)
                last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()[0]
                while used_bytes(self._db) > self._max_bytes and self._drop_oldest():
                    pass
        except sqlite3.Error as error:
            for _, future in batch:
                future.get_loop().call_soon_threadsafe(_fail, future, error)
            return
        self.last_number = last
        for number, (_, future) in enumerate(batch, last - len(batch) + 1):
            future.get_loop().call_soon_threadsafe(_succeed, future, number)

    def _drop_oldest(self) -> bool:
        for kind in reversed(PRIORITY):
            rows = self._db.execute(
                "SELECT number FROM events WHERE kind = ? ORDER BY number LIMIT ?", (kind, DROP_AT_ONCE)
            ).fetchall()
            if rows:
                self._lose(kind, [row[0] for row in rows], "the outbox was full")
                return True
        return False

    def _lose(self, kind: str, numbers: list[int], reason: str) -> None:
        self.dropped += len(numbers)
        self.has_lost = True
        self._db.executemany("DELETE FROM events WHERE number = ?", [(number,) for number in numbers])
        runs = _encode(pack_runs(numbers))
        self._db.execute("INSERT INTO lost (kind, reason, runs) VALUES (?, ?, ?)", (kind, reason, runs))

    def _read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = []
        unreadable: list[int] = []
        size = 0
        with closing(
            self._db.execute(
                "SELECT number, body FROM events WHERE kind = ? AND number > ? AND number < ? ORDER BY number LIMIT ?",
                (kind, after, before, PACK_EVENTS),
            )
        ) as rows:
            for number, body in rows:
                size += len(body)
                if events and size > max_bytes:
                    break
                try:
                    events.append((number, _decode[kind](body)))
                except msgspec.MsgspecError:
                    unreadable.append(number)
        if unreadable:
            with self._db:
                self._lose(kind, unreadable, "the bytes on disk were damaged")
        return events

    def _forget(self, spans: Sequence[tuple[int, int]]) -> None:
        with self._db:
            self._db.executemany("DELETE FROM events WHERE number BETWEEN ? AND ?", spans)

    def _write(self, sql: str, parameters: tuple[int, ...]) -> None:
        with self._db:
            self._db.execute(sql, parameters)


def waiting(db: sqlite3.Connection) -> Waiting:
    """Count what an open outbox file holds."""
    events, oldest = db.execute("SELECT count(*), min(at) FROM events").fetchone()
    return Waiting(events, used_bytes(db), oldest)


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that are in use; deleted events leave pages that new ones take."""
    pages, free, size = (db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def _connect(path: Path, max_bytes: int, set_aside: str = "") -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA journal_size_limit={1 << 20}")
        db.execute(f"PRAGMA cache_size=-{512}")  # KiB: the box is small
        findings = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if findings != "ok":
            raise sqlite3.DatabaseError(findings)  # noqa: TRY301
        db.executescript(SCHEMA)
        # the cap is kept by dropping events; this is the wall behind it
        page_size = db.execute("PRAGMA page_size").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={max_bytes * 2 // page_size + 64}")
        with db:
            if db.execute("SELECT count(*) FROM meta").fetchone()[0] == 0:
                db.execute("INSERT INTO meta VALUES (?, ?)", (secrets.randbelow(2**32 - 1) + 1, set_aside))
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    damaged = sorted(path.parent.glob(f"{path.stem}.damaged-????"))
    for old in damaged[: max(0, len(damaged) - DAMAGED_KEPT + 1)]:
        for file in (old, Path(f"{old}-wal")):
            file.unlink(missing_ok=True)
    number = int(damaged[-1].suffix.removeprefix(".damaged-")) + 1 if damaged else 1
    kept = path.with_suffix(f".damaged-{number:04}")
    path.rename(kept)
    Path(f"{path}-shm").unlink(missing_ok=True)
    with suppress(FileNotFoundError):  # SQLite finds a file's log by its name
        Path(f"{path}-wal").rename(f"{kept}-wal")


def _succeed(future: asyncio.Future[int], number: int) -> None:
    if not future.done():
        future.set_result(number)


def _fail(future: asyncio.Future[int], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
