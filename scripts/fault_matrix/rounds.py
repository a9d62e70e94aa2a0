"""Rounds of faults on one stage, each followed by the wait until everything is normal and compared."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from scripts.fault_matrix.books import Books, read_books
from scripts.fault_matrix.box import Box
from scripts.fault_matrix.comparison import Comparison, Excused, Known, SideLogs, compare
from scripts.fault_matrix.faults import Fault, Moment
from scripts.fault_matrix.link import Link
from scripts.fault_matrix.stage import Stage

log = logging.getLogger(__name__)

NORMAL_S = 90.0
"""Within so long after the last fault of a round everything that was made before is stored or explained."""
WITHIN_S = 4.0
LOOK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Injected:
    """A fault that was done."""

    fault: Fault
    target: str
    at_s: float
    hold_s: float
    trouble: list[str] = field(default_factory=list)
    """What a fault itself has found wrong."""

    def __str__(self) -> str:
        return f"{self.at_s:.1f} s: {self.fault.name} ({self.target}) for {self.hold_s:.1f} s"


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round did and what came of it."""

    number: int
    injected: Sequence[Injected]
    result: Comparison
    return_s: float
    """From the end of the last fault until everything was normal."""

    @property
    def findings(self) -> dict[str, list[str]]:
        """What is wrong, by what it is; nothing if everything holds."""
        trouble = [text for injected in self.injected for text in injected.trouble]
        return {**self.result.findings(self.return_s), **({"a fault went wrong": trouble} if trouble else {})}

    def __str__(self) -> str:
        first = f"round {self.number}: compared after {self.return_s:.1f} s; {self.result.made} made until then"
        return "\n".join([first, *(f"    {injected}" for injected in self.injected)])


def play(stage: Stage, number: int, faults: Sequence[tuple[Fault, float]], normal_s: float) -> Round:
    """Do faults, each for so many seconds, wait until everything is normal, compare."""
    injected, threads = [], []
    began = time.monotonic()
    for fault, hold_s in faults:
        chance = random.Random(stage.chance.randrange(2**32))
        target = chance.choice(fault.targets(stage))
        done = Injected(
            fault=fault,
            target=getattr(target, "name", stage.kind.name),
            at_s=stage.chance.uniform(0, WITHIN_S),
            hold_s=hold_s,
        )
        injected.append(done)
        moment = Moment(stage=stage, chance=chance, hold_s=hold_s)
        threads.append(threading.Thread(target=_do, args=(done, target, moment, began), name=fault.name))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return_s, result, dealt_with = _until_normal(stage, normal_s)
    for box in stage.boxes:
        box.end_double([key for key, entry in dealt_with[box.name].items() if entry.outbox])
    return Round(number=number, injected=injected, result=result, return_s=return_s)


def _do(done: Injected, target: object, moment: Moment, began: float) -> None:
    time.sleep(max(0.0, began + done.at_s - time.monotonic()))
    try:
        with ExitStack() as held:
            for lock in _locks(target, moment.stage):
                held.enter_context(lock)
            done.fault.act(target, moment)
    except Exception as error:
        log.exception("%s", done.fault.name)
        done.trouble.append(f"{done.fault.name}: {error!r}")


def _locks(target: object, stage: Stage) -> list[threading.Lock]:
    """One fault at a time works on a box, on a link, on the centre."""
    if isinstance(target, Box):
        return [target.busy]
    if isinstance(target, Link):
        return [target.busy]
    if isinstance(target, Stage):
        return [stage.busy, *(box.busy for box in stage.boxes)]
    return [stage.busy]


def _until_normal(stage: Stage, normal_s: float) -> tuple[float, Comparison, SideLogs]:
    """Wait until all that was made until now is dealt with; how long that took, the last comparison, what it was of."""
    healed = time.monotonic()
    before: SideLogs = {box.name: dict(box.made.read_on()) for box in stage.boxes}
    known = Known(excused={box.name: box.excused for box in stage.boxes}, deleted=stage.deleted)
    result = Comparison()
    while True:
        waited = time.monotonic() - healed
        try:
            books = read_books(stage.database.url)
            if waited > normal_s or _dealt_with(before, books, known.excused):
                points = stage.store.points()
                after = {box.name: box.made.read_on() for box in stage.boxes}
                result = compare(before, books, points, after, known)
                if result.good or result.wrong:
                    return waited, result, _stored(before, books)
        except (SQLAlchemyError, OSError) as error:
            result = Comparison(waiting=[f"the centre cannot be read: {error}"])
        if waited > normal_s:
            return waited, result, before
        time.sleep(LOOK_S)


def _stored(made: SideLogs, books: Books) -> SideLogs:
    """What the ledger has as stored: a store may show what it has not on disk, and for that no receipt goes out."""
    return {
        box: {k: entry for k, entry in entries.items() if books.of(box, entry.outbox, entry.number)[0] == "stored"}
        for box, entries in made.items()
    }


def _dealt_with(made: SideLogs, books: Books, excused: Excused) -> bool:
    """Whether the ledger knows every event; asked before the store is, since that costs more."""
    return all(
        key in excused[box] or books.of(box, entry.outbox, entry.number)[0] in ("stored", "lost")
        for box, entries in made.items()
        for key, entry in entries.items()
        if entry.outbox
    )
