"""Which stretches of time of which station have new or revised samples, for everything that is computed from them.

    touched = Touched(engine, {"averages": HOUR_MS, "regulator": 300_000})  # consumer: length of its stretches
    touched.note([("air-01", times)])            # the sinks, when the samples are stored
    ready = touched.take("averages", before=now - settle_ms, limit=1000)  # ended by `before`, oldest first
    ...                                          # read the store, compute, write
    touched.done("averages", ready)              # but not what was touched again meanwhile

A touch stands on disk until it is done, so nothing is forgotten by a crash at any point: what was taken and not done is
given again, and what a crash kept from being noted comes again from the box, as the ledger does not know it yet.
Every consumer sees every touch, independently of the others; one that is new sees those that are noted from then on.
It must at last call `done` for all that it takes, also for stations that do not concern it, or it gets nothing else.

Several collectors may note and one of them take. What was noted is remembered, so that the hour that runs is not
written with every sample; whoever takes says so in a table, which is read before that memory is trusted. So a sample
that was stored before the look is seen by every `take` that comes after it, and is noted anew after every other.

What is computed not from samples but from other things that change (days from hours) has a consumer without a step,
for which `note_periods` notes what is to be done, of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from secrets import randbits
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Column, Connection, Engine, String, Table, select, text

from collector.database import METADATA, rows, with_rows

TOUCHED = Table(
    "touched",
    METADATA,
    Column("consumer", String(32), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("station", String(32), primary_key=True),
    Column("stop", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
TAKEN = Table(
    "touched_taken",
    METADATA,
    Column("consumer", String(32), primary_key=True),
    Column("rounds", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
)
_TAKE = text(
    "INSERT INTO touched_taken (consumer, rounds, before) VALUES (:consumer, 1, :before) ON CONFLICT (consumer) "
    "DO UPDATE SET rounds = touched_taken.rounds + 1, "
    "before = CASE WHEN excluded.before > touched_taken.before THEN excluded.before ELSE touched_taken.before END"
)
_COLUMNS = {"consumer": "TEXT", "start": "BIGINT", "station": "TEXT", "stop": "BIGINT", "seen": "BIGINT"}
REMEMBERED = 10_000
"""Stretches of one consumer and station that are remembered as noted; beyond it some are noted twice."""


_Period = tuple[str, str, int, int]
"""Consumer, station, start and stop."""


class Touch(NamedTuple):
    """A stretch of one station that has new or revised samples."""

    station: str
    start: int
    """Milliseconds since 1970 in UTC, a whole number of steps."""
    stop: int
    """Where it ends; it does not hold this moment."""
    seen: int
    """Another each time that the stretch is noted after it was taken."""


class Touched:
    """The touches of some consumers; threads may share it. Errors of the database are those of SQLAlchemy."""

    def __init__(
        self, engine: Engine, steps: Mapping[str, int], may: Callable[[Connection], bool] = lambda _: True
    ) -> None:
        """`steps` gives the length of each consumer's stretches in ms; they begin at whole multiples of it in UTC.

        `may` says whether it is still for this collector to deal with touches.
        """
        self._engine = engine
        self._steps = dict(steps)
        self._may = may
        self._lock = Lock()
        self._noted: dict[tuple[str, str], dict[int, int]] = {}
        """By consumer and station, start and stop of what is on disk and was not taken since."""
        self._rounds: dict[str, int] = {}
        """How often each consumer had taken when that was last looked at."""
        dialect = engine.dialect.name
        self._insert = with_rows(
            dialect,
            "INSERT INTO touched (consumer, start, station, stop, seen) SELECT * FROM {rows} AS w WHERE true "
            "ON CONFLICT (consumer, start, station) DO UPDATE SET seen = excluded.seen",
            **_COLUMNS,
        )
        self._delete = with_rows(
            dialect,
            "DELETE FROM touched WHERE (consumer, start, station, stop, seen) IN (SELECT * FROM {rows} AS w)",
            **_COLUMNS,
        )

    def note(self, times: Iterable[tuple[str, NDArray[np.int64]]]) -> None:
        """Remember, for every consumer, that samples of these stations at these times (ms) are stored.

        Returns after the commit; mostly there is nothing to write, as the hour that runs is noted already.
        """
        names: dict[str, int] = {}
        parts = [(names.setdefault(station, len(names)), at) for station, at in times]
        if not parts:
            return
        stations, count = list(names), len(names)
        at = np.concatenate([at for _, at in parts])
        of = np.repeat([station for station, _ in parts], [len(at) for _, at in parts])
        periods: list[_Period] = []
        for consumer, step in self._steps.items():
            found = np.unique(at // step * count + of)
            pairs = zip((found % count).tolist(), (found // count * step).tolist(), strict=True)
            periods += ((consumer, stations[station], start, start + step) for station, start in pairs)
        self._note(periods)

    def note_periods(self, periods: Iterable[tuple[str, str, NDArray[np.int64], NDArray[np.int64]]]) -> None:
        """Remember stretches of any length: consumer, station, where they start and where they stop (ms).

        Of one consumer and station, stretches that start together stop together. Returns after the commit.
        """
        self._note(
            (consumer, station, start, stop)
            for consumer, station, starts, stops in periods
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        )

    def _note(self, periods: Iterable[_Period]) -> None:
        with self._lock:
            self._look()
            new = {period for period in periods if period[2] not in self._noted.get(period[:2], ())}
            seen = randbits(62)
            self._write((consumer, start, station, stop, seen) for consumer, station, start, stop in new)
            for consumer, station, start, stop in new:
                noted = self._noted.setdefault((consumer, station), {})
                if len(noted) == REMEMBERED:
                    noted.clear()
                noted[start] = stop

    def _look(self) -> None:
        """Forget as noted what may have been taken since the last look."""
        with self._engine.connect() as db:
            taken = db.execute(select(TAKEN.c.consumer, TAKEN.c.rounds, TAKEN.c.before)).all()
        for of, rounds, before in taken:
            if self._rounds.get(of) != rounds:
                for (consumer, _), noted in self._noted.items():
                    if consumer == of:
                        for start in [start for start, stop in noted.items() if stop <= before]:
                            del noted[start]
                self._rounds[of] = rounds

    def _write(self, values: Iterable[tuple[str, int, str, int, int]]) -> None:
        found = sorted(values)  # in one order for all, lest two collectors wait for each other
        if found:
            with self._engine.begin() as db:
                db.execute(self._insert, rows(found))

    def take(self, consumer: str, *, before: int, limit: int) -> list[Touch]:
        """The first `limit` touches that end by `before` (ms), oldest first; they stay until they are `done`."""
        columns = (TOUCHED.c.station, TOUCHED.c.start, TOUCHED.c.stop, TOUCHED.c.seen)
        ended = TOUCHED.c.stop <= before
        order = (TOUCHED.c.start, TOUCHED.c.station)
        wanted = select(*columns).where(TOUCHED.c.consumer == consumer, ended).order_by(*order).limit(limit)
        with self._engine.begin() as db:
            found = [Touch(*row) for row in db.execute(wanted)]
            if found:
                db.execute(_TAKE, {"consumer": consumer, "before": before})
        return found

    def done(self, consumer: str, touches: Sequence[Touch]) -> None:
        """Forget touches that were dealt with; one that was noted again since it was taken stays.

        Where another collector has taken over meanwhile they are noted again instead: it may have dealt with them
        before this one wrote what it had read earlier.
        """
        if not touches:
            return
        values = [(consumer, t.start, t.station, t.stop, t.seen) for t in touches]
        with self._engine.begin() as db:
            if self._may(db):
                db.execute(self._delete, rows(values))
                return
        self._write((*each[:4], randbits(62)) for each in values)
