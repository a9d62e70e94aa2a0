"""The side log of a box: what was made, known independently of outbox, broker, collector and store.

A line before `put`: `b kind number at place`; when it has returned: `a kind number at place outbox event`. Each line is
one write, so a process that dies leaves at most the last line torn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.fault_matrix.numbered import Made


class Entry(NamedTuple):
    """What is known of an event."""

    event: Made
    outbox: int
    """0 while `put` has not returned: the event may be stored or not."""
    number: int
    """By which the collector knows it in its outbox."""


class SideLog:
    """Appends to a side log."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._file, b"\n")  # ends a torn line

    def begun(self, event: Made) -> None:
        """An event is about to be put."""
        os.write(self._file, f"b {event.kind} {event.number} {event.at} {event.place}\n".encode())

    def accepted(self, event: Made, outbox: int, number: int) -> None:
        """`put` has returned."""
        line = f"a {event.kind} {event.number} {event.at} {event.place} {outbox} {number}\n"
        os.write(self._file, line.encode())


class Reader:
    """Follows the side logs of one box; each call reads on from where the last one ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.entries: dict[tuple[str, int], Entry] = {}
        """By kind and number of the event."""

    def read_on(self) -> dict[tuple[str, int], Entry]:
        """All entries, with those that came since."""
        for path in sorted(self._folder.glob("*.made")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            for entry in _entries(whole):
                key = (entry.event.kind, entry.event.number)
                if entry.outbox or key not in self.entries:
                    self.entries[key] = entry
        return self.entries


def highest_number(path: Path) -> int:
    """The highest number in a side log; 0 if there is none."""
    if not path.exists():
        return 0
    numbers = (entry.event.number for entry in _entries(path.read_bytes()) if entry.event.kind != "health")
    return max(numbers, default=0)


def _entries(lines: bytes) -> Iterator[Entry]:
    for line in lines.decode().splitlines():
        match line.split():
            case ["b", kind, number, at, place]:
                yield Entry(Made(kind, int(number), int(at), place), 0, 0)
            case ["a", kind, number, at, place, outbox, counted]:
                yield Entry(Made(kind, int(number), int(at), place), int(outbox), int(counted))
            case _:
                pass  # torn
