"""Payloads that could not be taken, kept for a look: what, where from, why, and how often it came.

A box that sends rubbish for ever does not fill the disk: of each payload one copy is kept, of each box at most
KEPT_OF_A_BOX, and KEPT in all. What is full stays so until the oldest go with the plates, as some may hold plates;
what finds no place is only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)

from collector.database import METADATA, Id, Lock, lock, plain, rows, with_rows
from edge_agent.contract.packs import MAX_PACK_BYTES

KEPT, KEPT_OF_A_BOX = 1000, 50

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("topic", String(100), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", String(64)),
    Column("times", Integer),
)
_BY_PAYLOAD = Index("quarantine_by_payload", QUARANTINE.c.topic, QUARANTINE.c.digest)
"""Without it each look would go through all payloads, a quarter of a gigabyte at worst."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not taken."""

    received: int
    """When it came first; then its time runs until it is deleted."""
    topic: str
    reason: str
    payload: bytes
    times: int = 1


class Quarantine:
    """The refused messages of late. All methods block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.begin() as db:  # of an earlier version
            lock(db, Lock.TABLES)
            known = {column["name"] for column in inspect(db).get_columns(QUARANTINE.name)}
            for column in ("digest VARCHAR(64)", "times INTEGER"):
                if column.split(" ", maxsplit=1)[0] not in known:
                    db.execute(text(f"ALTER TABLE {QUARANTINE.name} ADD COLUMN {column}"))
            _BY_PAYLOAD.create(db, checkfirst=True)
        self._same = with_rows(
            engine.dialect.name,
            "SELECT q.digest, q.topic, q.times FROM {rows} AS w JOIN quarantine q "
            "ON q.topic = w.topic AND q.digest = w.digest",
            digest="TEXT",
            topic="TEXT",
        )

    def put(self, refused: Sequence[Refused]) -> list[int]:
        """Keep messages; of each, how often it is known to have come, 0 where there was no place for it."""
        keys = [(sha256(r.payload).hexdigest(), plain(r.topic)[:100]) for r in refused]
        alike = Counter(keys)
        first = dict(zip(reversed(keys), reversed(refused), strict=True))
        came: dict[tuple[str, str], int] = {}
        new: list[dict[str, Any]] = []
        with self._engine.begin() as db:
            known = {(row.digest, row.topic): row.times or 1 for row in db.execute(self._same, rows(list(first)))}
            kept = Counter[str]()
            for topic, count in db.execute(select(QUARANTINE.c.topic, func.count()).group_by(QUARANTINE.c.topic)):
                kept[_of_box(topic)] += count
            for (digest, topic), message in first.items():
                if (digest, topic) in known:
                    came[digest, topic] = known[digest, topic] + alike[digest, topic]
                elif kept.total() >= KEPT or kept[_of_box(topic)] >= KEPT_OF_A_BOX:
                    came[digest, topic] = 0
                else:
                    kept[_of_box(topic)] += 1
                    came[digest, topic] = alike[digest, topic]
                    values = {"topic": topic, "digest": digest, "times": alike[digest, topic]}
                    values |= {"received": message.received, "reason": plain(message.reason)[:300]}
                    new.append({**values, "payload": message.payload[:MAX_PACK_BYTES]})
            if known:
                db.execute(_AGAIN, [{"d": d, "t": t, "n": came[d, t]} for d, t in known])
            if new:
                db.execute(insert(QUARANTINE), new)
        return [came[key] for key in keys]

    def forget(self, before: int) -> None:
        """Delete what was received before `before` (ms)."""
        with self._engine.begin() as db:
            db.execute(delete(QUARANTINE).where(QUARANTINE.c.received < before))

    def list(self) -> list[Refused]:
        """Everything kept, the newest first."""
        with self._engine.connect() as db:
            rows = db.execute(select(QUARANTINE).order_by(QUARANTINE.c.id.desc())).all()
        return [
            Refused(received=r.received, topic=r.topic, reason=r.reason, payload=r.payload, times=r.times or 1)
            for r in rows
        ]


_SAME = (QUARANTINE.c.digest == bindparam("d")) & (QUARANTINE.c.topic == bindparam("t"))
_AGAIN = update(QUARANTINE).where(_SAME).values(times=bindparam("n"))


def _of_box(topic: str) -> str:
    return "/".join(topic.split("/")[:3])
