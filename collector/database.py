"""The relational state: ledger, devices, watchlist, alerts, tokens, audit; SQLAlchemy Core on SQLite or PostgreSQL.

SQLite is one collector's own. PostgreSQL may be shared by several: then what one of them holds in memory is never the
truth, and whoever changes what another may change meanwhile takes a lock of `Lock` first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec
from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    ExceptionContext,
    Integer,
    MetaData,
    TextClause,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as AllTaken

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON", "secure_delete=ON")
METADATA = MetaData()
"""Every table of the collector; each stands in the file that owns it."""
Id = BigInteger().with_variant(Integer(), "sqlite")
"""Of rows that are numbered as they come."""
UNAVAILABLE = (OperationalError, InterfaceError, InternalError, AllTaken)
"""What the database raises while it is not there, busy, full, read-only or damaged, or all connections to it wait for
an answer: the same may work later, and something else may work now."""

_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms; a server that is cut off is noticed, one that only works for long is not
    # a collector that is stopped amid a transaction must not hold up the others: it loses its connection
    "options": "-c idle_in_transaction_session_timeout=5s -c lock_timeout=15s -c timezone=UTC",
}


class Lock(IntEnum):
    """What is changed by one collector at a time; each a lock of PostgreSQL, held until its transaction ends."""

    TABLES = 1
    ALERTS = 2
    LIMITS = 3
    PACES = 4
    NEWS = 5


def open_database(url: str | URL, tls: dict[str, str] | None = None) -> Engine:
    """Open the database and make the tables that are missing; `tls` is for the driver of PostgreSQL.

    SQLite commits reach the disk before they return (WAL, synchronous FULL), and so do those of PostgreSQL: receipts
    rest on them. What is deleted from SQLite is overwritten (secure_delete): pictures of people go, not only rows.
    """
    if str(url).startswith("sqlite"):
        engine = create_engine(url, hide_parameters=True)  # errors are logged, and they would tell plates
    else:
        # a connection that the server has ended while nobody used it is replaced before its next use
        engine = create_engine(
            url, hide_parameters=True, connect_args={**_CONNECTION, **(tls or {})}, pool_pre_ping=True
        )

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _record: object) -> None:
        if engine.dialect.name == "sqlite":
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        else:
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
            connection.commit()

    @event.listens_for(engine, "handle_error", retval=True)
    def damaged(context: ExceptionContext) -> BaseException | None:
        # for PostgreSQL it is an InternalError: a damaged page must not end what can do without it
        error = context.original_exception
        if type(error) is not sqlite3.DatabaseError:
            return None
        return OperationalError(context.statement, None, error, hide_parameters=True)

    with engine.begin() as db:
        lock(db, Lock.TABLES)
        METADATA.create_all(db)
    return engine


def shared(engine: Engine) -> bool:
    """Whether other collectors may work on the same tables."""
    return engine.dialect.name != "sqlite"


def lock(db: Connection, what: Lock) -> None:
    """Wait until no other collector holds this lock; it is held until the transaction ends. SQLite has one writer."""
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(0, :what)"), {"what": int(what)})


def with_rows(dialect: str, sql: str, **columns: str) -> TextClause:
    """A statement in which {rows} stands for a table of these columns (name: type), that `rows` gives as a parameter.

    One statement for many rows costs a fraction of as many statements.
    """
    if dialect == "sqlite":
        parts = [f"json_extract(value, '$[{i}]') AS {name}" for i, name in enumerate(columns)]
        source = "json_each(:rows)"
    else:
        parts = [f"CAST(value ->> {i} AS {kind}) AS {name}" for i, (name, kind) in enumerate(columns.items())]
        source = "jsonb_array_elements(CAST(:rows AS jsonb))"
    return text(sql.replace("{rows}", f"(SELECT {', '.join(parts)} FROM {source})"))  # noqa: S608


def rows(values: Sequence[Sequence[Any]]) -> dict[str, str]:
    """The parameter for `with_rows`: rows of texts and whole numbers."""
    return {"rows": msgspec.json.encode(values).decode()}


def plain(said: str) -> str:
    """Text of a stranger as any database takes it: PostgreSQL refuses the character 0."""
    return said.replace("\0", "�")
