"""What is stored, what will never come and what is missing, per outbox of every box.

Numbers of an outbox rise by one, so a hole below the highest known number is an event that is still under way, or lost.
Runs are kept as first-last rows that merge as they fill; the whole of it fits in memory and every change is committed
before a receipt goes out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
)

from collector.database import METADATA
from edge_agent.contract.events import Lost
from edge_agent.contract.runs import ranges

RUNS = Table(
    "ledger_runs",
    METADATA,
    Column("device", String(32), primary_key=True),
    Column("outbox", BigInteger, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
)
LOST = Table(
    "ledger_lost",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("device", String(32), nullable=False),
    Column("outbox", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", String(200), nullable=False),
)

Key = tuple[str, int]


class LostRange(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a box reported as dropped."""

    first: int
    last: int
    kind: str
    reason: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One outbox in the ledger; `highest == stored + lost + missing` holds always."""

    device: str
    outbox: int
    highest: int
    stored: int
    lost: int
    missing: int
    missing_ranges: tuple[tuple[int, int], ...]
    lost_ranges: tuple[LostRange, ...]


class Spans:
    """A set of numbers as sorted, separate [first, last] spans."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self.first: list[int] = []
        self.last: list[int] = []
        for first, last in sorted(spans):
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self.first, self.last, strict=True))

    def add(self, first: int, last: int) -> tuple[list[int], tuple[int, int]]:
        """Add a span; returns the firsts of the spans that it swallowed and the span that now holds it."""
        lo = bisect_left(self.last, first - 1)
        hi = bisect_right(self.first, last + 1)
        swallowed = self.first[lo:hi]
        if swallowed:
            first, last = min(first, swallowed[0]), max(last, self.last[hi - 1])
        self.first[lo:hi], self.last[lo:hi] = [first], [last]
        return swallowed, (first, last)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether the whole span is in the set."""
        i = bisect_left(self.last, first)
        return i < len(self.last) and self.first[i] <= first and last <= self.last[i]

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of the span that are not in the set."""
        parts = []
        for i in range(bisect_left(self.last, first), len(self.last)):
            if self.first[i] > last:
                break
            if self.first[i] > first:
                parts.append((first, self.first[i] - 1))
            first = self.last[i] + 1
        if first <= last:
            parts.append((first, last))
        return parts

    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self.last) - sum(self.first) + len(self.first)

    def gaps(self) -> list[tuple[int, int]]:
        """The holes from 1 to the highest number."""
        before = [0, *self.last[:-1]]
        return [(end + 1, first - 1) for end, first in zip(before, self.first, strict=True) if first > end + 1]


class Ledger:
    """The ledger in memory and in the database; one thread enters, others may ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[Key, Spans] = {}
        self._lost: dict[Key, list[LostRange]] = {}
        self._lock = Lock()
        with engine.connect() as db:
            for row in db.execute(select(RUNS)):
                self._known.setdefault((row.device, row.outbox), Spans()).add(row.first, row.last)
            for row in db.execute(select(LOST)):
                lost = LostRange(first=row.first, last=row.last, kind=row.kind, reason=row.reason)
                self._lost.setdefault((row.device, row.outbox), []).append(lost)

    def knows(self, device: str, outbox: int, runs: Sequence[int]) -> bool:
        """Tell whether every number of the runs is stored or lost already."""
        spans = self._known.get((device, outbox))
        return spans is not None and all(spans.covers(first, last) for first, last in ranges(runs))

    def enter(self, entries: Sequence[tuple[str, int, Sequence[int], Lost | None]]) -> None:
        """Write that runs (device, outbox, runs, why lost) are dealt with; returns after the commit.

        An error of the database leaves everything as it was.
        """
        known: dict[Key, Spans] = {}
        found: list[tuple[Key, LostRange]] = []
        changed: dict[tuple[str, int, int], int | None] = {}
        for device, outbox, runs, lost in entries:
            key = (device, outbox)
            if key not in known:
                known[key] = Spans(self._known.get(key, ()))
            spans = known[key]
            for first, last in ranges(runs):
                if lost is not None:
                    found += ((key, _lost(*part, lost)) for part in spans.missing(first, last))
                swallowed, (start, end) = spans.add(first, last)
                changed |= {(device, outbox, old): None for old in swallowed}
                changed[device, outbox, start] = end
        rows = [{"device": key[0], "outbox": key[1], **msgspec.structs.asdict(lost)} for key, lost in found]
        with self._engine.begin() as db:
            self._write(db, changed)
            if rows:
                db.execute(insert(LOST), rows)
        with self._lock:
            self._known |= known
            for key, lost_range in found:
                self._lost.setdefault(key, []).append(lost_range)

    @staticmethod
    def _write(db: Connection, changed: dict[tuple[str, int, int], int | None]) -> None:
        keys = [{"d": device, "o": outbox, "f": first} for device, outbox, first in changed]
        this = and_(RUNS.c.device == bindparam("d"), RUNS.c.outbox == bindparam("o"), RUNS.c.first == bindparam("f"))
        db.execute(delete(RUNS).where(this), keys)
        rows = [
            {"device": device, "outbox": outbox, "first": first, "last": last}
            for (device, outbox, first), last in changed.items()
            if last is not None
        ]
        db.execute(insert(RUNS), rows)

    def summary(self) -> list[Account]:
        """Every outbox, by device."""
        with self._lock:
            return [self._account(key) for key in sorted(self._known)]

    def _account(self, key: Key) -> Account:
        spans = self._known[key]
        lost = tuple(self._lost.get(key, ()))
        lost_count = Spans((entry.first, entry.last) for entry in lost).count()
        gaps = spans.gaps()
        return Account(
            device=key[0],
            outbox=key[1],
            highest=spans.last[-1],
            stored=spans.count() - lost_count,
            lost=lost_count,
            missing=sum(last - first + 1 for first, last in gaps),
            missing_ranges=tuple(gaps[:100]),
            lost_ranges=lost,
        )


def _lost(first: int, last: int, lost: Lost) -> LostRange:
    return LostRange(first=first, last=last, kind=lost.kind[:16], reason=lost.reason[:200])
