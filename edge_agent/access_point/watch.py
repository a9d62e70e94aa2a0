"""Watches an access point: asks at the end of every window and makes one WifiUsage of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from edge_agent.access_point import clients, leases, traffic
from edge_agent.access_point.pseudonym import Pseudonyms
from edge_agent.access_point.settings import AccessPointSettings
from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import WifiClient, WifiUsage
from edge_agent.errors import FrameError, LineError
from edge_agent.health import Health

Emit = Callable[[WifiUsage], Awaitable[None]]

MAX_FILE = 1024 * 1024


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the access point showed; an interface that could not be seen is missing."""

    counters: dict[str, traffic.Counters]
    clients: dict[str, list[clients.Client]]
    leases: int


async def run(settings: AccessPointSettings, state: Path, emit: Emit, health: Health, now: Now = now_ms) -> None:
    """Emit what happened in every window, for ever; windows end on whole multiples of `every_s` in UTC.

    Where nothing could be seen there is no event: the next one covers the longer window.
    """
    pseudonyms = Pseudonyms(state)
    before: Look | None = None
    since = 0.0
    while True:
        look, at, clock = await look_at(settings, health, now), now(), time.monotonic()
        if look.counters and look.clients:
            if before is not None:
                # one that was not seen before has no beginning to count from
                await emit(usage(before, look, at, max(1, round(clock - since)), pseudonyms))
            before, since = look, clock
        await asyncio.sleep(until_next(now(), settings.every_s))


def until_next(at: int, every_s: int) -> float:
    """Seconds from `at` (ms) to the first end of a window that is at least half a window away.

    A timer that rings a moment early must not make a window of that moment.
    """
    rest = every_s - at / 1000 % every_s
    return rest if rest >= every_s / 2 else rest + every_s


async def look_at(settings: AccessPointSettings, health: Health, now: Now) -> Look:
    """Look once; what cannot be seen is a fault, and the fault ends when it can."""
    seen: dict[str, list[clients.Client]] = {}
    for interface in settings.interfaces:
        part = f"hostapd {interface}"
        try:
            seen[interface] = await clients.ask(settings.hostapd, interface, settings.timeout_s)
        except (LineError, FrameError) as error:
            health.fault(part, str(error))
        else:
            health.clear(part)
    return Look(counters=_counters(settings, health), clients=seen, leases=_leases(settings, health, now))


def usage(before: Look, look: Look, at: int, seconds: int, pseudonyms: Pseudonyms) -> WifiUsage:
    """What happened between two looks, `seconds` apart, the second at `at` (ms)."""
    both = look.counters.keys() & before.counters.keys()
    return WifiUsage(
        at=at,
        seconds=seconds,
        rx=sum(traffic.grown(before.counters[name].rx, look.counters[name].rx) for name in both),
        tx=sum(traffic.grown(before.counters[name].tx, look.counters[name].tx) for name in both),
        clients=tuple(_clients(before, look, at, pseudonyms)),
        leases=look.leases,
    )


def _clients(before: Look, look: Look, at: int, pseudonyms: Pseudonyms) -> list[WifiClient]:
    """One for each device, though it may have moved from one radio to another and be known to both."""
    merged: dict[bytes, WifiClient] = {}
    for interface, here in look.clients.items():
        if interface not in before.clients:
            known = {client.mac: client for client in here}  # first seen now: its bytes may be of any time
        else:
            known = {client.mac: client for client in before.clients[interface]}
        for client in here:
            last = known.get(client.mac) or clients.Client(mac=client.mac)  # associated within the window
            pseudonym = pseudonyms.of(client.mac, at)
            other = merged.get(pseudonym)
            signals = [s for s in (client.signal, other.signal if other else None) if s is not None]
            merged[pseudonym] = WifiClient(
                pseudonym=pseudonym,
                rx=traffic.grown(last.rx, client.rx) + (other.rx if other else 0),
                tx=traffic.grown(last.tx, client.tx) + (other.tx if other else 0),
                signal=max(signals, default=None),
            )
    # in the order of the pseudonyms, so that the order says nothing either
    return [merged[pseudonym] for pseudonym in sorted(merged)]


def _counters(settings: AccessPointSettings, health: Health) -> dict[str, traffic.Counters]:
    try:
        every = traffic.parse(_read(settings.traffic))
    except (OSError, FrameError) as error:
        health.fault("traffic", f"{settings.traffic}: {error}")
        return {}
    missing = [name for name in settings.interfaces if name not in every]
    if missing:
        unknown, known = ", ".join(missing), ", ".join(every)
        health.fault("traffic", f"{settings.traffic} knows no {unknown}; it knows: {known}; correct `interfaces`")
    else:
        health.clear("traffic")
    return {name: every[name] for name in settings.interfaces if name in every}


def _leases(settings: AccessPointSettings, health: Health, now: Now) -> int:
    if settings.leases is None:
        return 0
    try:
        count = leases.count_valid(_read(settings.leases), now() // 1000)
    except OSError as error:
        health.fault("leases", f"{settings.leases}: {error.strerror}; null where another machine gives addresses")
        return 0
    health.clear("leases")
    return count


def _read(path: str) -> str:
    with Path(path).open("rb") as file:
        return file.read(MAX_FILE).decode(errors="replace")
