"""How many writes the embedded store has confirmed: counted in the file with each, and kept beside it.

DuckDB takes a log that is cut, or whose head is destroyed, for one that is short or empty, and an old copy of a file
looks like any other: points that boxes have forgotten would be gone in silence. The number beside it is not synced to
disk, so after a power cut it may be behind, never ahead.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from collector.stores import StoreError

log = logging.getLogger(__name__)

_TABLE = "CREATE SCHEMA IF NOT EXISTS collector; CREATE TABLE collector.written AS SELECT 0::BIGINT AS n"
_IS_THERE = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'collector' AND table_name = 'written'"


class Mark:
    """The count of the store in `store`, beside it as `<name>.mark`."""

    def __init__(self, store: Path) -> None:
        self._store, self._path = store, store.with_suffix(".mark")
        self._file: int | None = None
        self._count = 0

    def check(self, db: Any) -> None:
        """Hold the opened store against the number beside it, before anything is changed. Raises StoreError."""
        counts = bool(db.execute(_IS_THERE).fetchall())
        self._count = int(db.execute("SELECT n FROM collector.written").fetchall()[0][0]) if counts else 0
        lacking = self._kept() - self._count
        if lacking > 0:
            db.close()
            name = self._store.name
            raise StoreError(
                f"{self._store} lacks the last {lacking} writes that it had confirmed: it is an older copy, or its log "
                f"({name}.wal) is damaged\n  put the right files back; or, to go on without those points, which no box "
                f"will send again, delete {self._path}"
            )
        if not counts:
            db.execute(_TABLE)

    def count(self, db: Any) -> None:
        """Count a write, in its own transaction."""
        db.execute("UPDATE collector.written SET n = ?", [self._count + 1])

    def keep(self) -> None:
        """The write is committed; where the number cannot be kept, as on a full disk, the one before stays."""
        self._count += 1
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.pwrite(self._file, f"{self._count:020d}".encode(), 0)
        except OSError as error:
            log.debug("%s: %s", self._path, error)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _kept(self) -> int:
        try:
            return int(self._path.read_bytes() or b"0")
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            cure = "delete it if the store is as it should be"
            raise StoreError(f"{self._path} cannot be read: {error}\n  {cure}") from error


def cure(store: Path, said: str) -> str:
    """What to do about a file that DuckDB does not open."""
    if "lock" in said:
        return "does another collector run on it? One process at a time may have it"
    if "No space left" in said:
        return "make room on its disk"
    copy = f"copy {store.name} and {store.name}.wal away, then put them back from a backup"
    if "WAL" in said:
        return (
            f"its log is damaged: {copy}; or delete {store.name}.wal and {store.stem}.mark to go on without what was "
            "written last, at most 16 MB of it, which no box will send again"
        )
    return f"it is damaged, or no file of ours: {copy}; without a backup move both away, and a new history begins"
