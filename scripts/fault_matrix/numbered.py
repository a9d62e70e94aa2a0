"""Numbered events: what stands in an event tells its number, so what is stored can be compared one by one.

A station plays eight instruments; reading number n goes to the instrument n % 8 and its value is n counts. A camera's
pass number n was seen in n frames; every third vehicle is one that is looked for. Heartbeats are known by their time.
"""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.contract.events import Event, Heartbeat, PlateRead, Readings
from edge_agent.contract.quantities import BY_NUMBER

INSTRUMENTS = {place: BY_NUMBER[number] for place, number in enumerate((1, 2, 3, 4, 5, 6, 9, 10))}
"""What each instrument of a station measures; all with one decimal."""
WATCHED, OTHER = "68A12345", "30F90817"
WATCHED_EVERY = 3
COPY = 10_000_000
"""Numbers that each copy of a box has for itself: two processes that play one box at once number on their own."""
_JPEG = b"\xff\xd8" + bytes(600) + b"\xff\xd9"


class Made(NamedTuple):
    """An event, as the side log and the store know it."""

    kind: str
    number: int
    """Of a heartbeat its time."""
    at: int
    """Milliseconds UTC."""
    place: str
    """The field of the store that holds it."""


def plate_read(number: int, at: int) -> PlateRead:
    """The pass with a number."""
    text = WATCHED if number % WATCHED_EVERY == 0 else OTHER
    return PlateRead(
        at=at,
        text=text,
        raw=text,
        confidence=0.99,
        char_confidence=(99,) * len(text),
        valid=True,
        classes=("car",),
        colour="white",
        layout="one",
        quad=(0, 0, 9, 0, 9, 3, 0, 3),
        frame_size=(640, 360),
        frames=number,
        first=at,
        last=at,
        jpeg=_JPEG,
    )


def made(event: Event) -> Made | None:
    """What an event is; None for one that is nobody's number."""
    if isinstance(event, Readings):
        (reading,) = event.readings
        if reading.ticks is None:
            return None
        return Made("readings", reading.ticks, event.at, BY_NUMBER[reading.quantity].name)
    if isinstance(event, PlateRead):
        return Made("plates", event.frames, event.at, "frames")
    if isinstance(event, Heartbeat):
        return Made("health", event.at, event.at, "uptime_s")
    return None


def watched(number: int) -> bool:
    """Whether the pass with a number must raise an alert."""
    return number % WATCHED_EVERY == 0
