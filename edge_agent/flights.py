"""The packs that are under way to the collector and have no receipt yet, by what a receipt names of them.

How many may be is the window, as long as receipts come in time. A receipt that is late halves what the way bears, down
to one pack of each lane, and every receipt raises it by one: boxes by the thousand that a slow collector makes wait
must not fill its queue again and again with what stands in it already.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge_agent.contract.events import URGENT
from edge_agent.contract.runs import ranges
from edge_agent.settings import UplinkSettings

LOOK_S = 1.0
"""While much is unsent it is looked at so often."""
GIVEN = 4
"""A pack that was sent for so many of the longest pauses in vain holds nothing up any more."""


@dataclass(kw_only=True)
class Flight:
    """A pack that is under way."""

    topic: str
    payload: bytes
    outbox: int
    runs: tuple[int, ...]
    fresh: bool
    lost_id: int | None = None
    attempt: int = 0
    first_at: float = 0.0
    sent_at: float = 0.0
    again_at: float = 0.0
    held: bool = False
    """It was due again when the way bore no more; the next receipt lets it go."""
    passed_by: bool = False
    """It is sent again and again, and others need not wait for it: it may be one that is never confirmed."""


class Flights:
    """The window: no more packs than it takes are under way, in each of two lanes no more than half of them."""

    def __init__(self, settings: UplinkSettings) -> None:
        self._settings = settings
        self._window = settings.window
        self._bears = settings.window
        """Packs that may be under way now."""
        self._shrunk_at = -math.inf
        self._usual_s = 0.0
        """Time from the first sending to the receipt, smoothed."""
        self._all: dict[tuple[int, tuple[int, ...]], Flight] = {}

    def __iter__(self) -> Iterator[Flight]:
        return iter(list(self._all.values()))

    def add(self, flight: Flight, now: float) -> None:
        """It is sent, for the first time or again; the next time is set."""
        self._all[flight.outbox, flight.runs] = flight
        flight.sent_at, flight.held = now, False
        flight.again_at = now + self._pause(flight.attempt)
        if flight.attempt == 0:
            flight.first_at = now
        flight.attempt += 1

    def due(self, now: float, *, silent: bool, unsent: Callable[[], bool] = lambda: False) -> list[Flight]:
        """What is to be sent again now, what was tried least first; a silent collector is asked by one pack.

        Nothing is while much that was sent is `unsent`: it comes in order or not at all, so a second one only stands
        behind the first, and a slow line would carry ever more of what came before and less that is new.
        """
        for flight in self:
            flight.passed_by = now - flight.first_at > GIVEN * self._settings.resend_max_s
        due = sorted((flight for flight in self if flight.again_at <= now), key=lambda flight: flight.attempt)
        for flight in due:
            if not flight.passed_by:
                self._late(flight, now)
        if due and unsent():
            for flight in due:
                flight.again_at = now + LOOK_S
            return []
        again = due[: 1 if silent else self._bears]
        if len(again) < len(due) or (silent and again):
            pause = self._pause(again[-1].attempt)
            for flight in self:
                flight.held = flight.held or flight.again_at <= now
                flight.again_at = max(flight.again_at, now + pause)
        return again

    def has(self, outbox: int, runs: tuple[int, ...]) -> bool:
        """Whether a pack of these numbers is under way."""
        return (outbox, runs) in self._all

    def room(self, kind: str = "", *, fresh: bool) -> bool:
        """Whether a lane may send one more, so that neither waits for the other; a new plate waits for nothing else."""
        lane = [flight for flight in self._all.values() if flight.fresh == fresh]
        if fresh and kind == URGENT and self._window > 1 and not any(f.topic.endswith(URGENT) for f in lane):
            return True
        counted = [flight for flight in self._all.values() if not flight.passed_by]
        in_lane = sum(flight.fresh == fresh for flight in counted)
        return in_lane < max(1, self._bears // 2) and len(counted) < self._bears and len(self._all) < self._window

    def land(self, outbox: int, runs: tuple[int, ...], stored: Sequence[tuple[int, int]], now: float) -> Flight | None:
        """A receipt came: take what it covers from the window; returns the pack of just these runs, if there is one."""
        flight = self._all.pop((outbox, runs), None)
        if held := [other for other in self._all.values() if other.held]:
            longest = min(held, key=lambda other: other.first_at)
            longest.held, longest.again_at = False, now
        if flight is not None:
            self._bears = min(self._window, self._bears + 1)
            waited = min(now - flight.first_at, self._settings.resend_max_s)
            self._usual_s += (waited - self._usual_s) / 8
        if flight is None:
            for key, other in list(self._all.items()):
                covered = (any(a <= first and last <= b for a, b in stored) for first, last in ranges(other.runs))
                if other.outbox == outbox and other.lost_id is None and all(covered):
                    del self._all[key]
        return flight

    def clear(self) -> None:
        """All of it may be lost."""
        self._all.clear()

    def _pause(self, attempts: int) -> float:
        """Seconds until a pack is sent again that was sent so often before."""
        first = max(self._settings.resend_s, 2 * self._usual_s)  # who is slow is not asked twice
        pause = min(first * 2.0 ** min(attempts, 20), self._settings.resend_max_s)
        # boxes that keep step come behind the same others each time, and find the collector's queue full each time
        return pause * random.uniform(0.5, 1) if attempts else pause  # noqa: S311 - guards nothing

    def _late(self, flight: Flight, now: float) -> None:
        """No receipt came in time; what was sent before the last time that this was seen says nothing new."""
        if flight.sent_at >= self._shrunk_at:
            self._shrunk_at = now
            self._bears = max(min(2, self._window), self._bears // 2)
