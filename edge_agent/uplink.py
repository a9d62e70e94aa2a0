"""From the outbox to the collector over MQTT, until the collector's receipts name every event.

The broker is trusted with nothing: packs go out at QoS 0 and are sent again, after a time that grows, until the
collector says that it has stored them. Two lanes share the window of packs under way: new events go at once, the
backlog beside them at a limited rate, the more important kinds first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent import __version__
from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import PRIORITY, BoxStatus, Stored
from edge_agent.contract.packs import encode_lost, encode_pack
from edge_agent.contract.runs import pack_runs, ranges
from edge_agent.contract.topics import down, up
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.settings import BrokerSettings, UplinkSettings

log = logging.getLogger(__name__)

FORGET_S = 1.0
"""Confirmed events are deleted together this often: each deletion is a write to the flash."""
RECONNECT_S = (1, 30)
"""First and longest pause between attempts to reach the broker."""

_decode_stored = msgspec.msgpack.Decoder(Stored).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(kw_only=True)
class Flight:
    """A pack that is under way."""

    topic: str
    payload: bytes
    runs: tuple[int, ...]
    fresh: bool
    lost_id: int | None = None
    attempt: int = 0
    again_at: float = 0.0


@dataclass
class Lane:
    """How far a lane has read the outbox, for each kind."""

    before: int
    """Numbers from here on are not this lane's."""
    after: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    """Kinds that this lane has read to its end; only the fresh lane gets more."""


