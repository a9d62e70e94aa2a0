"""The spool: every file of the last 60 days and more, sent or not, in the collector's database.

A file is one row, so it is made whole or not at all, and once: station and cycle are its key. `sent` is entered when
the server has confirmed it under its final name. A collector that dies between the two finds the file on the server at
its next try. Threads may share the spool; errors of the database are those of SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    case,
    delete,
    func,
    select,
    text,
    update,
)

from collector.database import METADATA
from collector.regulator.files import CycleFile

FILES = Table(
    "regulator_files",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("cycle", BigInteger, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("sent", BigInteger),
    sqlite_with_rowid=False,
)
_UNSENT = FILES.c.sent.is_(None)
Index("regulator_waiting", FILES.c.cycle, FILES.c.station, sqlite_where=_UNSENT, postgresql_where=_UNSENT)
STATIONS = Table(
    "regulator_stations",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("sent", BigInteger),
    Column("sent_cycle", BigInteger),
    Column("error", Text),
    Column("error_since", BigInteger),
)
_ADD = text(
    "INSERT INTO regulator_files (station, cycle, name, content) VALUES (:station, :cycle, :name, :content) "
    "ON CONFLICT (station, cycle) DO NOTHING"
)
_BEGIN = text(
    "INSERT INTO regulator_stations (station, since) VALUES (:station, :now) ON CONFLICT (station) DO NOTHING"
)


class Account(NamedTuple):
    """How one station stands; times in ms since 1970 in UTC."""

    station: str
    since: int
    """When it was first told to send."""
    sent: int | None = None
    """When the last file was confirmed."""
    sent_cycle: int | None = None
    """The newest cycle of those that were confirmed."""
    error: str | None = None
    """Why the last try failed; None after one that did not."""
    error_since: int | None = None
    waiting: int = 0
    oldest: int | None = None
    """The oldest cycle that waits."""

    def silent_ms(self, now: int) -> int:
        """For how long nothing was confirmed."""
        return now - (self.since if self.sent is None else self.sent)


class Spooled(NamedTuple):
    """A file as it stands in the list."""

    name: str
    cycle: int
    size: int
    sent: int | None


class Spool:
    """The files of every station."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, stations: Iterable[str], now: int) -> None:
        """Know stations, and since when."""
        rows = [{"station": station, "now": now} for station in stations]
        with self._engine.begin() as db:
            db.execute(_BEGIN, rows)

    def add(self, files: Sequence[CycleFile]) -> int:
        """Keep new files; those of cycles that have one are passed over. Returns how many were new."""
        if not files:
            return 0
        with self._engine.begin() as db:
            return sum(db.execute(_ADD, file._asdict()).rowcount for file in files)

    def made(self, station: str, start: int, stop: int) -> set[int]:
        """The cycles from `start` to before `stop` that have a file."""
        wanted = select(FILES.c.cycle).where(FILES.c.station == station, FILES.c.cycle.between(start, stop - 1))
        with self._engine.connect() as db:
            return set(db.execute(wanted).scalars())

    def waiting(self, stations: Collection[str], limit: int) -> list[CycleFile]:
        """The oldest files of these stations that were not sent, oldest first."""
        columns = (FILES.c.station, FILES.c.cycle, FILES.c.name, FILES.c.content)
        wanted = select(*columns).where(_UNSENT, FILES.c.station.in_(stations))
        with self._engine.connect() as db:
            rows = db.execute(wanted.order_by(FILES.c.cycle, FILES.c.station).limit(limit))
            return [CycleFile(*row) for row in rows]

    def sent(self, file: CycleFile, now: int) -> None:
        """Enter that the server has confirmed a file; its station has no error any more."""
        newest = func.coalesce(STATIONS.c.sent_cycle, file.cycle)
        with self._engine.begin() as db:
            db.execute(
                update(FILES).where(FILES.c.station == file.station, FILES.c.cycle == file.cycle).values(sent=now)
            )
            db.execute(
                update(STATIONS)
                .where(STATIONS.c.station == file.station)
                .values(
                    sent=now,
                    error=None,
                    error_since=None,
                    sent_cycle=case((newest > file.cycle, newest), else_=file.cycle),
                )
            )

    def failed(self, stations: Collection[str], error: str, now: int) -> None:
        """Enter why files of these stations could not be sent; since when is kept while errors follow each other."""
        with self._engine.begin() as db:
            db.execute(
                update(STATIONS)
                .where(STATIONS.c.station.in_(stations))
                .values(error=error, error_since=func.coalesce(STATIONS.c.error_since, now))
            )

    def forget(self, before: int) -> int:
        """Delete files of cycles before `before`. Returns how many of them were never sent."""
        old = FILES.c.cycle < before
        with self._engine.begin() as db:
            unsent = db.execute(select(func.count()).select_from(FILES).where(old, _UNSENT)).scalar_one()
            db.execute(delete(FILES).where(old))
        return int(unsent)

    def accounts(self) -> list[Account]:
        """Every station that was ever told to send, by name."""
        count = select(FILES.c.station, func.count(), func.min(FILES.c.cycle)).where(_UNSENT).group_by(FILES.c.station)
        with self._engine.connect() as db:
            waits = {station: (n, oldest) for station, n, oldest in db.execute(count)}
            rows = db.execute(select(STATIONS).order_by(STATIONS.c.station)).mappings().all()
        nothing = (0, None)
        found = ((row, waits.get(row["station"], nothing)) for row in rows)
        return [Account(**row, waiting=waiting, oldest=oldest) for row, (waiting, oldest) in found]

    def files(self, station: str, start: int, stop: int) -> list[Spooled]:
        """The files of a station's cycles from `start` to before `stop`, in order of time."""
        columns = (FILES.c.name, FILES.c.cycle, func.length(FILES.c.content), FILES.c.sent)
        wanted = select(*columns).where(FILES.c.station == station, FILES.c.cycle.between(start, stop - 1))
        with self._engine.connect() as db:
            return [Spooled(*row) for row in db.execute(wanted.order_by(FILES.c.cycle))]
