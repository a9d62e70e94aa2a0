"""Payloads that could not be taken, kept for a look: what, where from, why, and how often it came.

A box that sends rubbish for ever does not fill the disk: of each payload one copy is kept, of each box at most
KEPT_OF_A_BOX, and KEPT in all. What is full stays so until the oldest go with the plates, as some may hold plates;
what finds no place is only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
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

from collector.database import METADATA, Id, Lock, lock, plain
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

    def put(self, refused: Sequence[Refused]) -> list[int]:
        """Keep messages; of each, how often it is known to have come, 0 where there was no place for it."""
        alike = Counter((_digest(r), r.topic) for r in refused)
        first = {(_digest(r), r.topic): r for r in reversed(refused)}
        came: dict[tuple[str, str], int] = {}
        with self._engine.begin() as db:
            all_kept = db.execute(select(func.count()).select_from(QUARANTINE)).scalar_one()
            for (digest, topic), message in first.items():
                times = alike[digest, topic]
                row = db.execute(
                    select(QUARANTINE.c.id, QUARANTINE.c.times).where(_SAME), {"d": digest, "t": plain(topic)[:100]}
                ).first()
                if row is not None:
                    came[digest, topic] = (row.times or 1) + times
                    change = update(QUARANTINE).where(QUARANTINE.c.id == row.id)
                    db.execute(change.values(times=came[digest, topic]))
                    continue
                of_box = select(func.count()).where(QUARANTINE.c.topic.startswith(_of_box(topic), autoescape=True))
                if all_kept >= KEPT or db.execute(of_box).scalar_one() >= KEPT_OF_A_BOX:
                    came[digest, topic] = 0
                    continue
                all_kept += 1
                came[digest, topic] = times
                values = {
                    "received": message.received,
                    "topic": plain(topic)[:100],
                    "reason": plain(message.reason)[:300],
                    "payload": message.payload[:MAX_PACK_BYTES],
                    "digest": digest,
                    "times": times,
                }
                db.execute(insert(QUARANTINE).values(**values))
        return [came[_digest(r), r.topic] for r in refused]

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


def _digest(refused: Refused) -> str:
    return sha256(refused.payload).hexdigest()


def _of_box(topic: str) -> str:
    return "/".join(plain(topic).split("/")[:3]) + "/"
