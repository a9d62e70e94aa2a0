"""Who may see what: roles, tokens, sessions of the page, and the audit of everything that concerns persons.

A token is 256 random bits and is printed once; the database keeps its SHA-256. A slow, salted hash protects secrets
that people choose; random ones of this length cannot be guessed, and a plain digest can be looked up by index.

The audit is append-only: in SQLite triggers refuse every change and deletion, in PostgreSQL rules ignore them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Engine,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    delete,
    event,
    insert,
    select,
    update,
)

from collector.database import METADATA, Id

Role = Literal["technician", "officer", "police", "operator"]
"""`officer` is an environmental officer."""
Right = Literal[
    "devices", "readings", "limits", "regulator", "plates", "alerts", "watchlist", "ledger", "metrics", "calibration"
]

ROLES: dict[Role, frozenset[Right]] = {
    # sees to the boxes: is it alive, does what it says arrive, are the values plausible
    "technician": frozenset({"devices", "readings", "limits", "ledger", "calibration"}),
    # never sees plates, pictures or alerts
    "officer": frozenset({"devices", "readings", "limits", "regulator"}),
    # sees devices too: a dead camera must not look like a quiet street
    "police": frozenset({"devices", "plates", "alerts", "watchlist"}),
    "operator": frozenset({"devices", "readings", "limits", "regulator", "ledger", "metrics"}),
}
"""The role matrix, the only one. Pictures go with `plates`."""

SESSION_MS = 12 * 3_600_000
"""A working day; then the token is asked for again."""

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
)
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("token", Id, ForeignKey("tokens.id"), nullable=False),
    Column("expires", BigInteger, nullable=False),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("what", String(32), nullable=False),
    Column("parameters", String, nullable=False),  # JSON
    Column("address", String(64), nullable=False),
)
for _change in ("UPDATE", "DELETE"):
    _trigger = (
        f"CREATE TRIGGER audit_no_{_change.lower()} BEFORE {_change} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    )
    _rule = f"CREATE RULE audit_no_{_change.lower()} AS ON {_change} TO audit DO INSTEAD NOTHING"
    event.listen(AUDIT, "after_create", DDL(_trigger).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
    event.listen(AUDIT, "after_create", DDL(_rule).execute_if(dialect="postgresql"))  # type: ignore[no-untyped-call]


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    role: Role

    def may(self, right: Right) -> bool:
        """Tell whether the role has the right."""
        return right in ROLES[self.role]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit; `at` in milliseconds UTC, `parameters` as JSON."""

    id: int
    at: int
    who: str
    role: str
    what: str
    parameters: str
    address: str


class Access:
    """Tokens, sessions and audit in the database. All methods block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def issue(self, name: str, role: Role, now: int) -> str:
        """Make a token for somebody and return it; it is kept nowhere. Their earlier tokens stay valid."""
        if role not in ROLES or not name.strip():
            raise ValueError(f"a token needs a name and one of the roles {', '.join(ROLES)}")
        secret = secrets.token_urlsafe(32)
        values = {"name": name.strip(), "role": role, "digest": _digest(secret), "created": now}
        with self._engine.begin() as connection:
            connection.execute(insert(TOKENS).values(**values))
        return secret

    def revoke(self, name: str, now: int) -> int:
        """End every token of that name and with it its sessions; how many ended."""
        change = update(TOKENS).where(TOKENS.c.name == name, TOKENS.c.revoked.is_(None)).values(revoked=now)
        with self._engine.begin() as connection:
            return connection.execute(change).rowcount

    def holder(self, token: str) -> Who | None:
        """Whose token it is; None if nobody's or revoked."""
        query = select(TOKENS.c.name, TOKENS.c.role).where(
            TOKENS.c.digest == _digest(token), TOKENS.c.revoked.is_(None)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Who(name=row.name, role=row.role)

    def open_session(self, token: str, now: int) -> str | None:
        """Begin a session of the page; returns its secret for the cookie, None if the token is not valid."""
        session = secrets.token_urlsafe(32)
        query = select(TOKENS.c.id).where(TOKENS.c.digest == _digest(token), TOKENS.c.revoked.is_(None))
        with self._engine.begin() as connection:
            key = connection.execute(query).scalar_one_or_none()
            if key is None:
                return None
            connection.execute(delete(SESSIONS).where(SESSIONS.c.expires <= now))
            values = {"digest": _digest(session), "token": key, "expires": now + SESSION_MS}
            connection.execute(insert(SESSIONS).values(**values))
        return session

    def session_holder(self, session: str, now: int) -> Who | None:
        """Whose session it is; None if nobody's, ended, or of a token that was revoked."""
        query = (
            select(TOKENS.c.name, TOKENS.c.role)
            .join(SESSIONS, SESSIONS.c.token == TOKENS.c.id)
            .where(SESSIONS.c.digest == _digest(session), SESSIONS.c.expires > now, TOKENS.c.revoked.is_(None))
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Who(name=row.name, role=row.role)

    def close_session(self, session: str) -> None:
        """End a session."""
        with self._engine.begin() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == _digest(session)))

    def record(self, who: Who, what: str, parameters: Mapping[str, Any], *, now: int, address: str = "") -> None:
        """Write an audit line; call it before anything is shown, so that nothing is shown unrecorded."""
        values = {"at": now, "who": who.name, "role": who.role, "what": what, "address": address}
        text = msgspec.json.encode(parameters).decode()
        with self._engine.begin() as connection:
            connection.execute(insert(AUDIT).values(**values, parameters=text))

    def trail(self, limit: int = 1000) -> list[AuditEntry]:
        """The newest audit lines first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit))
            return [AuditEntry(**row._mapping) for row in rows]


def _digest(secret: str) -> bytes:
    # what a stranger sends may be no text: aiohttp then gives its bytes as surrogates
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
