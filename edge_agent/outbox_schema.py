"""The tables of an outbox file; files of earlier versions are brought to this form, in one transaction."""

from __future__ import annotations

import sqlite3

from edge_agent.outbox_epochs import EPOCHS, put_epoch

JOINED = """CREATE TABLE joined (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, kind TEXT NOT NULL, events INTEGER NOT NULL,
    oldest INTEGER NOT NULL, newest INTEGER NOT NULL, runs BLOB NOT NULL, bodies BLOB NOT NULL"""
EVENTS = """CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL"""
LOST = "CREATE TABLE lost (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, runs BLOB NOT NULL"
INDICES = {
    "events_by_kind": "CREATE INDEX events_by_kind ON events (kind, number)",
    "joined_by_kind": "CREATE INDEX joined_by_kind ON joined (kind, first)",
}
TABLES = {
    "events": f"{EVENTS}, crc INTEGER)",
    "joined": f"{JOINED}, crc INTEGER)",
    "lost": f"{LOST}, crc INTEGER)",
    "epochs": EPOCHS,
    "damage": "CREATE TABLE damage (text TEXT NOT NULL)",
    **INDICES,
}
"""`oldest` and `newest` are times of events, those of the row when it was made. `crc` is that of `seal`, null in what
an earlier version wrote. `damage` says why the file before this one was given up, if it was."""
TYPES = {
    "events": "typeof(kind) = 'text' AND typeof(at) = 'integer' AND typeof(body) = 'blob'",
    "joined": """typeof(last) = 'integer' AND typeof(kind) = 'text' AND typeof(events) = 'integer' AND
                 typeof(oldest) = 'integer' AND typeof(newest) = 'integer' AND typeof(runs) = 'blob' AND
                 typeof(bodies) = 'blob'""",
    "lost": "typeof(kind) = 'text' AND typeof(reason) = 'text' AND typeof(runs) = 'blob'",
}
"""What stands in every row that no damage has met: SQLite would give anything."""
EARLIER = {
    "meta": "CREATE TABLE meta (id INTEGER NOT NULL, set_aside TEXT NOT NULL)",
    "events": f"{EVENTS})",
    "joined": f"{JOINED})",
    "lost": f"{LOST})",
    **INDICES,
}
"""Before a file held the events of several outbox ids; before that, without the two of joined events."""


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Make the tables in an empty file, or those that an earlier version lacked.

    Raises sqlite3.DatabaseError for a file whose tables are of no version: some bytes of it were damaged.
    """
    found = {
        name: sql
        for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        if name != "sqlite_sequence"
    }
    if found == TABLES:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        if not found:
            for sql in TABLES.values():
                db.execute(sql)
        elif found.items() <= EARLIER.items() and found.keys() >= {"meta", "events", "lost"}:
            _from_earlier(db, found)
        else:
            raise sqlite3.DatabaseError("its tables are not those of an outbox")


def _from_earlier(db: sqlite3.Connection, found: dict[str, str]) -> None:
    for name in ("epochs", "damage", "joined", "joined_by_kind"):
        if name not in found:
            db.execute(TABLES[name])
    for name in {"events", "joined", "lost"} & found.keys():
        db.execute(f"ALTER TABLE {name} ADD COLUMN crc INTEGER")
    for id_, set_aside in db.execute("SELECT id, set_aside FROM meta").fetchall():
        put_epoch(db, 1, id_)  # a number was that of the row then
        if set_aside:
            db.execute("INSERT INTO damage VALUES (?)", (set_aside,))
    db.execute("DROP TABLE meta")
