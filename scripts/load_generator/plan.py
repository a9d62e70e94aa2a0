"""What a run of the load generator is told."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

from scripts.load_generator.mix import FLEET

MAX_BOXES = 20_000
"""More connections from one address would run out of ports."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How many boxes do what for how long."""

    boxes: int
    minutes: float = 1.0
    """How long events are made, counted from the first connection."""
    mix: Mapping[str, int] = msgspec.field(default_factory=lambda: dict(FLEET))
    """Shares of the kinds of box."""
    pace_s: float = 60.0
    """Seconds between packs of a station, and windows of an access point."""
    samples: int = 1
    """In each of a station's packs, evenly over the pace."""
    passes: float = 4.0
    """Vehicles before each camera in a minute."""
    watched: float = 0.01
    """Share of plates that are looked for."""
    heartbeat_s: float = 60.0
    """Seconds between heartbeats; 0: none."""
    ramp: float = 500.0
    """Boxes that connect in a second."""
    outage_h: float = 0.0
    """Hours before the start that the boxes were offline: their backlog."""
    together: bool = False
    """All stations sample on the whole minute, as real ones do, and not evenly over it."""
    drain_s: float = 60.0
    """How long receipts are waited for after the last event was made."""

    def __post_init__(self) -> None:
        if not 1 <= self.boxes <= MAX_BOXES:
            raise ValueError(f"{self.boxes} boxes: from 1 to {MAX_BOXES} are simulated by one process")
        if not 0 < self.minutes <= 24 * 60:
            raise ValueError(f"{self.minutes:g} minutes: a run is bounded by a day")


def loopback(host: str) -> str:
    """The host, if it is this machine: load is never aimed at another. Raises ValueError."""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ValueError(f"{host} is not this machine; load is only made on loopback (127.0.0.1, ::1, localhost)")
    return host
