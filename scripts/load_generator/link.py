"""The agent's `Link` for thousands of boxes: the same face and the same pauses, over a connection without a thread."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from edge_agent.contract.topics import down, up
from edge_agent.health import Health
from edge_agent.link import RECONNECT_S, Link
from edge_agent.settings import BrokerSettings
from scripts.load_generator.connection import Connection, hello
from scripts.load_generator.tally import Tally

_decode_pack = msgspec.msgpack.Decoder(tuple[int, tuple[int, ...], msgspec.Raw]).decode
_decode_stored = msgspec.msgpack.Decoder(tuple[int, tuple[int, ...]]).decode


class LeanLink(Link):
    """One box's connection, which notes what it sends and when the receipt comes."""

    def __init__(
        self,
        *,
        device: str,
        broker: BrokerSettings,
        password: str | None,
        status: Callable[[bool], bytes],
        health: Health,
        on_connect: Callable[[], None],
        hears: Mapping[str, Callable[[bytes], None]],
        tally: Tally,
        tls: ssl.SSLContext | None,
    ) -> None:
        """`tls` is shared by all boxes: a context for each would cost a megabyte."""
        self.connected = False
        self._device = device
        self._broker = broker
        self._password = password
        self._status = status
        self._connected_now = on_connect
        self._hears = {down(device, kind): take for kind, take in hears.items()}
        self._tally = tally
        self._tls = tls
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._pause_s = float(RECONNECT_S[0])
        self._under_way: dict[tuple[int, tuple[int, ...]], tuple[str, float]] = {}

    def __enter__(self) -> Self:
        self._task = asyncio.ensure_future(self._connect())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.say_status(online=False)
        ending, self._connection = self._connection, None
        if self._task is not None:
            self._task.cancel()
        if ending is not None:
            ending.close()
        self._tally.connected -= self.connected
        self.connected = False

    def say_status(self, *, online: bool = True) -> None:
        """Say the status anew; while there is no connection it is said at the next one."""
        if self._connection is not None and self.connected:
            self._connection.publish(up(self._device, "status"), self._status(online), qos=1, retain=True)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send once; while there is no connection it is lost."""
        if self._connection is None or not self.connected:
            return
        kind = topic.rpartition("/")[2]
        outbox, runs, _ = _decode_pack(payload)
        again = (outbox, runs) in self._under_way
        self._tally.sent(kind, len(payload), again=again)
        if not again:
            self._under_way[outbox, runs] = kind, time.monotonic()
        self._connection.publish(topic, payload)

    def unsent(self) -> bool:
        """Its line is never what is slow."""
        return False

    async def _connect(self) -> None:
        """Try until the broker is reached, waiting longer each time, as the agent does."""
        topic = up(self._device, "status")
        while True:
            try:
                greeting = hello(self._device, self._password, (topic, self._status(False)), self._broker.keepalive_s)
                make = partial(
                    Connection,
                    hello=greeting,
                    keepalive_s=self._broker.keepalive_s,
                    on_answer=self._on_answer,
                    on_message=self._on_message,
                    on_lost=self._on_lost,
                )
                loop = asyncio.get_running_loop()
                _, self._connection = await loop.create_connection(
                    make, self._broker.host, self._broker.port, ssl=self._tls
                )
                return
            except OSError as error:
                self._tally.failed(error)
                await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, RECONNECT_S[1])

    async def _connect_later(self) -> None:
        await self._wait()
        await self._connect()

    def _on_answer(self, connection: Connection, code: int) -> None:
        self._connection = connection
        if code:
            self._tally.failed(ConnectionRefusedError(f"the broker refused with code {code}"))
            return
        self._pause_s = float(RECONNECT_S[0])
        connection.subscribe(list(self._hears))
        self.connected = True
        self.say_status()
        self._tally.connected += 1
        self._under_way.clear()
        self._connected_now()

    def _on_lost(self, connection: Connection) -> None:
        if connection is not self._connection:
            return
        self._tally.connected -= self.connected
        self._tally.lost_connections += self.connected
        self.connected = False
        self._connection = None
        self._task = asyncio.ensure_future(self._connect_later())

    def _on_message(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/stored"):
            outbox, runs = _decode_stored(payload)
            found = self._under_way.pop((outbox, runs), None)
            if found is not None:
                kind, at = found
                self._tally.confirmed(kind, time.monotonic() - at)
        if topic in self._hears:
            self._hears[topic](payload)
