"""An outbox in memory that knows when its events were made and makes them when they are read.

Thousands of boxes with hours of backlog fit into one process that way. To the agent's real `Uplink` it is an outbox.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from edge_agent.contract.events import PRIORITY, Event
from edge_agent.outbox import PACK_EVENTS, Outbox
from edge_agent.outbox_epochs import Epochs, new_id
from edge_agent.outbox_lost import LostRuns
from scripts.load_generator.tally import Tally

Make = Callable[[str, int, int], tuple[Event, int]]
"""Kind, number, time in milliseconds -> the event and its size in bytes."""


class Waiting:
    """Events with following numbers, made at a steady pace: from `first` to `last`, the first at `at`."""

    __slots__ = ("at", "every_ms", "first", "last", "made")

    def __init__(self, first: int, last: int, at: int, every_ms: int, made: float) -> None:
        self.first, self.last, self.at, self.every_ms = first, last, at, every_ms
        self.made = made
        """When, by the monotonic clock; 0 for a backlog, which was made before the run."""


class MemoryOutbox(Outbox):
    """The events of one box that wait for a receipt."""

    def __init__(self, make: Make, tally: Tally) -> None:
        self.epochs = Epochs([(1, new_id())])
        self.set_aside = ""
        self.volatile = True
        self.last_number = 0
        self.has_lost = False
        self.dropped = Counter()
        self.on_change = lambda: None
        self._make = make
        self._tally = tally
        self._waiting: dict[str, list[Waiting]] = {kind: [] for kind in PRIORITY}

    def add(self, kind: str, count: int, at: int, every_ms: int = 0, *, backlog: bool = False) -> None:
        """Put `count` events, the first of the time `at` in milliseconds."""
        first, self.last_number = self.last_number + 1, self.last_number + count
        made = 0.0 if backlog else time.monotonic()
        self._waiting[kind].append(Waiting(first, self.last_number, at, every_ms, made))
        self._tally.events += count
        self._tally.waiting += count
        self.on_change()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not any(self._waiting.values())

    async def read(self, kind: str, after: int, before: int, max_bytes: int) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = []
        size = 0
        for number, at in self._numbers(kind, after, before):
            event, more = self._make(kind, number, at)
            size += more
            if events and (size > max_bytes or len(events) == PACK_EVENTS):
                break
            events.append((number, event))
        await asyncio.sleep(0)
        return events

    async def forget(self, spans: Sequence[tuple[int, int]]) -> None:
        now = time.monotonic()
        for first, last in spans:
            for kind, waiting in self._waiting.items():
                if any(w.first <= last and first <= w.last for w in waiting):
                    self._waiting[kind] = [rest for w in waiting for rest in self._cut(kind, w, first, last, now)]

    async def lost(self) -> list[LostRuns]:
        return []

    def _numbers(self, kind: str, after: int, before: int) -> Iterator[tuple[int, int]]:
        for w in self._waiting[kind]:
            for number in range(max(w.first, after + 1), min(w.last + 1, before)):
                yield number, w.at + (number - w.first) * w.every_ms

    def _cut(self, kind: str, w: Waiting, first: int, last: int, now: float) -> Iterator[Waiting]:
        """What remains of `w` without the numbers from first to last."""
        if last < w.first or w.last < first:
            yield w
            return
        first, last = max(first, w.first), min(last, w.last)
        self._tally.waiting -= last - first + 1
        if w.made:
            self._tally.deleted(kind, now - w.made)
            if kind == "readings":
                self._tally.newest[self.id] = max(w.made, self._tally.newest.get(self.id, 0.0))
        if w.first < first:
            yield Waiting(w.first, first - 1, w.at, w.every_ms, w.made)
        if last < w.last:
            yield Waiting(last + 1, w.last, w.at + (last + 1 - w.first) * w.every_ms, w.every_ms, w.made)
