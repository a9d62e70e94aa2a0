"""What each kind of box sends, invented from its seed and the event's number so that nothing need be kept."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edge_agent.contract.events import Event, Heartbeat, PlateRead, Reading, Readings, WifiClient, WifiUsage
from edge_agent.contract.quantities import BY_NAME
from scripts.simulated.day import CURVES

AIR = ("pm1", "pm2_5", "pm10", "air_temperature", "humidity", "pressure")
WATER = ("ph", "water_temperature", "turbidity", "free_chlorine", "conductivity", "dissolved_oxygen")
FLEET = {"air": 16, "water": 10, "camera": 50, "ap": 49}
"""Shares of the boxes; those of the example fleet."""
WATCHED = "68A99999"
"""The plate that the load is looked for by."""
PICTURE_BYTES = 12_000
"""Of the part of the frame around a plate, as cameras send it."""
_PICTURE = b"\xff\xd8" + random.Random(1).randbytes(PICTURE_BYTES - 4) + b"\xff\xd9"
_CLIENTS = tuple(
    WifiClient(pseudonym=i.to_bytes(8, "big"), rx=10_000 * i, tx=90_000 * i, signal=-40 - i) for i in range(1, 31)
)
_BASE = {
    name: (quantity.number, quantity.ticks(CURVES[name].mean), max(1, quantity.ticks(CURVES[name].noise)))
    for name in (*AIR, *WATER)
    for quantity in (BY_NAME[name],)
}


class Kind(NamedTuple):
    """A kind of box: its type in the fleet's files, and what its event of the source is called on the wire."""

    type: str
    source: str
    quantities: tuple[str, ...] = ()


KINDS = {
    "air": Kind("air-station-a", "readings", AIR),
    "water": Kind("drinking-water-station", "readings", WATER),
    "camera": Kind("plate-camera", "plates"),
    "ap": Kind("access-point", "wifi"),
}


def devices(boxes: int, mix: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Name and kind of every box, the kinds mixed evenly in these shares: `air-00001`, `camera-00002`, ..."""
    given = dict.fromkeys(mix, 0)
    for n in range(boxes):
        kind = max(mix, key=lambda kind: mix[kind] * (n + 1) - given[kind] * sum(mix.values()))
        given[kind] += 1
        yield f"{kind}-{n + 1:05}", kind


class Maker:
    """Makes the events of one box."""

    def __init__(self, kind: str, seed: int, watched: float) -> None:
        """`watched` is the share of plates that are looked for."""
        self._quantities = [_BASE[name] for name in KINDS[kind].quantities]
        self._seed = seed
        self._watched_every = round(1 / watched) if watched else 0

    def __call__(self, kind: str, number: int, at: int) -> tuple[Event, int]:
        """The event with this number and its size in bytes, more or less."""
        if kind == "readings":
            step = (number * 7919 + self._seed) % 5 - 2
            readings = tuple(Reading(quantity, base + step * noise) for quantity, base, noise in self._quantities)
            return Readings(at=at, readings=readings), 40
        if kind == "plates":
            return self._plate(number, at), PICTURE_BYTES + 120
        if kind == "wifi":
            clients = _CLIENTS[: (number + self._seed) % 31]
            rx, tx = sum(client.rx for client in clients), sum(client.tx for client in clients)
            usage = WifiUsage(at=at, seconds=60, rx=rx, tx=tx, clients=clients, leases=len(clients))
            return usage, 30 + 22 * len(clients)
        return _heartbeat(at, number), 110

    def _plate(self, number: int, at: int) -> PlateRead:
        text = f"68A{10_000 + (number * 7919 + self._seed) % 80_000}"
        if self._watched_every and (number + self._seed) % self._watched_every == 0:
            text = WATCHED
        return PlateRead(
            at=at,
            text=text,
            raw=text,
            confidence=0.97,
            char_confidence=(98,) * len(text),
            valid=True,
            classes=("car",),
            colour="white",
            layout="one",
            quad=(412, 300, 590, 300, 590, 340, 412, 340),
            frame_size=(1280, 720),
            frames=7,
            first=at - 400,
            last=at,
            jpeg=_PICTURE,
            rendered=True,
        )


def _heartbeat(at: int, number: int) -> Heartbeat:
    return Heartbeat(
        at=at,
        uptime_s=number * 30,
        rss_kb=30_000 + number % 97,
        cpu_ms=number * 70,
        outbox_events=2,
        outbox_bytes=4096,
        oldest=at - 400,
        disk_free_mb=23_400,
        counters={"uplink.sent_again": 0, "outbox.dropped": 0},
        faults=(),
    )
