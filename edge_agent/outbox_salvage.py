"""A damaged outbox file is replaced: what of it still reads goes over into a new one, the rest is told as lost.

Every row that goes over has its checksum, so nothing is taken for an event that was none. The replacement survives a
power cut at any moment: the new file is complete before the old one is touched, and its name then says so.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.contract.events import PRIORITY
from edge_agent.contract.runs import MAX_NUMBER, MAX_NUMBERS, pack_runs, ranges
from edge_agent.outbox_epochs import Epochs, last_number, put_epoch, read_epochs
from edge_agent.outbox_lost import DAMAGED, LostRuns, note_lost, read_lost
from edge_agent.outbox_rows import JOINED, SINGLE, Row, add, of_this_file, put_joined, unpack
from edge_agent.outbox_schema import bring_up_to_date
from edge_agent.outbox_seal import intact

DAMAGED_KEPT = 2
"""Damaged files kept for a technician to look at."""
TRIES = 20_000
"""Unreadable spans of a table that are looked into; each is halved until it reads or is one number."""
UNKNOWN = ""
"""The kind of events of which nothing can be read."""
UNREADABLE = (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError, TypeError, LookupError)


def replace(path: Path, why: str) -> str:
    """Put a new file in the place of a damaged one, with what still reads; returns what is to be said of it.

    Raises OSError or sqlite3.OperationalError where the disk is full; then all is as before.
    """
    saving = path.with_suffix(".saving")
    _remove(saving)
    try:
        with closing(sqlite3.connect(saving)) as new, closing(_reader(path)) as old:
            bring_up_to_date(new)
            with new:
                saved = _take_over(old, new)
                text = f"{path.name} was damaged ({why}); {saved} events of it were saved, it is kept beside"
                new.execute("INSERT INTO damage VALUES (?)", (text,))
    except BaseException:
        _remove(saving)
        raise
    saving.rename(path.with_suffix(".saved"))
    _sync(path.parent)
    finish(path)
    return text


def finish(path: Path) -> None:
    """Set the damaged file aside and put the saved one in its place, if there is one; harmless at any time."""
    saved = path.with_suffix(".saved")
    if not saved.exists():
        return
    damaged = sorted(path.parent.glob(f"{path.stem}.damaged-{4 * '[0-9]'}"))
    number = int(damaged[-1].suffix.removeprefix(".damaged-")) + 1 if damaged else 1
    kept = path.with_suffix(f".damaged-{number:04}")
    Path(f"{path}-shm").unlink(missing_ok=True)
    for end in ("-wal", ""):  # SQLite finds a file's log by its name: it must never meet the new file
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").rename(f"{kept}{end}")
    for old in damaged[: max(0, len(damaged) - DAMAGED_KEPT + 1)]:
        _remove(old)
    saved.rename(path)
    _sync(path.parent)


def _reader(path: Path) -> sqlite3.Connection:
    old = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    old.text_factory = lambda text: text.decode(errors="replace")
    return old


def _take_over(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Copy what is intact; what is not, of the outboxes of the file, is noted as lost. Returns how many were copied."""
    try:
        epochs = read_epochs(old)
        single, joined = of_this_file(old, SINGLE), of_this_file(old, JOINED)
    except (sqlite3.DatabaseError, ValueError, TypeError):
        return 0  # without its outbox ids no event could be told from what the collector has
    for epoch in epochs:
        put_epoch(new, epoch.first, epoch.id)
    saved = _Saved()
    for row in _rows(old, joined, "first"):
        events = unpack(row, epochs)
        times = _times(events or [])
        if events and row[2] in PRIORITY and times is not None:
            with suppress(sqlite3.IntegrityError):  # it stands there twice
                put_joined(new, epochs.of(row[0]).id, row[2], times, [(e.number, e.body) for e in events])
                saved.add(ranges(pack_runs(event.number for event in events)))
    for number, kind, at, body, crc in _rows(old, single, "number"):
        outbox = epochs.of(number).id
        if kind in PRIORITY and isinstance(at, int) and intact(crc, body, outbox, number, kind, at):
            with suppress(sqlite3.IntegrityError):
                add(new, outbox, number, [(kind, at, body)])
                saved.add([(number, number)])
    for lost in _read_lost(old, epochs):
        if (of := epochs.find(lost.outbox)) is not None:
            spans = of.places(ranges(lost.runs))
            note_lost(new, epochs, lost.lost.kind, spans, lost.lost.reason)
    if len(epochs):
        note_lost(new, epochs, UNKNOWN, saved.missing(epochs, _given(old)), DAMAGED)
    return saved.count


class _Saved:
    """The numbers that were copied."""

    def __init__(self) -> None:
        self._spans: list[list[int]] = []
        self.count = 0

    def add(self, spans: Iterable[tuple[int, int]]) -> None:
        for first, last in spans:
            self.count += last - first + 1
            if self._spans and self._spans[-1][1] == first - 1:
                self._spans[-1][1] = last
            else:
                self._spans.append([first, last])

    def missing(self, epochs: Epochs, given: int) -> Iterator[tuple[int, int]]:
        """What the file's epochs may have held beside, up to the last number that was given if that can be right."""
        next_ = epochs.of(0).first
        highest = max([next_ - 1, epochs.current.first - 1, *(last for _, last in self._spans)])
        for first, last in sorted(self._spans):
            if next_ < first:
                yield next_, first - 1
            next_ = max(next_, last + 1)
        highest = given if highest < given <= highest + MAX_NUMBERS else highest
        if next_ <= highest:
            yield next_, highest


def _rows(db: sqlite3.Connection, sql: str, key: str) -> Iterator[Any]:
    """The rows of a table that can be read, in no order where some cannot."""
    spans, tries = deque([(1, MAX_NUMBER)]), TRIES
    while spans and tries:
        first, last = spans.popleft()
        try:
            for row in db.execute(f"{sql} NOT INDEXED WHERE {key} BETWEEN ? AND ? ORDER BY {key}", (first, last)):
                yield row
                first = row[0] + 1
        except (sqlite3.DatabaseError, TypeError):
            tries -= 1
            middle = (first + last) // 2
            if first < last:
                spans += [(first, middle), (middle + 1, last)]


def _times(events: list[Row]) -> tuple[int, int] | None:
    """Of the oldest and the newest event; None where there is no telling."""
    try:
        times = [int(msgspec.msgpack.decode(event.body)[0]) for event in events]
        return min(times), max(times)
    except UNREADABLE:
        return None


def _read_lost(old: sqlite3.Connection, epochs: Epochs) -> list[LostRuns]:
    try:
        return read_lost(old, epochs, at_most=MAX_NUMBERS)
    except UNREADABLE:
        return []


def _given(old: sqlite3.Connection) -> int:
    try:
        return last_number(old)
    except UNREADABLE:
        return 0


def _remove(file: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        Path(f"{file}{end}").unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Let new names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
