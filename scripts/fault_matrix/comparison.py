"""Made against stored, event by event; and against the ledger and the alerts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.fault_matrix.books import Books
from scripts.fault_matrix.numbered import COPY, Made, watched
from scripts.fault_matrix.side_log import Entry
from scripts.fault_matrix.stores import Stored

SideLogs = Mapping[str, Mapping[tuple[str, int], Entry]]
"""By box, then by kind and number."""
Excused = Mapping[str, Mapping[tuple[str, int], str]]
"""By box, then by kind and number: what a fault has taken away for good, and how."""


@dataclass
class Comparison:
    """What became of the events that were made; the lists name what is wrong, as `box kind number: what`."""

    made: int = 0
    stored: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    """Gaps by their reason: the ledger's, or what was done to events that the centre had never heard of."""
    waiting: list[str] = field(default_factory=list)
    """Neither stored nor explained (yet)."""
    lost: list[str] = field(default_factory=list)
    """The ledger says stored, the store has nothing: the box has forgotten it."""
    twice: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    """Stored, but never made so: another value, another time."""
    alerts_missed: list[str] = field(default_factory=list)
    alerts_doubled: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """What time will not mend."""
        return [*self.lost, *self.twice, *self.foreign, *self.alerts_doubled]

    def findings(self, after_s: float) -> dict[str, list[str]]:
        """What is wrong, by what it is, so many seconds after the last fault."""
        found = {
            "lost": self.lost,
            "twice": self.twice,
            "never made so": self.foreign,
            "alerts missed": self.alerts_missed,
            "alerts doubled": self.alerts_doubled,
            f"not back to normal after {after_s:.0f} s": self.waiting,
        }
        return {what: wrong for what, wrong in found.items() if wrong}

    @property
    def good(self) -> bool:
        """Whether everything holds."""
        return not (self.wrong or self.waiting or self.alerts_missed)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the matrix itself has done."""

    excused: Excused
    deleted: AbstractSet[tuple[str, int]]
    """Passes, by camera and number, whose sightings and alerts were deleted."""


def compare(before: SideLogs, books: Books, points: Iterable[Stored], after: SideLogs, known: Known) -> Comparison:
    """Compare; `before` was read before books, then points, `after` after them."""
    result = Comparison()
    found = _found(points)
    measured_twice = _measured_twice(after)
    for box, entries in before.items():
        for key, entry in entries.items():
            if entry.outbox:
                others = measured_twice.get((box, entry.event.place, entry.event.at), ())
                in_store = any((box, entry.event.kind, number) in found for number in (entry.event.number, *others))
                _look_at(_Sought(box, entry, in_store, known.excused[box].get(key, "")), books, result)
    for (box, kind, number), places in found.items():
        name = f"{box} {kind} {number}"
        made = after[box].get((kind, number))
        if made is None:
            result.foreign.append(f"{name}: never made, stored as {_places(places)}")
        elif {made.event} != places:
            wrong = result.twice if made.event in places else result.foreign
            wrong.append(f"{name}: made as {_places({made.event})}, stored as {_places(places)}")
    _look_at_plates(before, books, known, result)
    _look_at_sightings(books, after, known, result)
    return result


Found = dict[tuple[str, str, int], set[Made]]


def _found(points: Iterable[Stored]) -> Found:
    found: Found = defaultdict(set)
    for box, event in points:
        found[box, event.kind, event.number].add(event)
    return dict(found)


def _measured_twice(made: SideLogs) -> dict[tuple[str, str, int], list[int]]:
    """Numbers, by box, field and time, that two processes of a box gave to one measurement: the store keeps one."""
    at: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for box, entries in made.items():
        for entry in entries.values():
            if entry.event.kind == "readings":
                at[box, entry.event.place, entry.event.at].append(entry.event.number)
    return {place: numbers for place, numbers in at.items() if len({number // COPY for number in numbers}) > 1}


class _Sought(NamedTuple):
    """An accepted event, and what is known of it outside of the books."""

    box: str
    entry: Entry
    in_store: bool
    excuse: str


def _look_at(sought: _Sought, books: Books, result: Comparison) -> None:
    box, entry, in_store, excuse = sought
    kind, number = entry.event.kind, entry.event.number
    name = f"{box} {kind} {number} (outbox {entry.outbox}, event {entry.number}, {entry.event.at} ms)"
    account, reason = books.of(box, entry.outbox, entry.number)
    result.made += 1
    if account == "stored" and in_store:
        result.stored += 1
    elif account == "stored":
        result.lost.append(f"{name}: in the ledger, not in the store")
    elif account in ("lost", "gone") and (excuse or in_store):
        result.explained[reason] += 1
    elif account in ("lost", "gone"):
        result.lost.append(f"{name}: given up ({reason}), and nothing was done to it")
    elif account == "unheard" and excuse:
        result.explained[f"{excuse} before the centre had heard of them"] += 1
    else:
        result.waiting.append(f"{name}: {account} in the ledger, {'' if in_store else 'not '}in the store")


def _look_at_plates(made: SideLogs, books: Books, known: Known, result: Comparison) -> None:
    """Every pass that is stored has a sighting, and an alert if the vehicle is looked for."""
    for box, entries in made.items():
        for (kind, number), entry in entries.items():
            if kind != "plates" or not entry.outbox or (box, number) in known.deleted:
                continue
            if books.of(box, entry.outbox, entry.number)[0] != "stored":
                continue
            if not (rows := books.sightings.get((box, number))):
                result.lost.append(f"{box} plates {number}: in the ledger, no sighting")
            elif watched(number) and not any(books.alerts[row] for row in rows):
                result.alerts_missed.append(f"{box} plates {number}: no alert")


def _look_at_sightings(books: Books, made: SideLogs, known: Known, result: Comparison) -> None:
    for (box, number), rows in books.sightings.items():
        name = f"{box} plates {number}"
        if (box, number) in known.deleted:
            wrong = result.alerts_doubled if any(books.alerts[row] for row in rows) else result.twice
            wrong.append(f"{name}: seen again after it had been deleted")
            continue
        if ("plates", number) not in made[box]:
            result.foreign.append(f"{name}: a sighting that was never made")
        if len(rows) > 1:
            result.twice.append(f"{name}: {len(rows)} sightings")
        if (alerts := sum(books.alerts[row] for row in rows)) > watched(number):
            result.alerts_doubled.append(f"{name}: {alerts} alerts")


def _places(events: set[Made]) -> str:
    return ", ".join(f"{event.place} at {event.at}" for event in sorted(events))
