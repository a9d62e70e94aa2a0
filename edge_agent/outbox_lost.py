"""Numbers that were given and whose events are gone; kept in the file until the collector knows of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec

from edge_agent.contract.events import Lost
from edge_agent.contract.runs import MAX_NUMBERS, MAX_RUNS, pack_ranges
from edge_agent.outbox_epochs import Epochs
from edge_agent.outbox_seal import intact, seal

DAMAGED = "the bytes on disk were damaged"
AT_ONCE = 8
"""Of so many rows the collector is told together."""

_encode = msgspec.msgpack.Encoder().encode
_decode_runs = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class LostRuns(NamedTuple):
    """Numbers that were dropped and that the collector has not confirmed to know of."""

    id: int
    outbox: int
    runs: tuple[int, ...]
    """As the collector numbers them."""
    lost: Lost


def note_lost(db: sqlite3.Connection, epochs: Epochs, kind: str, spans: Iterable[tuple[int, int]], reason: str) -> bool:
    """Note spans of the file's numbers, within the caller's transaction; tells whether there were any.

    A row is of one epoch, and of no more numbers than the collector takes in one message.
    """
    noted = False
    parts = [part for span in spans for part in _in_parts(*span)]
    for epoch, of_epoch in groupby(epochs.split(parts), key=lambda span: epochs.of(span[0])):
        for together in _messages(of_epoch):
            runs = _encode(pack_ranges(together))
            row = (kind, reason, runs, seal(runs, epoch.id, kind, reason))
            db.execute("INSERT INTO lost (kind, reason, runs, crc) VALUES (?, ?, ?, ?)", row)
            noted = True
    return noted


def read_lost(db: sqlite3.Connection, epochs: Epochs, at_most: int = AT_ONCE) -> list[LostRuns]:
    """The first of what was noted. What is damaged is passed over: it might name what is not lost."""
    found = []
    for id_, runs, kind, reason, crc in db.execute("SELECT id, runs, kind, reason, crc FROM lost ORDER BY id"):
        try:
            first, *rest = _decode_runs(runs)
            epoch = epochs.of(first)
            if not intact(crc, runs, epoch.id, kind, reason):
                continue
        except (msgspec.MsgspecError, TypeError, ValueError):
            continue
        found.append(LostRuns(id_, epoch.id, (epoch.number(first), *rest), Lost(kind=kind, reason=reason)))
        if len(found) == at_most:
            break
    return found


def _in_parts(first: int, last: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last + 1, MAX_NUMBERS):
        yield start, min(last, start + MAX_NUMBERS - 1)


def _messages(spans: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    together: list[tuple[int, int]] = []
    count = 0
    for first, last in spans:
        if together and (count + last - first + 1 > MAX_NUMBERS or len(together) == MAX_RUNS):
            yield together
            together, count = [], 0
        together.append((first, last))
        count += last - first + 1
    if together:
        yield together
