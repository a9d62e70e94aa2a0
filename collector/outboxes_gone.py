"""Outboxes that their boxes no longer have: what is missing of them in the ledger never comes.

A box says at every connection which outboxes it holds. What is concluded from that is no more than a reading of the
ledger's holes: it changes with the next status, and an event that comes after all is stored as any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Connection, String, Table, delete, select

from collector.database import METADATA, rows, with_rows
from edge_agent.contract.events import BoxStatus

GONE = Table(
    "ledger_gone",
    METADATA,
    Column("device", String(32), primary_key=True),
    Column("outbox", BigInteger, primary_key=True),
    Column("reason", String(200), nullable=False),
)
ON_DISK = "the box no longer has this outbox: its disk was changed, damaged or set back"
IN_MEMORY = "the box keeps its outbox in memory only, and has restarted"


def note_gone(db: Connection, device: str, status: BoxStatus, known: Iterable[int]) -> None:
    """Note, within the caller's transaction, which of the outboxes `known` of a box it holds no more, and which again.

    A status of an agent that does not tell what it holds changes nothing.
    """
    if not status.holds:
        return
    noted = set(db.scalars(select(GONE.c.outbox).where(GONE.c.device == device)))
    back, gone = noted & set(status.holds), set(known) - set(status.holds) - noted
    if back:
        db.execute(delete(GONE).where(GONE.c.device == device, GONE.c.outbox.in_(back)))
    if gone:
        insert = (
            "INSERT INTO ledger_gone SELECT device, outbox, reason FROM {rows} AS w WHERE true ON CONFLICT DO NOTHING"
        )
        sql = with_rows(db.dialect.name, insert, device="TEXT", outbox="BIGINT", reason="TEXT")
        reason = IN_MEMORY if status.volatile else ON_DISK
        db.execute(sql, rows([(device, outbox, reason) for outbox in sorted(gone)]))
