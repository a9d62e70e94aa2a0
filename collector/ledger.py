"""What is stored, what will never come and what is missing, per outbox of every box.

Numbers of an outbox rise by one, so a hole below the highest known number is an event that is still under way, or lost.
Runs are kept as first-last rows that merge as they fill. The truth is in the database alone: several collectors may
enter at once, whoever enters holds a lock on the outboxes concerned, and every change is committed before a receipt
goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import BigInteger, Column, Connection, Engine, Index, String, Table, TextClause, select, text

from collector import ledger_totals
from collector.database import METADATA, Id, plain, rows, with_rows
from collector.ledger_account import Account, LostRange, account
from collector.outboxes_gone import GONE, note_gone
from collector.spans import Spans
from edge_agent.contract.events import BoxStatus, Lost
from edge_agent.contract.runs import ranges

RUNS = Table(
    "ledger_runs",
    METADATA,
    Column("device", String(32), primary_key=True),
    Column("outbox", BigInteger, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
LOST = Table(
    "ledger_lost",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("device", String(32), nullable=False),
    Column("outbox", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", String(200), nullable=False),
)
Index("ledger_lost_of", LOST.c.device, LOST.c.outbox)

_OUTBOXES = text(  # leaps from one to the next, for an outbox may have a hundred thousand runs
    "WITH RECURSIVE o(outbox) AS (SELECT min(outbox) FROM ledger_runs WHERE device = :device UNION ALL "
    "SELECT (SELECT min(r.outbox) FROM ledger_runs r WHERE r.device = :device AND r.outbox > o.outbox) FROM o "
    "WHERE o.outbox IS NOT NULL) SELECT outbox FROM o WHERE outbox IS NOT NULL"
)

Key = tuple[str, int]


class Ledger:
    """The ledger in the database; threads, and collectors, may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sql = _Statements(engine.dialect.name)

    def known(self, packs: Sequence[tuple[str, int, Sequence[int]]]) -> list[bool]:
        """Of each pack (device, outbox, runs) whether every number is stored or lost already."""
        spans = [(i, key, outbox, *span) for i, (key, outbox, runs) in enumerate(packs) for span in ranges(runs)]
        result = [True] * len(packs)
        if spans:
            with self._engine.connect() as db:
                for (i,) in db.execute(self._sql.unknown, rows(spans)):
                    result[i] = False
        return result

    def enter(
        self,
        entries: Sequence[tuple[str, int, Sequence[int], Lost | None]],
        also: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Write that runs (device, outbox, runs, why lost) are dealt with; returns after the commit.

        `also` writes more in the same transaction. An error of the database leaves everything as it was.
        """
        coming: dict[Key, Spans] = {}
        for device, outbox, runs, _ in entries:
            spans = coming.setdefault((device, outbox), Spans())
            for span in ranges(runs):
                spans.add(*span)
        with self._engine.begin() as db:
            before = self._locked(db, coming)
            after = {key: Spans(known.items()) for key, known in before.items()}
            new_lost: list[tuple[str | int, ...]] = []
            for device, outbox, runs, lost in entries:
                known, why = after[device, outbox], _why(lost)
                for span in ranges(runs):
                    if why is not None:
                        new_lost += ((device, outbox, *part, *why) for part in known.missing(*span))
                    known.add(*span)
            self._write(db, before, after)
            if new_lost:
                db.execute(self._sql.lost, rows(new_lost))
            also(db)

    def _locked(self, db: Connection, coming: dict[Key, Spans]) -> dict[Key, dict[int, int]]:
        """Lock outboxes until the transaction ends, and read their runs (first: last) that meet what comes."""
        if self._sql.lock is not None:  # in one order for all, lest two collectors wait for each other
            db.execute(self._sql.lock, rows([[outbox] for outbox in sorted({outbox for _, outbox in coming})]))
        known: dict[Key, dict[int, int]] = {key: {} for key in coming}
        wanted = [(*key, *span) for key, spans in coming.items() for span in spans]
        for device, outbox, first, last in db.execute(self._sql.meeting, rows(wanted)):
            known[device, outbox][first] = last
        return known

    def _write(self, db: Connection, before: dict[Key, dict[int, int]], after: dict[Key, Spans]) -> None:
        gone, new = [], []
        for key, spans in after.items():
            old, now = before[key], dict(spans)
            gone += [(*key, first) for first in old if first not in now]
            new += [(*key, first, last) for first, last in now.items() if old.get(first) != last]
        if gone:
            db.execute(self._sql.delete, rows(gone))
        if new:
            db.execute(self._sql.upsert, rows(new))

    def explain(self, statuses: Sequence[tuple[str, BoxStatus]]) -> None:
        """Count as lost, from now on, what is missing of outboxes that boxes hold no more, as their statuses say."""
        with self._engine.begin() as db:  # in one order for all, as every collector hears them
            for device, status in sorted(statuses, key=lambda said: said[0]):
                known = db.scalars(_OUTBOXES, {"device": device}).all()
                note_gone(db, device, status, known)

    def summary(self, device: str | None = None) -> list[Account]:
        """Every outbox, by device; or those of one device."""
        runs, lost, no_more = select(RUNS), select(LOST).order_by(LOST.c.id), select(GONE)
        if device is not None:
            runs, lost = runs.where(RUNS.c.device == device), lost.where(LOST.c.device == device)
            no_more = no_more.where(GONE.c.device == device)
        known: dict[Key, Spans] = {}
        why: dict[Key, list[LostRange]] = {}
        with self._engine.connect() as db:
            for row in db.execute(runs):
                known.setdefault((row.device, row.outbox), Spans()).add(row.first, row.last)
            for row in db.execute(lost):
                key = row.device, row.outbox
                if key in known and known[key].covers(row.first, row.last):  # else it came between the two looks
                    entry = LostRange(first=row.first, last=row.last, kind=row.kind, reason=row.reason)
                    why.setdefault(key, []).append(entry)
            gone = {(row.device, row.outbox): row.reason for row in db.execute(no_more)}
        return [account(*key, known[key], why.get(key, ()), gone.get(key)) for key in sorted(known)]

    def totals(self) -> dict[str, int]:
        """How many events are stored, lost and missing, of all boxes together."""
        with self._engine.connect() as db:
            return ledger_totals.totals(db)

    def lost_by(self) -> dict[tuple[str, str], int]:
        """How many events of all boxes together are lost, by kind (empty where nobody knows) and reason."""
        with self._engine.connect() as db:
            return ledger_totals.lost_by(db)


class _Statements:
    """What the ledger asks of a database, for many rows `w` at once."""

    def __init__(self, dialect: str) -> None:
        key = {"device": "TEXT", "outbox": "BIGINT"}
        span = {"first": "BIGINT", "last": "BIGINT"}
        self.unknown = with_rows(
            dialect,
            "SELECT DISTINCT w.i FROM {rows} AS w WHERE coalesce((SELECT r.last FROM ledger_runs r WHERE "
            "r.device = w.device AND r.outbox = w.outbox AND r.first <= w.first ORDER BY r.first DESC LIMIT 1), 0) "
            "< w.last",
            **{"i": "BIGINT", **key, **span},
        )
        each_with, end = "JOIN ledger_runs r ON", ""
        if dialect == "postgresql":  # left to itself it may compare every row with every run of the outbox
            each_with, end = "CROSS JOIN LATERAL (SELECT r.* FROM ledger_runs r WHERE", " OFFSET 0) AS r"
        self.meeting = with_rows(
            dialect,
            f"SELECT r.device, r.outbox, r.first, r.last FROM {{rows}} AS w {each_with} r.device = w.device AND "  # noqa: S608
            "r.outbox = w.outbox AND r.first <= w.last + 1 AND r.first >= coalesce((SELECT max(b.first) FROM "
            f"ledger_runs b WHERE b.device = w.device AND b.outbox = w.outbox AND b.first <= w.first), 0){end}",
            **key,
            **span,
        )
        self.delete = with_rows(
            dialect,
            "DELETE FROM ledger_runs WHERE (device, outbox, first) IN (SELECT * FROM {rows} AS w)",
            **key,
            first="BIGINT",
        )
        self.upsert = with_rows(
            dialect,
            "INSERT INTO ledger_runs (device, outbox, first, last) SELECT * FROM {rows} AS w WHERE true "
            "ON CONFLICT (device, outbox, first) DO UPDATE SET last = excluded.last",
            **key,
            **span,
        )
        self.lost = with_rows(
            dialect,
            "INSERT INTO ledger_lost (device, outbox, first, last, kind, reason) SELECT * FROM {rows} AS w",
            **key,
            **span,
            kind="TEXT",
            reason="TEXT",
        )
        self.lock: TextClause | None = None
        if dialect == "postgresql":
            lock = "SELECT count(pg_advisory_xact_lock(w.outbox)) FROM {rows} AS w"
            self.lock = with_rows(dialect, lock, outbox="BIGINT")


def _why(lost: Lost | None) -> tuple[str, str] | None:
    return None if lost is None else (plain(lost.kind[:16]), plain(lost.reason[:200]))
