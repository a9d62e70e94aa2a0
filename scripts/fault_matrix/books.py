"""What the centre knows, read from outside: the ledger, the sightings and the alerts in its database."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from sqlalchemy import NullPool, create_engine, text

Account = Literal["stored", "lost", "gone", "missing", "unheard"]


@dataclass
class Outbox:
    """One outbox in the ledger."""

    runs: list[tuple[int, int]] = field(default_factory=list)
    lost: list[tuple[int, int, str]] = field(default_factory=list)
    gone: str = ""
    """Why the box has it no more, if the ledger knows that: what is missing of it never comes."""

    def of(self, number: int) -> tuple[Account, str]:
        """What is known of a number, and if it is lost why."""
        if not self.runs or number > self.runs[-1][1]:
            return ("gone", self.gone) if self.gone else ("unheard", "")
        at = bisect_right(self.runs, (number, 2**62)) - 1
        if at < 0 or number > self.runs[at][1]:
            return ("gone", self.gone) if self.gone else ("missing", "")
        for first, last, reason in self.lost:
            if first <= number <= last:
                return "lost", reason
        return "stored", ""


@dataclass
class Books:
    """The centre's books at one moment."""

    outboxes: dict[tuple[str, int], Outbox] = field(default_factory=dict)
    """By box and outbox id."""
    sightings: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    """By camera and number of the pass: the row of each sighting."""
    alerts: Counter[int] = field(default_factory=Counter)
    """By row of the sighting: how many."""

    def of(self, box: str, outbox: int, number: int) -> tuple[Account, str]:
        """What the ledger knows of an event."""
        found = self.outboxes.get((box, outbox))
        return ("unheard", "") if found is None else found.of(number)


def read_books(url: str) -> Books:
    """Read the books. Raises SQLAlchemyError where the database does not answer."""
    books = Books()
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as db:
        for device, outbox, first, last in db.execute(
            text("SELECT device, outbox, first, last FROM ledger_runs ORDER BY device, outbox, first")
        ):
            books.outboxes.setdefault((device, outbox), Outbox()).runs.append((first, last))
        for device, outbox, first, last, reason in db.execute(
            text("SELECT device, outbox, first, last, reason FROM ledger_lost")
        ):
            books.outboxes.setdefault((device, outbox), Outbox()).lost.append((first, last, reason))
        for device, outbox, reason in db.execute(text("SELECT device, outbox, reason FROM ledger_gone")):
            books.outboxes.setdefault((device, outbox), Outbox()).gone = reason
        for row, device, details in db.execute(text("SELECT id, device, details FROM sightings")):
            number = msgspec.json.decode(details)["frames"]
            books.sightings.setdefault((device, number), []).append(row)
        books.alerts.update(row for (row,) in db.execute(text("SELECT sighting FROM alerts")))
    return books
