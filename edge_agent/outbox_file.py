"""The outbox's file: opened, checked, set aside when it is damaged, measured. One SQLite file with its log."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from edge_agent.contract.runs import MAX_NUMBER
from edge_agent.outbox_epochs import begin_epoch, last_number
from edge_agent.outbox_rows import total
from edge_agent.outbox_schema import TYPES, bring_up_to_date

log = logging.getLogger(__name__)

PAGE_BYTES = 1024
"""Of a new file: a commit writes some pages, so small ones spare the flash."""
MEMORY = ":memory:"
BUSY_MS = 50_000
"""A commit waits so long for another program that holds the file: less than a commit may take (`agent.DISK_S`)."""


class Waiting(NamedTuple):
    """What waits in an outbox."""

    events: int
    bytes: int
    oldest: int | None
    """Time of the oldest event, ms."""


def open_outbox(path: Path, max_bytes: int, storage: str) -> sqlite3.Connection:
    """Open the outbox in memory if it shall be there and nothing waits in the file at `path`, else that file.

    Raises as `open_file` does.
    """
    if storage == "memory":
        if not path.exists():
            return _connect(MEMORY, max_bytes)
        db = open_file(path, max_bytes)
        if total(db).events or db.execute("SELECT 1 FROM lost").fetchone():
            log.warning("outbox: %s still holds events; in memory it stands from the first start without", path)
            return db
        db.close()
        return _connect(MEMORY, max_bytes)
    return open_file(path, max_bytes)


def in_memory(db: sqlite3.Connection) -> bool:
    """Whether an outbox stands in memory only."""
    return not db.execute("PRAGMA database_list").fetchone()[2]


def open_file(path: Path, max_bytes: int) -> sqlite3.Connection:
    """Open the outbox at `path`, or make one; of a damaged file what still reads goes over into a new one first.

    Raises OSError or sqlite3.OperationalError where the disk is full or may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # plates are personal data
    if path.with_suffix(".saved").exists():
        _replacement().finish(path)
    try:
        return _connect(path, max_bytes)
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        if not _is_damage(error, path):
            raise
        said = _replacement().replace(path, " ".join(str(error).split()))
    log.error("outbox: %s", said)
    return _connect(path, max_bytes)


def cure(error: sqlite3.OperationalError) -> str:
    """What is to be done so that the file can be written again."""
    locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return "another program holds its file; end that one" if locked else "free some disk space"


def _replacement() -> ModuleType:
    from edge_agent import outbox_salvage  # seldom needed, and the box is small

    return outbox_salvage


def waiting(db: sqlite3.Connection) -> Waiting:
    """Count what an open outbox file holds."""
    events, oldest, _ = total(db)
    return Waiting(events, used_bytes(db), oldest)


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that are in use; deleted events leave pages that new ones take."""
    pages, free, size = (db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def bytes_in_file(body: int) -> int:
    """What an event with a body of so many bytes takes of the file: a large one (a picture) fills pages of its own."""
    return body if body < PAGE_BYTES // 4 else -(-body // PAGE_BYTES) * PAGE_BYTES


def _connect(path: Path | str, max_bytes: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False)
    db.text_factory = _text
    try:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA journal_size_limit={1 << 20}")
        db.execute(f"PRAGMA cache_size=-{512}")  # KiB: the box is small
        findings = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if findings != "ok":
            raise sqlite3.DatabaseError(findings)  # noqa: TRY301
        bring_up_to_date(db)
        for table, types in TYPES.items():
            if db.execute(f"SELECT 1 FROM {table} WHERE NOT ({types})").fetchone():  # noqa: S608
                raise sqlite3.DatabaseError(f"a row of {table} holds what never stands there")  # noqa: TRY301
        # the cap is kept by dropping events; this is the wall behind it
        page_size = db.execute("PRAGMA page_size").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={max_bytes * 2 // page_size + 64}")
        with db:
            begin_epoch(db, _no_number_twice(db) + 1)
        db.execute(f"PRAGMA busy_timeout={BUSY_MS}")
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


def _text(text: bytes) -> str:
    """Damaged bytes must not keep a row from being read: its checksum then tells."""
    return text.decode(errors="replace")


def _is_damage(error: Exception, path: Path) -> bool:
    """Tell a file that is damaged from a disk that is full, not there or not to be written."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF == sqlite3.SQLITE_READONLY:  # the file may say so of itself, by one bit
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    unreadable = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
    return code in unreadable or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
