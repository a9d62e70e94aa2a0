"""Payloads that could not be taken, kept for a look: what, where from, why.

The oldest go when there are too many, and with the plates, as some may hold plates.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, Table, delete, func, insert, select

from collector.database import METADATA, Id, plain

KEPT = 1000
PAYLOAD_KEPT = 64 * 1024
"""Bytes kept of one payload."""

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("topic", String(100), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("payload", LargeBinary, nullable=False),
)


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not taken."""

    received: int
    topic: str
    reason: str
    payload: bytes


class Quarantine:
    """The refused messages of late."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, refused: list[Refused]) -> None:
        """Keep messages and drop the oldest beyond `KEPT`."""
        rows = [
            {
                "received": r.received,
                "topic": plain(r.topic)[:100],
                "reason": plain(r.reason)[:300],
                "payload": r.payload[:PAYLOAD_KEPT],
            }
            for r in refused[-KEPT:]
        ]
        with self._engine.begin() as db:
            db.execute(insert(QUARANTINE), rows)
            newest = db.execute(select(func.max(QUARANTINE.c.id))).scalar_one()
            db.execute(delete(QUARANTINE).where(QUARANTINE.c.id <= newest - KEPT))

    def forget(self, before: int) -> None:
        """Delete what was received before `before` (ms)."""
        with self._engine.begin() as db:
            db.execute(delete(QUARANTINE).where(QUARANTINE.c.received < before))

    def list(self) -> list[Refused]:
        """Everything kept, the newest first."""
        with self._engine.connect() as db:
            rows = db.execute(select(QUARANTINE).order_by(QUARANTINE.c.id.desc())).all()
        return [Refused(received=r.received, topic=r.topic, reason=r.reason, payload=r.payload) for r in rows]
