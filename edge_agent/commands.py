"""What the centre asks of this box, and the answers; what cannot be understood is counted and passed over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from edge_agent.calibration import CalibrationError, Calibrations
from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import Answer, Command
from edge_agent.health import Health

log = logging.getLogger(__name__)

MAX_WAITING = 16

_decode = msgspec.msgpack.Decoder(Command).decode
_encode = msgspec.msgpack.Encoder().encode


class Commands:
    """Takes commands in the event loop and carries them out, one after the other, in a thread."""

    def __init__(self, calibrations: Calibrations, health: Health, now: Now = now_ms) -> None:
        self._calibrations = calibrations
        self._health = health
        self._now = now
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)

    def heard(self, payload: bytes) -> None:
        """A command came, whatever its bytes."""
        try:
            self._waiting.put_nowait(payload)
        except asyncio.QueueFull:  # who asked waits in vain and asks again
            self._health.count("commands.dropped")

    async def run(self, answer: Callable[[bytes], None]) -> None:
        """Carry out what comes and give the answers, for ever."""
        while True:
            payload = await self._waiting.get()
            said = await asyncio.to_thread(self.obey, payload)
            if said is not None:
                answer(said)

    def obey(self, payload: bytes) -> bytes | None:
        """Carry out one command; gives the answer, None where there is nobody to answer to. Blocks on the disk."""
        try:
            command = _decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._health.count("commands.unreadable")
            return None
        ok = True
        try:
            vi, en = self._calibrations.obey(command.order, command.by, self._now())
        except CalibrationError as error:
            ok, vi, en = False, error.vi, error.en
        log.info("command of %s: %s", command.by, en)
        return _encode(Answer(id=command.id, ok=ok, vi=vi, en=en))
