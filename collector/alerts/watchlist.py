"""The watchlist: which plates are looked for, on whose word, why and until when.

An entry is never deleted, only removed from use: alerts and audit refer to it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    String,
    Table,
    and_,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Row

from collector.alerts.match import Matcher, normal_pattern
from collector.bilingual import BilingualError
from collector.database import METADATA, Id

MAX_DAYS = 366
"""An entry is renewed by hand at least this often."""
_DAY_MS = 86_400_000

WATCHLIST = Table(
    "watchlist",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("pattern", String, nullable=False),  # without separators
    Column("reason", String, nullable=False),
    Column("officer", String, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("removed", BigInteger),
)


class WatchlistError(BilingualError):
    """An entry that cannot be made."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One plate pattern that is looked for; times are milliseconds UTC."""

    id: int
    pattern: str
    reason: str
    officer: str
    added: int
    expires: int
    removed: int | None = None

    def active(self, now: int) -> bool:
        """Tell whether the entry may raise alerts."""
        return self.removed is None and now < self.expires


class Watchlist:
    """The table of entries and, ready for use, the matcher of those that are active."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ready: tuple[tuple[int, ...], Matcher, dict[int, Entry]] = ((), Matcher(()), {})
        self._made = 0
        """For which moment (ms)."""

    def add(self, *, pattern: str, reason: str, officer: str, expires: int, now: int) -> Entry:
        """Add an entry.

        Raises PatternError for a pattern that cannot be watched, WatchlistError for one without a reason, an
        officer, or an end within MAX_DAYS.
        """
        pattern = normal_pattern(pattern)
        if not reason.strip() or not officer.strip():
            raise WatchlistError(
                "Cần ghi lý do và cán bộ chịu trách nhiệm.", "A reason and the responsible officer are needed."
            )
        if not now < expires <= now + MAX_DAYS * _DAY_MS:
            raise WatchlistError(
                f"Hạn theo dõi phải ở tương lai và trong vòng {MAX_DAYS} ngày.",
                f"The entry must expire in the future and within {MAX_DAYS} days.",
            )
        values = {"pattern": pattern, "reason": reason.strip(), "officer": officer.strip()}
        with self._engine.begin() as connection:
            row = insert(WATCHLIST).values(**values, added=now, expires=expires).returning(*WATCHLIST.c)
            return _entry(connection.execute(row).one())

    def remove(self, entry: int, now: int) -> Entry | None:
        """Take an entry out of use; None if there is none of that number in use."""
        change = update(WATCHLIST).where(WATCHLIST.c.id == entry, WATCHLIST.c.removed.is_(None)).values(removed=now)
        with self._engine.begin() as connection:
            row = connection.execute(change.returning(*WATCHLIST.c)).one_or_none()
            return None if row is None else _entry(row)

    def entries(self, now: int | None = None, limit: int = 10_000) -> list[Entry]:
        """The newest entries first: those active at `now`, or all of them."""
        query = select(WATCHLIST).order_by(WATCHLIST.c.id.desc()).limit(limit)
        if now is not None:
            query = query.where(_active(now))
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def matcher(self, connection: Connection, now: int) -> tuple[Matcher, dict[int, Entry]]:
        """The matcher of what is active, and its entries; made anew only when the table has changed.

        Other collectors may share the table, so the database is asked every time. An entry that expires meanwhile
        stays in the matcher; whoever uses a hit asks `Entry.active`. Where the clock ran ahead when it was made, it
        lacks entries that are active still, so it is made anew for an earlier moment.
        """
        count = select(func.count(), func.max(WATCHLIST.c.id), func.count(WATCHLIST.c.removed)).select_from(WATCHLIST)
        version = tuple(connection.execute(count).one())
        known, matcher, entries = self._ready
        if version != known or now < self._made:
            rows = connection.execute(select(WATCHLIST).where(_active(now)))
            entries = {entry.id: entry for entry in map(_entry, rows)}
            matcher = Matcher((entry.id, entry.pattern) for entry in entries.values())
            self._ready, self._made = (version, matcher, entries), now
        return matcher, entries


def _active(now: int) -> ColumnElement[bool]:
    return and_(WATCHLIST.c.removed.is_(None), WATCHLIST.c.expires > now)


def _entry(row: Row[Any]) -> Entry:
    return Entry(**row._mapping)
