"""From the outbox to the collector over MQTT, until the collector's receipts name every event.

The broker is trusted with nothing: packs go out at QoS 0 and are sent again, after a time that grows, until the
collector says that it has stored them. Two lanes share the window of packs under way: new events go at once, the
backlog beside them at a limited rate, the more important kinds first.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from edge_agent import __version__
from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import PRIORITY, BoxStatus, Stored
from edge_agent.contract.packs import encode_lost, encode_pack
from edge_agent.contract.runs import pack_runs, ranges
from edge_agent.contract.topics import up
from edge_agent.flights import Flight, Flights
from edge_agent.health import Health
from edge_agent.lane import Lane, own_part
from edge_agent.link import Link
from edge_agent.namesake import Namesake
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import cure
from edge_agent.settings import BrokerSettings, UplinkSettings

FORGET_S = 1.0
"""Confirmed events are deleted together this often: each deletion is a write to the flash."""
WORK_S = 120.0
"""One round of receipts and packs takes no longer, save on a disk that hangs."""
SILENT_AFTER = 3
"""A pack that was sent so often without a receipt is a fault."""
SILENT = "it confirms nothing; does it run, and does the broker's access list let us hear it? Events are kept here"

_decode_stored = msgspec.msgpack.Decoder(Stored).decode
_encode = msgspec.msgpack.Encoder().encode


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
        on_command: Callable[[bytes], None] = lambda _: None,
        paces: Mapping[int, int] = MappingProxyType({}),
        now: Now = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
        make_link: Callable[..., Link] = Link,
    ) -> None:
        """`paces` is what the box's status says of them; simulations of many boxes give a lighter `make_link`.

        Raises ConfigError if a file of `broker.tls` is no use.
        """
        self._device = device
        self._paces = dict(paces)
        self._settings = settings
        self._outbox = outbox
        self._health = health
        self._now = now
        self._monotonic = monotonic
        self._wake = asyncio.Event()
        self._receipts: list[bytes] = []
        self._stored: list[tuple[int, int]] = []
        """Numbers, first and last, that are confirmed and still on disk."""
        self._forget_at = 0.0
        self._flights = Flights(settings)
        self._lanes = {True: Lane(before=2**62), False: Lane(before=0)}
        self._gather_s = settings.gather_s * own_part(device)
        self._allowance = 0.0
        self._allowance_at = 0.0
        self._silent = False
        self._namesake = Namesake(device, outbox.epochs.ids, health, monotonic)
        self._link = make_link(
            device=device,
            broker=broker,
            password=password,
            status=self._status,
            health=health,
            on_connect=self._on_connect,
            hears={"stored": self._on_receipt, "command": on_command},
        )

    async def run(self) -> None:
        """Connect, send, take receipts; reconnects by itself."""
        self._outbox.on_change = self._on_events
        with self._link:
            while True:
                try:
                    with self._health.pulse.work("uplink", WORK_S):
                        await self._take_receipts()
                        if self._link.connected:
                            await self._send()
                except sqlite3.OperationalError as error:
                    # the disk is full: what could not be deleted is sent and confirmed again
                    self._health.fault("outbox", f"the outbox cannot be changed ({error}); {cure(error)}")
                try:
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()

    def answer(self, payload: bytes) -> None:
        """Answer a command; lost where there is no connection."""
        self._link.publish(up(self._device, "answer"), payload)

    def _status(self, online: bool) -> bytes:
        return _encode(
            BoxStatus(
                online=online,
                at=self._now(),
                version=__version__,
                outbox=self._outbox.id,
                set_aside=self._outbox.set_aside,
                paces=self._paces,
                holds=self._outbox.epochs.ids,
                volatile=self._outbox.volatile,
            )
        )

    def _on_connect(self) -> None:
        # what was under way may be lost: the backlog lane finds it on disk again
        self._flights.clear()
        last = self._outbox.last_number
        self._lanes = {True: Lane(before=2**62, after=dict.fromkeys(PRIORITY, last)), False: Lane(before=last + 1)}
        self._wake.set()

    def _on_events(self) -> None:
        self._lanes[True].done.clear()
        self._wake.set()

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
            epoch = self._outbox.epochs.find(receipt.outbox)
            if epoch is None:
                self._namesake.note(receipt.outbox)
                continue
            flight = self._flights.land(receipt.outbox, receipt.runs, stored, self._monotonic())
            if flight is not None and flight.lost_id is not None:
                await self._outbox.forget_lost(flight.lost_id)
            else:
                self._stored += epoch.places(stored)
            if self._silent:
                self._end_silence()
        if self._stored and self._monotonic() >= self._forget_at:
            self._forget_at = self._monotonic() + FORGET_S
            await self._forget()
        self._namesake.look()

    async def _forget(self) -> None:
        held = self._outbox.epochs
        await self._outbox.forget(self._stored)
        self._stored = []
        if self._outbox.epochs.ids != held.ids:
            self._link.say_status()

    async def _send(self) -> None:
        self._send_again()
        await self._send_events(fresh=True)
        had_lost = self._outbox.has_lost
        if had_lost and self._room(fresh=False):
            await self._send_lost()
        await self._send_events(fresh=False)
        if self._outbox.has_lost and not had_lost:  # damage that was found just now
            self._wake.set()

    def _send_again(self) -> None:
        for flight in self._flights.due(self._monotonic(), silent=self._silent, unsent=self._link.unsent):
            self._health.count("uplink.sent_again")
            if flight.attempt >= SILENT_AFTER and not flight.passed_by:
                self._silent = True
                self._health.fault("collector", SILENT)
            if flight.fresh and flight.attempt > 1:  # not at once: a single pack may be lost on the way
                self._overtake()
            self._publish(flight)

    def _overtake(self) -> None:
        """Count what waits unsent as backlog: while receipts stay away, new events must not queue behind it."""
        fresh, backlog, last = self._lanes[True], self._lanes[False], self._outbox.last_number
        backlog.after |= {kind: fresh.after[kind] for kind in backlog.done}
        backlog.done.clear()
        backlog.before = last + 1
        fresh.after = dict.fromkeys(PRIORITY, last)

    def _end_silence(self) -> None:
        """The collector is back: what waits for a long pause to end need not."""
        self._silent = False
        self._health.clear("collector")
        for flight in self._flights:
            flight.attempt, flight.again_at = 1, self._monotonic()

    async def _send_events(self, *, fresh: bool) -> None:
        gather_s = self._gather_s if fresh else 0
        for kind in PRIORITY:
            if self._lanes[fresh].gathers(kind, self._monotonic(), gather_s):
                continue
            while self._more(kind, fresh=fresh) and (pack := await self._next(kind, fresh=fresh)):
                self._publish(pack)

    async def _send_lost(self) -> None:
        for lost in await self._outbox.lost():
            if not self._flights.has(lost.outbox, lost.runs) and self._room(fresh=False):
                payload = encode_lost(lost.outbox, lost.runs, lost.lost)
                self._publish(
                    Flight(
                        topic=up(self._device, "lost"),
                        payload=payload,
                        outbox=lost.outbox,
                        runs=lost.runs,
                        fresh=False,
                        lost_id=lost.id,
                    )
                )

    def _more(self, kind: str, *, fresh: bool) -> bool:
        return kind not in self._lanes[fresh].done and self._room(kind, fresh=fresh)

    def _room(self, kind: str = "", *, fresh: bool) -> bool:
        return self._flights.room(kind, fresh=fresh) and (fresh or self._allowed() >= 1)

    def _allowed(self) -> float:
        """Backlog packs that the rate allows now."""
        now, rate = self._monotonic(), self._settings.backlog_packs_per_s
        self._allowance = min(max(1.0, rate), self._allowance + (now - self._allowance_at) * rate)
        self._allowance_at = now
        return self._allowance

    async def _next(self, kind: str, *, fresh: bool) -> Flight | None:
        lane = self._lanes[fresh]
        lane.done.add(kind)  # before the file is read: an event that comes meanwhile takes it out again
        numbered = await self._outbox.read(
            kind, lane.after.get(kind, 0), lane.before, int(self._settings.pack_kb * 1024)
        )
        if not numbered:
            lane.found_no_more(kind)
        if not numbered or lane is not self._lanes[fresh]:  # a reconnection meanwhile began new lanes
            return None
        lane.done.discard(kind)
        lane.after[kind] = numbered[-1][0]
        epoch = self._outbox.epochs.of(numbered[0][0])
        numbered = [(epoch.number(place), event) for place, event in numbered]
        return Flight(
            topic=up(self._device, kind),
            payload=encode_pack(epoch.id, kind, numbered),
            outbox=epoch.id,
            runs=pack_runs(number for number, _ in numbered),
            fresh=fresh,
        )

    def _publish(self, flight: Flight) -> None:
        if not flight.fresh and flight.attempt == 0:
            self._allowance -= 1
        self._flights.add(flight, self._monotonic())
        self._link.publish(flight.topic, flight.payload)

    def _pause(self) -> float:
        """Seconds until something is due by itself."""
        if not self._link.connected:
            return 3600.0
        now = self._monotonic()
        due = [flight.again_at - now for flight in self._flights]
        if self._stored:
            due.append(self._forget_at - now)
        if (gathered_at := self._lanes[True].gathered_at) is not None and gathered_at > now:
            due.append(gathered_at - now)
        backlog = 1 / self._settings.backlog_packs_per_s if self._allowed() < 1 else 3600.0
        return max(0.01, min([*due, backlog]))
