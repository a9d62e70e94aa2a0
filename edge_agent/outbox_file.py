"""The outbox's file: opened, checked, set aside when it is damaged, measured. One SQLite file with its log."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge_agent.contract.runs import MAX_NUMBER
from edge_agent.outbox_epochs import begin_epoch
from edge_agent.outbox_rows import total
from edge_agent.outbox_schema import bring_up_to_date

log = logging.getLogger(__name__)

PAGE_BYTES = 4096
"""SQLite's page, unless a file was made with another."""
DAMAGED_KEPT = 2
"""Damaged files kept for a technician to look at."""


class Waiting(NamedTuple):
    """What waits in an outbox."""

    events: int
    bytes: int
    oldest: int | None
    """Time of the oldest event, ms."""


def open_file(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Open the outbox at `path`, or make one; a damaged file is set aside first.

    Raises OSError or sqlite3.OperationalError where the disk is full or may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # plates are personal data
    try:
        return _connect(path, max_bytes)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        reason = f"{path.name} was damaged ({error}); what it still held is in the file set aside"
    _set_aside(path)
    log.error("outbox: %s", reason)
    return _connect(path, max_bytes, reason)


def waiting(db: sqlite3.Connection) -> Waiting:
    """Count what an open outbox file holds."""
    events, oldest, _ = total(db)
    return Waiting(events, used_bytes(db), oldest)


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that are in use; deleted events leave pages that new ones take."""
    pages, free, size = (db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def last_number(db: sqlite3.Connection) -> int:
    """The last number that was given, also where its event is gone."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def bytes_in_file(body: int) -> int:
    """What an event with a body of so many bytes takes of the file: a large one (a picture) fills pages of its own."""
    return body if body < PAGE_BYTES // 4 else -(-body // PAGE_BYTES) * PAGE_BYTES


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
        bring_up_to_date(db)
        # the cap is kept by dropping events; this is the wall behind it
        page_size = db.execute("PRAGMA page_size").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={max_bytes * 2 // page_size + 64}")
        with db:
            if set_aside:
                db.execute("INSERT INTO damage VALUES (?)", (set_aside,))
            begin_epoch(db, _no_number_twice(db) + 1)
    except BaseException:
        db.close()
        raise
    return db


def _no_number_twice(db: sqlite3.Connection) -> int:
    """The highest number in the file, from which on new ones are given also where the count of them is damaged."""
    highest = """SELECT max(coalesce(max(number), 0), (SELECT coalesce(max(last), 0) FROM joined),
                            (SELECT coalesce(max(first), 1) - 1 FROM epochs)) FROM events"""
    last, given = int(db.execute(highest).fetchone()[0]), last_number(db)
    if max(last, given) > MAX_NUMBER:
        raise sqlite3.DatabaseError("its numbers are damaged")
    if given < last:
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
        db.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (last,))
    return max(last, given)


def _is_damage(error: Exception) -> bool:
    """Tell a file that is damaged from a disk that is full, not there or not to be written."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    unreadable = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
    return code in unreadable or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


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
