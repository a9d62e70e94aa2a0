"""When stations were beyond a limit: evidence by period, and the events that follow from it.

Kept is one row for each period that broke a limit (a mean's period; of limits on single samples, an hour with samples
beyond it). An event is an unbroken run of such periods; it is made when asked for. So data that come late, or are
flagged anew, change what they touch and nothing else, and the evidence behind an event is always what it rests on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from collector.averages.periods import HOUR
from collector.database import METADATA, Lock, lock
from collector.standards.table import Limit
from edge_agent.contract.legal import Averaging

EVIDENCE = Table(
    "limit_evidence",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("quantity", String(40), primary_key=True),
    Column("limit", String(16), primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("worst", Float, nullable=False),
    Column("worst_at", BigInteger, nullable=False),
    Column("beyond", Integer, nullable=False),
    Column("of", Integer, nullable=False),
    Column("coverage", Float),
)
JUDGED = Table(
    "limit_judged",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("quantity", String(40), primary_key=True),
    Column("limit", String(16), primary_key=True),
    Column("terms", String(1000), nullable=False),
    Column("until", BigInteger, nullable=False),
)
LONGEST = 32 * 24 * HOUR
"""No period is longer."""
LOOK_BACK = 400 * 24 * HOUR
"""How far before a time span the beginning of an event is looked for."""
_APART: dict[Averaging, int] = {"sample": HOUR, "1h": 0, "8h": HOUR - 8 * HOUR, "24h": 0, "month": 0, "year": 0}
"""Milliseconds from the end of one period to the beginning of the next at which both are one event."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a period shows; times in ms, values in the quantity's unit."""

    at: int
    """Beginning of the period."""
    first: int
    """First sample beyond the limit; of a mean, the period's beginning."""
    last: int
    """Last sample beyond it; of a mean, the period's end."""
    worst: float
    worst_at: int
    beyond: int
    """How many values were beyond the limit; of a mean 1."""
    of: int
    """Of how many usable ones."""
    coverage: float | None = None
    """Per cent of the samples that were due, where known."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A period that was judged by a limit."""

    station: str
    limit: Limit
    at: int
    evidence: Evidence | None
    """None: it kept the limit, or cannot be judged."""
    judged: bool = True
    """False: nothing usable is known of the period, or not any more; then it neither keeps nor breaks the limit."""


