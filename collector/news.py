"""What each of several collectors tells the others, through the database, so that every page shows the whole picture.

A pack reaches one collector only. What it changes of the live picture is told to the others as a few bytes a second,
and kept for some minutes, for those that begin. Whoever tells holds a lock, so that rows are seen in the order of
their numbers and "all after the last that was heard" leaves none out.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    String,
    Table,
    cast,
    delete,
    extract,
    func,
    insert,
    select,
)

from collector.database import METADATA, Id, Lock, lock

NEWS = Table(
    "news",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("at", Id, nullable=False),  # seconds UTC, by the database's clock
    Column("teller", String(128), nullable=False),
    Column("said", LargeBinary, nullable=False),
)
KEPT_S = 300
AT_ONCE = 200

_NOW = cast(extract("epoch", func.clock_timestamp()), BigInteger)


class News:
    """Tells the others, and hears them. Blocks; one thread."""

    def __init__(self, engine: Engine, me: str) -> None:
        self._engine = engine
        self._me = me
        self._heard = 0

    def tell(self, said: bytes) -> None:
        """Tell all others; what is older than KEPT_S goes."""
        with self._engine.begin() as db:
            lock(db, Lock.NEWS)
            db.execute(insert(NEWS).values(at=_NOW, teller=self._me, said=said))
            db.execute(delete(NEWS).where(NEWS.c.at < _NOW - KEPT_S))

    def hear(self) -> list[bytes]:
        """What others told since the last call, in order; the first time what they told of late."""
        with self._engine.connect() as db:
            # where an older database was put back, its numbers go on from those that it holds
            self._heard = min(self._heard, db.scalar(select(func.max(NEWS.c.id))) or 0)
            query = select(NEWS.c.id, NEWS.c.teller, NEWS.c.said).where(NEWS.c.id > self._heard)
            found = db.execute(query.order_by(NEWS.c.id).limit(AT_ONCE)).all()
        if found:
            self._heard = found[-1].id
        return [row.said for row in found if row.teller != self._me]
