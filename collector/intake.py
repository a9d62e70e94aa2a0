"""MQTT -> sinks -> receipts.

There is no queue that outlives a crash and none that grows: what does not fit is dropped and the boxes send it again.
While the store is down, or the database busy for too long, the boxes keep their data; while it is the store alone,
alerts are raised all the same.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from paho.mqtt import client as mqtt

from collector.batch import Arrival, Message, Sinks, receipt
from collector.commands import Commands
from collector.database import UNAVAILABLE
from collector.live import Live
from collector.mqtt import keep_alive_s, make_client, subscriptions, this_collector
from collector.mqtt_client import Client
from collector.settings import BrokerSettings
from collector.stores import RejectedError, StoreError
from collector.waiting import Waiting
from edge_agent.contract.broker import HUNG_UP, tell_refusals, why_unreachable
from edge_agent.contract.packs import MAX_PACK_BYTES
from edge_agent.contract.runs import ranges
from edge_agent.contract.topics import down

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_S = (0.5, 10.0)
"""First and longest pause while the store is down."""
PATIENCE_S, AHEAD = 0.2, 200
"""Plates wait so long for a store that is slow or down; so many packs are then dealt with ahead of the rest."""

_encode = msgspec.msgpack.Encoder().encode


class Intake:
    """Takes what the boxes send; `run` does it until it is cancelled."""

    def __init__(
        self,
        *,
        broker: BrokerSettings,
        password: str | None,
        sinks: Sinks,
        live: Live,
        counters: Counter[str],
        thread: Executor,
        ahead: Executor,
        now: Callable[[], int],
    ) -> None:
        """Sinks work in `thread`, which must be a single one, and in `ahead`, another, while that one waits.

        Raises SettingsError for files of `broker.tls`.
        """
        self._thread, self._ahead_thread = thread, ahead
        self._ahead: list[Arrival] = []
        """Plates whose alerts are raised, and which the store does not have yet."""
        self._broker = broker
        self._client = make_client(
            broker, password, client_id=broker.user if broker.share is None else this_collector(broker)
        )
        self.commands = Commands(self._client.publish)
        """Asks boxes over the same connection."""
        self._sinks = sinks
        self._live = live
        self._counters = counters
        self._now = now
        self._waiting = Waiting()
        self._arrived = asyncio.Event()
        self._woken = False
        """The event loop will look at what waits, or is about to: it need not be woken for each message."""
        self._unreachable = False
        counters.update(broker_connected=0, store_down=0)

    @property
    def connected(self) -> bool:
        """Whether the broker passes on what the boxes send."""
        return self._counters["broker_connected"] > 0

    @property
    def waiting(self) -> int:
        """Messages that have come and wait for the sinks."""
        return len(self._waiting)

    async def run(self) -> None:
        """Subscribe, take batches, send receipts; reconnects by itself."""
        with self._connection() as client:
            pause = RETRY_S[0]
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                self._woken = False
                while self._waiting or self._ahead:
                    batch, began = self._waiting.take(), time.monotonic()
                    if await self._take(client, batch):
                        pause = RETRY_S[0]
                    else:
                        await self._meanwhile(client, asyncio.sleep(pause))
                        pause = min(2 * pause, RETRY_S[1])
                    self._waiting.worked(batch, time.monotonic() - began)

    async def _take(self, client: Client, batch: Sequence[Message]) -> bool:
        """Carry a batch through the sinks; False if the store is down, or the database does not answer."""
        try:
            return await self._carry(client, batch)
        except UNAVAILABLE as error:
            self._stopped(f"database: {error}")
            return False

    async def _carry(self, client: Client, batch: Sequence[Message]) -> bool:
        try:
            found = await self._do(self._sinks.sort, batch)
        except UNAVAILABLE:
            self._waiting.put_back(batch)
            raise
        for device, status in found.statuses:
            self._live.status(device, status)
        for arrival in found.new:
            if arrival.newest:
                self._live.saw(arrival.box.device, arrival.newest, arrival.message.received)
            if arrival.pack.kind == "health":
                self._live.beat(arrival.box.device, arrival.pack.events[-1])
        alerts, sightings = await self._do(self._sinks.alert, found.new)
        self._live.plates(sightings)
        self._live.alerts(alerts)
        self._confirm(client, found.known)
        ahead, self._ahead = self._ahead, []
        return not (ahead or found.new) or await self._store(client, ahead + found.new)

    async def _meanwhile(self, client: Client, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the store, or for it to be tried again; no alert waits for either."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait([task], timeout=PATIENCE_S))[0]:
                await self._look_ahead(client)
            return task.result()
        finally:
            task.cancel()
            del task  # it knows its error, whose traceback knows this frame: a ring that would hold the whole batch

    async def _look_ahead(self, client: Client) -> None:
        """Keep the plates that have come and raise their alerts; they are stored with the next batch."""
        batch = self._waiting.take_plates(AHEAD - len(self._ahead))
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._ahead_thread, self._sinks.sort, batch)
            alerts, sightings = await loop.run_in_executor(self._ahead_thread, self._sinks.alert, found.new)
        except UNAVAILABLE as error:
            self._stopped(f"database: {error}")
            return
        self._live.plates(sightings)
        self._live.alerts(alerts)
        self._confirm(client, found.known)
        self._ahead += found.new

    async def _store(self, client: Client, arrivals: list[Arrival]) -> bool:
        latest = None
        try:
            latest = await self._meanwhile(client, self._do(self._sinks.store, arrivals))
        except RejectedError:
            pass
        except StoreError as error:
            self._stopped(f"store: {error}")
            return False
        except UNAVAILABLE:
            raise
        except Exception as error:
            if len(arrivals) == 1:
                await self._do(self._sinks.fail, arrivals[0], error)
                return True
        if latest is None:
            return await self._halves(client, arrivals)
        if self._counters["store_down"]:
            log.info("store and database: work again")
            self._counters["store_down"] = 0
        for box in latest:
            self._live.readings(box.box, box.readings)
        for arrival in arrivals:
            if (lost := arrival.pack.lost) is not None:
                count = sum(last - first + 1 for first, last in ranges(arrival.pack.runs))
                self._live.lost(arrival.box.device, lost.kind, count)
        self._confirm(client, arrivals)
        return True

    async def _halves(self, client: Client, arrivals: list[Arrival]) -> bool:
        """One pack spoils the batch: it is found in a few tries, and none is made while the store is down."""
        middle = len(arrivals) // 2
        return await self._store(client, arrivals[:middle]) and await self._store(client, arrivals[middle:])

    def _stopped(self, why: str) -> None:
        if not self._counters["store_down"]:
            log.error("%s; the boxes keep their data until it works again", why)
        self._counters["store_down"] = 1
        self._counters["store_failures_total"] += 1

    def _confirm(self, client: Client, arrivals: Sequence[Arrival]) -> None:
        client.publish_all((down(arrival.box.device, "stored"), _encode(receipt(arrival))) for arrival in arrivals)
        self._counters["receipts_total"] += len(arrivals)

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    @contextmanager
    def _connection(self) -> Iterator[Client]:
        loop, client = asyncio.get_running_loop(), self._client
        client.reconnect_delay_set(1, 10)
        client.on_connect = lambda _c, _u, _f, reason, _p: self._on_connect(client, reason)
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._on_subscribe(reasons)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: self._on_disconnect(reason)
        # paho calls this while it handles the error, and does not pass it on
        client.on_connect_fail = lambda _c, _u: self._on_connect_fail(sys.exc_info()[1])
        tell_refusals(client, self._on_connect_fail)
        client.on_message = lambda _c, _u, message: self._on_message(loop, message)
        client.connect_async(self._broker.host, self._broker.port, keepalive=keep_alive_s(self._broker))
        client.loop_start()
        try:
            yield client
        finally:
            self._counters["broker_connected"] = 0  # ends as asked: not lost
            client.disconnect()
            client.loop_stop()

    # paho calls these from its own thread

    def _on_connect(self, client: Client, reason: Any) -> None:
        if reason.is_failure:
            cure = "is its password the one of `collector enrol SETTINGS collector`?"
            self._say_unreachable(f"{self._broker.host}:{self._broker.port} refused the collector ({reason}); {cure}")
            return
        self._unreachable = False
        client.subscribe(subscriptions(self._broker.share))

    def _on_subscribe(self, reasons: Sequence[Any]) -> None:
        if any(reason.is_failure for reason in reasons):
            cure = "is its access list that of `collector access-list`?"
            self._say_unreachable(f"{self._broker.host}:{self._broker.port} lets the collector hear nothing; {cure}")
            return
        log.info("broker: connected to %s:%s", self._broker.host, self._broker.port)
        self._counters["broker_connected"] = 1

    def _on_disconnect(self, reason: Any) -> None:
        if self.connected:
            log.warning("broker: connection lost (%s)", reason)
        elif reason.is_failure:
            self._say_unreachable(f"cannot connect to {self._broker.host}:{self._broker.port}: {HUNG_UP}")
        self._counters["broker_connected"] = 0

    def _on_connect_fail(self, error: BaseException | None) -> None:
        self._say_unreachable(f"cannot connect to {self._broker.host}:{self._broker.port}: {why_unreachable(error)}")

    def _say_unreachable(self, text: str) -> None:
        if not self._unreachable:
            log.error("broker: %s; tried again until it works", text)
        self._unreachable = True

    def _on_message(self, loop: asyncio.AbstractEventLoop, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/answer"):  # whoever waits for it must not wait for the store too
            payload = bytes(message.payload[:MAX_PACK_BYTES])
            loop.call_soon_threadsafe(self.commands.answered, message.topic, payload)
            return
        # the sinks quarantine what is too large; all of it need not be kept for that
        payload = bytes(message.payload[: MAX_PACK_BYTES + 1])
        if not self._waiting.put(Message(message.topic, payload, self._now())):
            self._counters["messages_dropped_busy_total"] += 1
            return
        if not self._woken:
            self._woken = True
            loop.call_soon_threadsafe(self._arrived.set)
