"""A TCP link that can be spoiled: cut, half-open, stalled, late, torn into small pieces; and receipts or packs that are
lost or come twice.

It stands between one client and the broker and understands so much of MQTT that it can leave out or repeat a whole
PUBLISH. All links run in one thread with a loop of its own, so that nothing of the matrix slows them down.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

State = Literal["open", "cut", "half_open", "stalled"]
CHUNK = 65536
PUBLISH = 3


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """What is wrong with a link."""

    state: State = "open"
    """`cut`: connections end and none is made. `half_open`: what is connected never hears of the other side again.
    `stalled`: nothing moves until the link is mended."""
    delay_s: float = 0.0
    """Every piece is that late."""
    piece: int = 0
    """Bytes in a piece, if it is torn."""
    drop: float = 0.0
    """Share of the publications that are lost ..."""
    repeat: float = 0.0
    """... and of those that come twice ..."""
    of: str = ""
    """... of topics that end so; of all if empty."""


GOOD = Spoilt()


class Link:
    """Listens on a port and passes on to another."""

    def __init__(self, name: str, port: int, behind: int, seed: int) -> None:
        self.name, self.port = name, port
        self.busy = threading.Lock()
        self.spoilt = GOOD
        self._behind = behind
        self._chance = random.Random(seed)
        self._connections: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def open(self) -> None:
        """Listen."""
        self._server = _do(asyncio.start_server(self._serve, "127.0.0.1", self.port))

    def close(self) -> None:
        """End everything."""

        async def end() -> None:
            assert self._server is not None
            self._server.close()
            self._reset()

        _do(end())

    def spoil(self, spoilt: Spoilt) -> None:
        """From now on it is spoilt so; GOOD mends it."""

        async def change() -> None:
            self.spoilt = spoilt
            if spoilt.state == "cut":
                self._reset()
            if spoilt.state == "half_open":
                self._dead |= {writer for pair in self._connections for writer in pair}

        _do(change())

    def reset(self) -> None:
        """Reset every connection; new ones are made at once."""

        async def reset() -> None:
            self._reset()

        _do(reset())

    def _reset(self) -> None:
        for pair in self._connections:
            for writer in pair:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.spoilt.state == "cut":
            writer.transport.abort()
            return
        if self.spoilt.state == "half_open":  # it connects, and nobody ever answers
            with suppress(OSError):
                while await reader.read(CHUNK):
                    pass
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._connections.add(pair)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, far_writer, writer))
                tasks.create_task(self._pass_on(far_reader, writer, far_writer))
        finally:
            self._connections.discard(pair)
            for side in pair:
                self._dead.discard(side)
                side.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            async for packet, topic in _packets(reader):
                for _ in range(self._times(packet, topic)):
                    await self._deliver(packet, to)
        if to not in self._dead:  # the other side of a half-open link hears of no end either
            to.transport.abort()
            back.transport.abort()

    def _times(self, packet: bytes, topic: str) -> int:
        spoilt = self.spoilt
        if not (spoilt.drop or spoilt.repeat) or not topic.endswith(spoilt.of) or packet[0] >> 1 & 3:
            return 1
        chance = self._chance.random()
        return 0 if chance < spoilt.drop else 2 if chance < spoilt.drop + spoilt.repeat else 1

    async def _deliver(self, packet: bytes, to: asyncio.StreamWriter) -> None:
        step = self.spoilt.piece or len(packet)
        for start in range(0, len(packet), step):
            while self.spoilt.state == "stalled":
                await asyncio.sleep(0.02)
            if self.spoilt.delay_s:
                await asyncio.sleep(self.spoilt.delay_s)
            if to in self._dead:
                return
            to.write(packet[start : start + step])
            await to.drain()


async def _packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, str]]:
    """Whole MQTT packets, with the topic of those that are a PUBLISH at QoS 0."""
    while True:
        head = await reader.readexactly(2)
        while head[-1] & 0x80:
            head += await reader.readexactly(1)
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[1:]))
        body = await reader.readexactly(length)
        topic = ""
        if head[0] >> 4 == PUBLISH:
            topic = body[2 : 2 + int.from_bytes(body[:2], "big")].decode(errors="replace")
        yield head + body, topic


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="links", daemon=True).start()
    return loop


def _do(work: Coroutine[Any, Any, Any]) -> Any:
    """Do something in the loop of the links."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(20)
