"""Who is told of changes of the live picture, and how far behind they may be."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec

Topic = Literal["devices", "readings", "limits", "plates", "alerts"]

LAST_PLATES = 12
WAITING_ALERTS = 256
"""Alerts that a subscriber may be behind before it is dropped."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that changed, as it is now."""

    topic: Topic
    key: str
    """What it is of the topic: a device, a sighting, an alert."""
    item: Any


class Subscription:
    """Changes of some topics, until `ended`: too many alerts wait, or the collector stops.

    What waits is bounded: of a box only its newest state and readings, of the plates the last few, and of the alerts,
    each of which matters, at most WAITING_ALERTS.
    """

    def __init__(self, topics: frozenset[Topic]) -> None:
        self.topics = topics
        self.ended = False
        self._waiting: dict[tuple[Topic, str], Change] = {}
        self._woken = asyncio.Event()

    def offer(self, change: Change) -> bool:
        """Put a change in; False if there is no room."""
        waiting = (
            [key for key in self._waiting if key[0] == change.topic] if change.topic in ("plates", "alerts") else []
        )
        if change.topic == "alerts" and len(waiting) >= WAITING_ALERTS:
            return False
        if change.topic == "plates" and len(waiting) >= LAST_PLATES:
            del self._waiting[waiting[0]]
        self._waiting[change.topic, change.key] = change
        self._woken.set()
        return True

    def end(self) -> None:
        """Wake the subscriber for the last time."""
        self.ended = True
        self._woken.set()

    async def next(self, timeout_s: float) -> Change | None:
        """The next change; None if there was none in time or, with `ended` set, no more will come."""
        if not self._waiting and not self.ended:
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), timeout_s)
            except TimeoutError:
                return None
        if self.ended:
            return None
        return self._waiting.pop(next(iter(self._waiting)))