class Uplink:
    """Carries one box's outbox to the collector; `run` does it until it is cancelled."""

    def __init__(
        self,
        *,
        device: str,
        broker: BrokerSettings,
        settings: UplinkSettings,
        outbox: Outbox,
        health: Health,
        password: str | None = None,
        now: Now = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._broker = broker
        self._settings = settings
        self._outbox = outbox
        self._health = health
        self._password = password
        self._now = now
        self._monotonic = monotonic
        self._wake = asyncio.Event()
        self._connected = False
        self._receipts: list[bytes] = []
        self._stored: list[tuple[int, int]] = []
        """Numbers, first and last, that are confirmed and still on disk."""
        self._forget_at = 0.0
        self._flights: dict[tuple[int, ...], Flight] = {}
        self._lanes = {True: Lane(before=2**62), False: Lane(before=0)}
        self._allowance = 0.0
        self._allowance_at = 0.0

    async def run(self) -> None:
        """Connect, send, take receipts; reconnects by itself."""
        self._outbox.on_change = self._on_events
        with self._client() as client:
            while True:
                await self._take_receipts()
                if self._connected:
                    await self._send(client)
                try:
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()

    @contextmanager
    def _client(self) -> Iterator[mqtt.Client]:
        loop = asyncio.get_running_loop()

        def soon(callback: Callable[..., None], *arguments: object) -> None:
            """Let the event loop do what paho reports from its own thread."""
            loop.call_soon_threadsafe(callback, *arguments)

        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self._device, clean_session=True)
        if self._password is not None:
            client.username_pw_set(self._device, self._password)
        if (tls := self._broker.tls) is not None:
            client.tls_set(ca_certs=tls.ca, certfile=tls.certificate, keyfile=tls.key)
        client.will_set(up(self._device, "status"), self._status(online=False), qos=1, retain=True)
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_connect = lambda _c, _u, _f, reason, _p: soon(self._on_connect, client, reason)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: soon(self._on_disconnect, reason)
        client.on_connect_fail = lambda _c, _u: soon(self._on_disconnect, "no connection")
        client.on_message = lambda _c, _u, message: soon(self._on_receipt, bytes(message.payload))
        client.connect_async(self._broker.host, self._broker.port, keepalive=self._broker.keepalive_s)
        client.loop_start()
        try:
            yield client
        finally:
            client.publish(up(self._device, "status"), self._status(online=False), qos=1, retain=True)
            client.disconnect()
            client.loop_stop()

    def _status(self, *, online: bool) -> bytes:
        return _encode(
            BoxStatus(
                online=online,
                at=self._now(),
                version=__version__,
                outbox=self._outbox.id,
                set_aside=self._outbox.set_aside,
            )
        )

    def _on_connect(self, client: mqtt.Client, reason: Any) -> None:
        if reason.is_failure:
            self._health.fault("uplink", f"the broker at {self._broker.host}:{self._broker.port} refused us: {reason}")
            return
        self._health.clear("uplink")
        client.subscribe(down(self._device, "stored"), qos=1)
        client.publish(up(self._device, "status"), self._status(online=True), qos=1, retain=True)
        # what was under way may be lost: the backlog lane finds it on disk again
        self._flights.clear()
        fresh_from = self._outbox.last_number + 1
        self._lanes = {
            True: Lane(before=2**62, after=dict.fromkeys(PRIORITY, fresh_from - 1)),
            False: Lane(before=fresh_from),
        }
        self._connected = True
        self._wake.set()

    def _on_events(self) -> None:
        self._lanes[True].done.clear()
        self._wake.set()

    def _on_disconnect(self, reason: object) -> None:
        self._connected = False
        self._health.fault(
            "uplink", f"no broker at {self._broker.host}:{self._broker.port} ({reason}); events are kept here"
        )

    def _on_receipt(self, payload: bytes) -> None:
        self._receipts.append(payload)
        self._wake.set()

    async def _take_receipts(self) -> None:
        payloads, self._receipts = self._receipts, []
        for payload in payloads:
            try:
                receipt = _decode_stored(payload)
                stored = list(ranges(receipt.runs))
            except (msgspec.MsgspecError, ValueError):
                self._health.count("uplink.unreadable_receipts")
                continue
            if receipt.outbox != self._outbox.id:
                continue
            flight = self._flights.pop(receipt.runs, None)
            if flight is not None and flight.lost_id is not None:
                await self._outbox.forget_lost(flight.lost_id)
            else:
                self._stored += stored
            if flight is None:
                self._land_covered(stored)
        if self._stored and self._monotonic() >= self._forget_at:
            stored, self._stored = self._stored, []
            self._forget_at = self._monotonic() + FORGET_S
            await self._outbox.forget(stored)

    def _land_covered(self, stored: list[tuple[int, int]]) -> None:
        """Take packs from the window that a receipt covers though it names other runs."""
        for runs in list(self._flights):
            if self._flights[runs].lost_id is None and all(
                any(a <= first and last <= b for a, b in stored) for first, last in ranges(runs)
            ):
                del self._flights[runs]

    async def _send(self, client: mqtt.Client) -> None:
        for flight in list(self._flights.values()):
            if flight.again_at <= self._monotonic():
                self._health.count("uplink.sent_again")
                self._publish(client, flight)
        for lost in await self._outbox.lost() if self._outbox.has_lost else []:
            if lost.runs not in self._flights and self._room(fresh=True):
                payload = encode_lost(self._outbox.id, lost.runs, lost.lost)
                flight = Flight(
                    topic=up(self._device, "lost"), payload=payload, runs=lost.runs, fresh=True, lost_id=lost.id
                )
                self._publish(client, flight)
        for fresh in (True, False):
            for kind in PRIORITY:
                while self._more(kind, fresh=fresh) and (pack := await self._next(kind, fresh=fresh)):
                    self._publish(client, pack)

    def _more(self, kind: str, *, fresh: bool) -> bool:
        return kind not in self._lanes[fresh].done and self._room(fresh=fresh)

    def _room(self, *, fresh: bool) -> bool:
        """Each lane has half of the window, so that neither waits for the other."""
        under_way = sum(flight.fresh == fresh for flight in self._flights.values())
        if under_way >= max(1, self._settings.window // 2):
            return False
        return fresh or self._allowed() >= 1

    def _allowed(self) -> float:
        """Backlog packs that the rate allows now."""
        now, rate = self._monotonic(), self._settings.backlog_packs_per_s
        self._allowance = min(max(1.0, rate), self._allowance + (now - self._allowance_at) * rate)
        self._allowance_at = now
        return self._allowance

    async def _next(self, kind: str, *, fresh: bool) -> Flight | None:
        lane = self._lanes[fresh]
        numbered = await self._outbox.read(
            kind, lane.after.get(kind, 0), lane.before, int(self._settings.pack_kb * 1024)
        )
        if lane is not self._lanes[fresh]:  # a reconnection meanwhile began new lanes
            return None
        if not numbered:
            lane.done.add(kind)
            return None
        lane.after[kind] = numbered[-1][0]
        if not fresh:
            self._allowance -= 1
        payload = encode_pack(self._outbox.id, kind, numbered)
        return Flight(
            topic=up(self._device, kind), payload=payload, runs=pack_runs(n for n, _ in numbered), fresh=fresh
        )

    def _publish(self, client: mqtt.Client, flight: Flight) -> None:
        self._flights[flight.runs] = flight
        pause = min(self._settings.resend_s * 2**flight.attempt, self._settings.resend_max_s)
        flight.attempt += 1
        flight.again_at = self._monotonic() + pause
        client.publish(flight.topic, flight.payload, qos=0)

    def _pause(self) -> float:
        """Seconds until something is due by itself."""
        if not self._connected:
            return 3600.0
        now = self._monotonic()
        due = [flight.again_at - now for flight in self._flights.values()]
        if self._stored:
            due.append(self._forget_at - now)
        backlog = 1 / self._settings.backlog_packs_per_s if self._allowed() < 1 else 3600.0
        return max(0.01, min([*due, backlog]))
