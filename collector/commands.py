"""Commands to boxes, and waiting for their answers. The intake's connection carries both.

A command is sent once and kept nowhere: it reaches a box that listens now, or none. So a box that was away does not
do tomorrow what somebody asked of it today.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from edge_agent.contract.events import Answer, Calibrate, Command
from edge_agent.contract.topics import Topic, down

LIMIT_S = 10.0
"""A box that is connected answers in less than a second."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer).decode


class Commands:
    """Asks boxes. Not for threads: everything is called from the event loop."""

    def __init__(self, publish: Callable[[str, bytes], object], limit_s: float = LIMIT_S) -> None:
        """`publish` sends a payload to a topic."""
        self._publish = publish
        self._limit_s = limit_s
        self._waiting: dict[tuple[str, int], asyncio.Future[Answer]] = {}

    async def ask(self, device: str, order: Calibrate, by: str) -> Answer:
        """Send an order to a box and wait for its answer. Raises TimeoutError where none comes in time."""
        key = (device, secrets.randbits(48))
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answered
        try:
            self._publish(down(device, "command"), _encode(Command(id=key[1], by=by, order=order)))
            async with asyncio.timeout(self._limit_s):
                return await answered
        finally:
            del self._waiting[key]

    def answered(self, topic: str, payload: bytes) -> None:
        """A box answered; what nobody waits for any more, or nobody can read, is passed over."""
        try:
            device, answer = Topic.parse(topic).device, _decode(payload)
        except (msgspec.MsgspecError, ValueError):
            return
        waiting = self._waiting.get((device, answer.id))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
