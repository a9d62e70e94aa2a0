"""The relational state in a file of SQLite: what to do where it cannot be opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from collector.database import open_database
from collector.errors import Failure

_CURES = (
    ("full", "make room on its disk"),
    ("locked", "another program holds it: end that, or wait until it is done"),
    ("unable to open", "file and folder must belong to the user that runs the collector"),
    ("readonly", "file and folder must belong to the user that runs the collector"),
)
_ELSE = (
    "it is damaged, or no file of ours: copy it and the files beside it (-wal, -shm) away, then put it back from a "
    "backup, or what `sqlite3 collector.sqlite .recover` saves; without either move them away: ledger, watchlist, "
    "alerts, tokens and audit begin anew"
)


def sqlite(file: Path) -> Engine:
    """Open the database and make the tables that are missing. Raises Failure with what to do."""
    try:
        return open_database(f"sqlite:///{file}")
    except DBAPIError as error:
        cure = next((cure for sign, cure in _CURES if sign in str(error.orig)), _ELSE)
        raise Failure(f"{file} cannot be opened: {error.orig}\n  {cure}") from error
