"""A box and a collector for tests of the uplink: real MQTT clients; the collector answers receipts, or not.

    with CollectorDouble(port) as collector: ... collector.packs ...

Everything it heard stands in lists, in the order in which it came.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from events import plate_read
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from processes import wait_until

from edge_agent.contract.events import BoxStatus, Event, Heartbeat, PlateRead, Reading, Readings, Stored, WifiUsage
from edge_agent.contract.packs import Pack, decode_pack
from edge_agent.contract.runs import numbers
from edge_agent.contract.topics import ALL_UP, Topic, down
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.settings import BrokerSettings, TlsSettings, UplinkSettings
from edge_agent.uplink import Uplink

AT = 1_795_000_000_000


class CollectorDouble:
    """Hears one box; `answers` says whether a pack gets its receipt."""

    def __init__(self, port: int, *, answers: bool = True, device: str = "air-01") -> None:
        self.answers = answers
        self.refuses = ""
        """A kind of which no pack gets its receipt."""
        self.packs: list[Pack] = []
        self.statuses: list[BoxStatus] = []
        self._down = down(device, "stored")
        self._subscribed = False
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="collector")
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda c, *_: c.subscribe(ALL_UP, qos=1)
        self._client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)
        self._client.on_message = lambda _c, _u, message: self._hear(message.topic, bytes(message.payload))
        self._client.connect_async("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        wait_until(lambda: self._subscribed, 20, "the double hears")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, topic: str, payload: bytes) -> None:
        kind = Topic.parse(topic).kind
        if kind == "status":
            self.statuses.append(msgspec.msgpack.decode(payload, type=BoxStatus))
            return
        pack = decode_pack(kind, payload)
        self.packs.append(pack)
        if self.answers and pack.kind != self.refuses:
            self.receipt(pack)

    def receipt(self, pack: Pack) -> None:
        """Say that a pack is stored."""
        self.say(msgspec.msgpack.encode(Stored(outbox=pack.outbox, runs=pack.runs)))

    def say(self, payload: bytes, topic: str | None = None) -> None:
        """Send the box anything, where it expects a receipt unless a topic is given."""
        self._client.publish(topic or self._down, payload, qos=0)

    def heard(self, *kinds: str) -> list[int]:
        """The numbers that came, in order, of some kinds or of all."""
        return [n for pack in list(self.packs) if not kinds or pack.kind in kinds for n in numbers(pack.runs)]


async def until(true: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    """Wait, with the event loop running, for something that must come."""
    try:
        async with asyncio.timeout(limit_s):
            while not true():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s} s: {what}") from None


class HandClock:
    """A monotonic clock that goes on only by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Box:
    """An outbox with its uplink, which sends every example plate as a pack of its own."""

    def __init__(
        self,
        folder: Path,
        port: int,
        clock: HandClock | None = None,
        *,
        password: str | None = None,
        tls: TlsSettings | None = None,
        **settings: float,
    ) -> None:
        self.outbox = Outbox.open(folder / "outbox.sqlite", 10**9)
        self.health = Health()
        self._broker = BrokerSettings(host="127.0.0.1", port=port, tls=tls)
        self._password, self._clock, self._settings = password, clock, settings

    def uplink(self) -> Uplink:
        """The uplink, not yet running."""
        values = {"resend_s": 60.0, "resend_max_s": 240.0, "pack_kb": 1, "gather_s": 0} | self._settings
        return Uplink(
            device="air-01",
            broker=self._broker,
            password=self._password,
            settings=msgspec.convert(values, UplinkSettings),
            outbox=self.outbox,
            health=self.health,
            **({"monotonic": self._clock} if self._clock else {}),
        )

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the uplink; gives its task."""
        task = asyncio.create_task(self.uplink().run())
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.outbox.close()

    async def put(self, make: type[Event], count: int = 1) -> None:
        """Put examples of an event into the outbox."""
        await asyncio.gather(*(self.outbox.put(EXAMPLES[make]) for _ in range(count)))

    async def until_sent(self) -> None:
        """Wait until everything is confirmed and deleted."""
        async with asyncio.timeout(30):
            while (await self.outbox.waiting()).events:
                await asyncio.sleep(0.02)

    async def pass_time(self, seconds: float) -> None:
        """Move the hand clock on and let the uplink look at it."""
        assert self._clock is not None
        self._clock.at += seconds
        self.outbox.on_change()
        await asyncio.sleep(0.002)


EXAMPLES: dict[type, Event] = {
    Readings: Readings(at=AT, readings=(Reading(2, 7),)),
    WifiUsage: WifiUsage(at=AT, seconds=60, rx=1, tx=2, clients=(), leases=0),
    Heartbeat: Heartbeat(
        at=AT,
        uptime_s=1,
        rss_kb=0,
        cpu_ms=0,
        outbox_events=0,
        outbox_bytes=0,
        oldest=None,
        disk_free_mb=0,
        counters={},
        faults=(),
    ),
    # so large that each is a pack by itself
    PlateRead: plate_read(AT, os.urandom(900)),
}
