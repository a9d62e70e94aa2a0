"""Who is told of changes of the live picture, and how far behind they may be."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import islice
from typing import Any, Literal

import msgspec

Topic = Literal["devices", "readings", "limits", "plates", "alerts"]

LAST_PLATES = 12
WAITING_ALERTS = 256
"""Alerts that a subscriber may be behind before it is dropped."""
GATHER_S, AT_ONCE = 1.0, 100
"""A subscriber is told of what is no alert or plate so often, and of so many changes together."""


class Change(msgspec.Struct, kw_only=True):
    """Something that changed, as it is now."""

    topic: Topic
    key: str
    """What it is of the topic: a device, a sighting, an alert."""
    item: Any
    event: bytes = b""
    """What pages are sent of it, made by the first that is: many screens cost little more than one."""


class Subscription:
    """Changes of some topics, until `ended`: too many alerts wait, or the collector stops.

    What waits is bounded: of a box only its newest state and readings, of the plates the last few, and of the alerts,
    each of which matters, at most WAITING_ALERTS.
    """

    def __init__(self, topics: frozenset[Topic]) -> None:
        self.topics = topics
        self.ended = False
        self._urgent: dict[tuple[Topic, str], Change] = {}
        self._rest: dict[tuple[Topic, str], Change] = {}
        self._rest_at = 0.0
        """When the rest is told next, by the steady clock."""
        self._woken = asyncio.Event()

    def offer(self, change: Change) -> bool:
        """Put a change in; False if there is no room."""
        if change.topic not in ("plates", "alerts"):
            self._rest[change.topic, change.key] = change
            if len(self._rest) == 1:
                self._woken.set()
            return True
        waiting = [key for key in self._urgent if key[0] == change.topic]
        if change.topic == "alerts" and len(waiting) >= WAITING_ALERTS:
            return False
        if change.topic == "plates" and len(waiting) >= LAST_PLATES:
            del self._urgent[waiting[0]]
        self._urgent[change.topic, change.key] = change
        self._woken.set()
        return True

    def end(self) -> None:
        """Wake the subscriber for the last time."""
        self.ended = True
        self._woken.set()

    async def next(self, timeout_s: float) -> list[Change]:
        """The next changes, alerts and plates first and at once; none if there were none in time, or no more come."""
        ends = time.monotonic() + timeout_s
        while not self.ended:
            now = time.monotonic()
            told = list(self._urgent.values())
            self._urgent.clear()
            if self._rest and now >= self._rest_at:
                told += [self._rest.pop(key) for key in list(islice(self._rest, AT_ONCE))]
                if not self._rest:
                    self._rest_at = now + GATHER_S
            if told or now >= ends:
                return told
            self._woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), (min(ends, self._rest_at) if self._rest else ends) - now)
        return []