class Exceedance(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time in which a station was beyond a limit."""

    station: str
    limit: Limit
    opened: int
    closed: int | None
    """When it ended; None while the last period that was judged is beyond the limit, and the limit in force there."""
    worst: float
    worst_at: int
    evidence: tuple[Evidence, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An event that began or ended with what was judged now."""

    station: str
    limit: Limit
    at: int
    evidence: Evidence | None
    """What it began with; None: it ended."""


class Exceedances:
    """The evidence in the database."""

    def __init__(self, engine: Engine, in_force: Callable[[str], Collection[Limit]]) -> None:
        """`in_force` gives a station's limits of today: no event stays open under one that ended or is not there."""
        self._engine = engine
        self._in_force = in_force

    def enter(self, findings: Sequence[Finding]) -> list[Change]:
        """Keep what was found, over what these periods said before; gives the events that began or ended by it."""
        together: dict[tuple[str, Limit], list[Finding]] = {}
        for finding in findings:
            together.setdefault((finding.station, finding.limit), []).append(finding)
        changes: list[Change] = []
        if together:
            with self._engine.begin() as connection:
                lock(connection, Lock.LIMITS)
                for (station, limit), alike in together.items():
                    alike.sort(key=lambda each: each.at)
                    changes += _enter(connection, station, limit, alike)
        return changes

    def events(
        self, start: int, stop: int, *, stations: Iterable[str] | None = None, open_only: bool = False
    ) -> list[Exceedance]:
        """The events that touch a time span, the newest first."""
        judged = select(JUDGED)
        if stations is not None:
            judged = judged.where(JUDGED.c.station.in_(list(stations)))
        found = []
        with self._engine.connect() as connection:
            for row in connection.execute(judged).mappings().all():
                key = _Key(row["station"], row["quantity"], row["limit"])
                last = _last(connection, key)
                in_force = any(limit.id == key.limit for limit in self._in_force(key.station))
                is_open = in_force and last is not None and last >= row["until"]
                if open_only and not is_open:
                    continue
                limit = msgspec.json.decode(row["terms"], type=Limit)
                kept = _evidence(connection, key, start - LOOK_BACK, stop)
                for run in _runs(kept, limit.averaging):
                    ended = None if is_open and run[-1].at == last else run[-1].last
                    if run[-1].last >= start and not (open_only and ended is not None):
                        found.append(_event(row["station"], limit, run, ended))
        return sorted(found, key=lambda event: event.opened, reverse=True)


class _Key(NamedTuple):
    """What a limit's rows are found by."""

    station: str
    quantity: str
    limit: str

    def of(self, table: Table) -> list[ColumnElement[bool]]:
        return [table.c[name] == value for name, value in self._asdict().items()]


def _enter(connection: Connection, station: str, limit: Limit, findings: list[Finding]) -> list[Change]:
    """Enter findings of one limit, in order of time: one look into the table, and only what differs is written."""
    key = _Key(station, limit.quantity, limit.id)
    before = {each.at: each for each in _evidence(connection, key, findings[0].at - LONGEST, findings[-1].at + 1)}
    kept, order = dict(before), sorted(before)
    known = connection.execute(select(JUDGED.c.terms, JUDGED.c.until).where(*key.of(JUDGED))).one_or_none()
    until = None if known is None else known.until
    changes = []
    for finding in findings:
        at, evidence = finding.at, finding.evidence
        was = kept.pop(at, None) is not None
        place = bisect_left(order, at)
        if was:
            del order[place]
        last = kept[order[place - 1]] if place else None
        went_on = last is not None and _joined(last, evidence or _nothing(at), limit.averaging)
        newest = finding.judged and (until is None or at > until)
        if evidence is not None:
            kept[at] = evidence
            order.insert(place, at)
            if not was and not went_on:
                changes.append(Change(station=station, limit=limit, at=at, evidence=evidence))
        elif was or (went_on and newest):
            changes.append(Change(station=station, limit=limit, at=at, evidence=None))
        if newest:
            until = at
    gone = [at for at, each in before.items() if kept.get(at) != each]
    if gone:
        connection.execute(delete(EVIDENCE).where(*key.of(EVIDENCE), EVIDENCE.c.at.in_(gone)))
    new = [each for at, each in kept.items() if before.get(at) != each]
    if new:
        connection.execute(insert(EVIDENCE), [{**key._asdict(), **msgspec.structs.asdict(each)} for each in new])
    terms = msgspec.json.encode(limit).decode()
    if known is None and until is not None:
        connection.execute(insert(JUDGED).values(**key._asdict(), terms=terms, until=until))
    elif known is not None and known != (terms, until):
        connection.execute(update(JUDGED).where(*key.of(JUDGED)).values(terms=terms, until=until))
    return changes


def _nothing(at: int) -> Evidence:
    """A period without evidence, as the place where it begins."""
    return Evidence(at=at, first=at, last=at, worst=0, worst_at=at, beyond=0, of=0)


def _evidence(connection: Connection, key: _Key, start: int, stop: int) -> list[Evidence]:
    """What is kept of the periods that begin within a span, in order of time."""
    names = Evidence.__struct_fields__
    wanted = select(*(EVIDENCE.c[name] for name in names))
    wanted = wanted.where(*key.of(EVIDENCE), EVIDENCE.c.at >= start, EVIDENCE.c.at < stop).order_by(EVIDENCE.c.at)
    return [Evidence(**dict(zip(names, row, strict=True))) for row in connection.execute(wanted)]


def _last(connection: Connection, key: _Key) -> int | None:
    """Beginning of the last period with evidence."""
    return connection.execute(select(func.max(EVIDENCE.c.at)).where(*key.of(EVIDENCE))).scalar()


def _joined(one: Evidence, next_: Evidence, averaging: Averaging) -> bool:
    return next_.first - one.last <= _APART[averaging]


def _runs(kept: Sequence[Evidence], averaging: Averaging) -> Iterator[list[Evidence]]:
    run: list[Evidence] = []
    for each in kept:
        if run and not _joined(run[-1], each, averaging):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _event(station: str, limit: Limit, run: list[Evidence], ended: int | None) -> Exceedance:
    worst = run[0]
    for each in run[1:]:
        if each.worst != worst.worst and limit.worse(each.worst, worst.worst) == each.worst:
            worst = each
    return Exceedance(station=station, limit=limit, opened=run[0].first, closed=ended, worst=worst.worst,
                      worst_at=worst.worst_at, evidence=tuple(run))  # fmt: skip
