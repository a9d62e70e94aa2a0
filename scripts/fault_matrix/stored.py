"""What stands in the store, read from outside of the collector: every point with what tells its number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from scripts.fault_matrix.numbered import INSTRUMENTS, Made

Stored = tuple[str, Made]
"""The box and the event as it is stored."""
NAMES = [quantity.name for quantity in INSTRUMENTS.values()]


def duckdb_points(file: Path) -> list[Stored]:
    """The points of an embedded store whose collector is frozen, or not there, while this copies the file."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.duckdb"
        for suffix in ("", ".wal"):
            part = Path(f"{file}{suffix}")
            if part.exists():
                Path(f"{copy}{suffix}").write_bytes(part.read_bytes())
        with duckdb.connect(str(copy)) as db:
            return list(_rows(db))


def _rows(db: duckdb.DuckDBPyConnection) -> Iterator[Stored]:
    columns = {
        (table, column)
        for table, column in db.execute("SELECT table_name, column_name FROM information_schema.columns").fetchall()
    }
    for name in NAMES:
        if ("air", name) in columns:
            sql = f"SELECT station, epoch_ms(time), {name} FROM air WHERE {name} IS NOT NULL"
            for box, at, value in db.execute(sql).fetchall():
                yield box, reading(name, at, value)
    if ("plates", "frames") in columns:
        for box, at, frames in db.execute("SELECT camera, epoch_ms(time), frames FROM plates").fetchall():
            yield box, Made("plates", frames, at, "frames")
    if ("health", "uptime_s") in columns:
        for box, at in db.execute("SELECT device, epoch_ms(time) FROM health").fetchall():
            yield box, Made("health", at, at, "uptime_s")


def reading(name: str, at: int, value: float) -> Made:
    """A reading as the store gave it."""
    return Made("readings", round(value * 10), at, name)
