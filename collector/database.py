"""The relational state: ledger, devices, watchlist, alerts, tokens, audit; SQLAlchemy Core on SQLite."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON", "secure_delete=ON")
METADATA = MetaData()
"""Every table of the collector; each stands in the file that owns it."""


def open_database(url: str) -> Engine:
    """Open the database and make the tables that are missing.

    SQLite commits reach the disk before they return (WAL, synchronous FULL): receipts rest on them. What is deleted
    is overwritten (secure_delete): pictures of people go, not only their rows.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def durable(connection: Any, _record: object) -> None:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")

    METADATA.create_all(engine)
    return engine
