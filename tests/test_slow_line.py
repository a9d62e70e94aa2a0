"""A line that carries less than the box would send: what it has carried once it need not carry again."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from collector_double import EXAMPLES, Box, CollectorDouble, until
from servers import mosquitto

from edge_agent.contract.events import PlateRead

BYTES_A_SECOND = 20_000
PIECE = 2000


@asynccontextmanager
async def slow_line(behind: int) -> AsyncIterator[int]:
    """Give the port of a line to another port that carries so much upwards, and keeps little waiting in itself."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_s: float) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind)
        await asyncio.gather(carry(reader, far_writer, PIECE / BYTES_A_SECOND), carry(far_reader, writer, 0))

    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * PIECE)
    near.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(serve, sock=near, limit=PIECE)
    try:
        yield near.getsockname()[1]
    finally:
        server.close()


async def test_a_slow_line_carries_what_is_new_and_not_the_same_again_and_again(tmp_path: Path) -> None:
    plate = msgspec.structs.replace(EXAMPLES[PlateRead], jpeg=os.urandom(6000))
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        async with slow_line(broker.port) as port:
            box = Box(tmp_path, port, resend_s=0.25, resend_max_s=1, pack_kb=32)
            await asyncio.gather(*(box.outbox.put(plate) for _ in range(40)))
            async with box.sending():
                await until(lambda: bool(collector.statuses), "connected")
                await until(lambda: len(set(collector.heard())) == 40, "12 s of the line at its best", 30)
                assert box.health.faults == (), "the collector confirms all that reaches it"
