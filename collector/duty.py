"""Which of several collectors does what is to be done once: means, limits, the regulator's files, deletions.

The duty stands in the database until a moment by the database's clock, which whoever has it moves on again and again.
So a collector that was killed or stopped loses it within LEASE_S, and one that ends gives it back. A collector that was
stopped and wakes knows by its own clock that its time is over before it begins anything more. What it was amid, it may
still write: all of that is made of what the store holds and may be made twice, and `confirm` then has it made again.
"""

from __future__ import annotations

import asyncio
import logging
import time

from sqlalchemy import BigInteger, Column, Connection, Engine, String, Table, text

from collector.database import METADATA, UNAVAILABLE, shared

log = logging.getLogger(__name__)

LEASE_S = 6.0
RENEW_S = 1.5

DUTY = Table(
    "duty",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("until", BigInteger, nullable=False),  # ms UTC, by the database's clock
)
_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
_TAKE = text(
    "INSERT INTO duty (name, holder, until) VALUES ('single', :me, {now} + :lease) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until "
    "WHERE duty.holder = excluded.holder OR duty.until < {now} RETURNING holder".replace("{now}", _NOW)
)
_CONFIRM = text(
    "SELECT 1 FROM duty WHERE name = 'single' AND holder = :me AND until > {now} FOR SHARE".replace("{now}", _NOW)
)
_GIVE_BACK = text("UPDATE duty SET until = 0 WHERE name = 'single' AND holder = :me")


class Duty:
    """Whether this collector has the duty. The only collector of a database always has it."""

    def __init__(self, engine: Engine, me: str) -> None:
        """`me` names this process among all collectors."""
        self._engine = engine
        self._me = me
        self._shared = shared(engine)
        self._until = 0.0

    def held(self) -> bool:
        """Whether it may begin something that is done once."""
        return not self._shared or time.monotonic() < self._until

    def confirm(self, db: Connection) -> bool:
        """Whether it has the duty now and keeps it until the caller's transaction ends."""
        return not self._shared or db.execute(_CONFIRM, {"me": self._me}).first() is not None

    def renew(self) -> bool:
        """Take or keep the duty, if no other has it. Blocks."""
        asked = time.monotonic()
        with self._engine.begin() as db:
            taken = db.execute(_TAKE, {"me": self._me, "lease": round(LEASE_S * 1000)}).first() is not None
        self._until = asked + LEASE_S if taken else 0.0
        return taken

    async def run(self) -> None:
        """Take the duty when it is free, and keep it, until cancelled; then give it back."""
        if not self._shared:
            return
        had = trouble = False
        try:
            while True:
                try:
                    has = await asyncio.to_thread(self.renew)
                    trouble = False
                except UNAVAILABLE as error:
                    has = self.held()
                    if not trouble:
                        log.warning("duty: the database did not answer: %s", error)
                    trouble = True
                if has != had:
                    log.info("duty: %s", "averages, limits and the like are made here" if has else "another has it")
                had = has
                await asyncio.sleep(RENEW_S)
        finally:
            self._until = 0.0
            try:
                with self._engine.begin() as db:
                    db.execute(_GIVE_BACK, {"me": self._me})
            except UNAVAILABLE:
                log.info("duty: not given back; another takes it in %g s", LEASE_S)
