"""The plate desk: keeps what cameras saw and raises an alert for what is looked for.

Everything here may be called again with the same events: an event's identity (device, outbox, number) makes one
sighting, and one alert for each entry that it matches, however often it is delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    delete,
    exists,
    func,
    select,
)
from sqlalchemy.engine import Row

from collector.alerts import sightings
from collector.alerts.match import Difference, Hit, Kind, normal
from collector.alerts.sightings import SIGHTINGS, Sighting, insert_new, insert_sighting, sighting
from collector.alerts.watchlist import WATCHLIST, Entry, Watchlist
from collector.database import METADATA, Id, Lock, lock
from edge_agent.contract.device import Box
from edge_agent.contract.events import PlateRead

Doubt = Literal["low_confidence", "weak_character", "invalid", "repaired", "rendered"]
"""Why a read is not to be trusted without its picture."""

SURE = 0.8
"""Confidence below which a read is doubtful."""
SURE_CHARACTER = 60
"""Per cent below which a character is too weak to rely on."""

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("sighting", Id, ForeignKey("sightings.id", ondelete="CASCADE"), nullable=False),
    Column("entry", Id, ForeignKey("watchlist.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("differences", LargeBinary, nullable=False),  # JSON
    Column("raised", BigInteger, nullable=False),
    UniqueConstraint("sighting", "entry"),
    sqlite_autoincrement=True,  # who asks for those after one must not miss one that took the number of a deleted one
)


_ALERTS = (
    select(ALERTS, WATCHLIST, *sightings.COLUMNS)
    .join_from(ALERTS, SIGHTINGS, ALERTS.c.sighting == SIGHTINGS.c.id)
    .join(WATCHLIST, ALERTS.c.entry == WATCHLIST.c.id)
)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A plate that is looked for passed a camera; one for each vehicle pass and entry."""

    id: int
    kind: Kind
    differences: tuple[Difference, ...]
    """Where the plate is not the pattern; only a lookalike has any."""
    doubts: tuple[Doubt, ...]
    raised: int
    """When the collector raised it, milliseconds UTC; `seen.at` is when the vehicle passed."""
    entry: Entry
    seen: Sighting

    @property
    def compared(self) -> str:
        """The characters that `differences` count: those that the reader saw, or where they do not fit, the text."""
        raw = normal(self.seen.raw)
        fits = all(raw[d.position : d.position + 1] == d.read for d in self.differences)
        return raw if fits else normal(self.seen.text)


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What a retention run deleted."""

    sightings: int
    hits: int


class PlateDesk:
    """Sightings, watchlist and alerts in one database. All methods block."""

    def __init__(self, engine: Engine) -> None:
        self.watchlist = Watchlist(engine)
        self._engine = engine

    def take(self, box: Box, outbox: int, numbered: Sequence[tuple[int, PlateRead]], received_ms: int) -> list[Alert]:
        """Keep the events and return the alerts that are new; committed when it returns.

        An entry raises alerts while it is active at `received_ms`, also for passes before it was added: a box that
        was cut off delivers late, and a late alert is better than none.
        """
        with self._engine.connect() as connection:
            matcher, entries = self.watchlist.matcher(connection, received_ms)
        alerts: list[Alert] = []
        found = [[hit for hit in matcher.find(read.text, read.raw) if entries[hit.entry].active(received_ms)]
                 for _, read in numbered]  # fmt: skip
        with self._engine.begin() as connection:
            if any(found):  # so that alerts are seen in the order of their ids, by whoever asks for those after one
                lock(connection, Lock.ALERTS)
            for (number, read), hits in zip(numbered, found, strict=True):
                seen = sighting(box, outbox, number, read, received_ms)
                row = insert_sighting(connection, seen, read.jpeg)
                if row is not None:
                    for hit in hits:
                        entry = entries[hit.entry]
                        values = _values(row, hit, received_ms)
                        key = insert_new(connection, ALERTS, values)
                        assert key is not None, "a new sighting has no alerts"
                        alerts.append(self._alert(key, hit, received_ms, seen=seen, entry=entry))
        return alerts

    def alerts(
        self, *, start: int | None = None, stop: int | None = None, after: int | None = None, limit: int = 100
    ) -> list[Alert]:
        """Alerts by the time of the pass (`stop` exclusive), the newest raised first; `after`: only later ids."""
        query = _ALERTS.order_by(ALERTS.c.id.desc()).limit(limit)
        if start is not None:
            query = query.where(SIGHTINGS.c.at >= start)
        if stop is not None:
            query = query.where(SIGHTINGS.c.at < stop)
        if after is not None:
            query = query.where(ALERTS.c.id > after)
        with self._engine.connect() as connection:
            return [self._from_row(row) for row in connection.execute(query)]

    def alerts_after(self, last: int, limit: int) -> list[Alert]:
        """The first alerts behind one, in the order of their ids, in which they became visible too."""
        query = _ALERTS.where(ALERTS.c.id > last).order_by(ALERTS.c.id).limit(limit)
        with self._engine.connect() as connection:
            return [self._from_row(row) for row in connection.execute(query)]

    def last_alert(self) -> int:
        """Id of the newest alert; 0 if there is none."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(ALERTS.c.id))).scalar() or 0

    def last_plate(self, now: int) -> int | None:
        """When the newest sighting came, of those until `now` (ms)."""
        with self._engine.connect() as connection:
            return connection.execute(
                select(func.max(SIGHTINGS.c.received)).where(SIGHTINGS.c.received <= now)
            ).scalar()

    def plates(self, **filters: Any) -> list[Sighting]:
        """Sightings, the newest first; filters as `sightings.search` takes them."""
        return sightings.search(self._engine, **filters)

    def picture(self, identity: str) -> bytes | None:
        """The JPEG of the sighting with that `Sighting.id`, if there is one."""
        return sightings.picture(self._engine, identity)

    def forget(self, before_ms: int, hits_before_ms: int) -> Forgotten:
        """Delete sightings of passes before `before_ms` with their pictures.

        Those that raised an alert are kept until `hits_before_ms`, and go with their alerts.
        """
        hit = exists().where(ALERTS.c.sighting == SIGHTINGS.c.id)
        with self._engine.begin() as connection:
            plain = connection.execute(delete(SIGHTINGS).where(sightings.older(before_ms), ~hit)).rowcount
            hits = connection.execute(delete(SIGHTINGS).where(sightings.older(hits_before_ms), hit)).rowcount
        return Forgotten(sightings=plain, hits=hits)

    def _from_row(self, row: Row[Any]) -> Alert:
        values = row._mapping
        entry = Entry(**{name: values[WATCHLIST.c[name]] for name in Entry.__struct_fields__})
        differences = msgspec.json.decode(values[ALERTS.c.differences], type=tuple[Difference, ...])
        return self._alert(
            values[ALERTS.c.id],
            Hit(entry=entry.id, kind=values[ALERTS.c.kind], differences=differences),
            values[ALERTS.c.raised],
            seen=sightings.from_row(row),
            entry=entry,
        )

    def _alert(self, key: int, hit: Hit, raised: int, *, seen: Sighting, entry: Entry) -> Alert:
        return Alert(
            id=key,
            kind=hit.kind,
            differences=hit.differences,
            doubts=self.doubts(seen),
            raised=raised,
            entry=entry,
            seen=seen,
        )

    def uncertain(self, percent: int | None) -> bool:
        """Whether a character is too weak to rely on."""
        return percent is not None and percent < SURE_CHARACTER

    def doubts(self, seen: Sighting) -> tuple[Doubt, ...]:
        """Every reason not to trust a read without its picture."""
        weak = any(self.uncertain(percent) for percent in seen.details.char_confidence)
        reasons: tuple[tuple[Doubt, bool], ...] = (
            ("low_confidence", seen.confidence < SURE),
            ("weak_character", weak),
            ("invalid", not seen.valid),
            ("repaired", normal(seen.raw) != normal(seen.text)),
            ("rendered", seen.details.rendered),
        )
        return tuple(doubt for doubt, holds in reasons if holds)


def _values(row: int, hit: Hit, raised: int) -> dict[str, Any]:
    return {
        "sighting": row,
        "entry": hit.entry,
        "kind": hit.kind,
        "differences": msgspec.json.encode(hit.differences),
        "raised": raised,
    }
