"""A serial line that is a pseudo-terminal, with everything that goes wrong on real ones."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self


class SimulatedLine:
    """One end of a pseudo-terminal; the other is `path`, a link that stays the same when the line is plugged in anew.

    `hears` is called with the bytes that come from the other end. With a `baud`, bytes come through unharmed only while
    the other end is set to that rate (a pseudo-terminal knows the rate; parity and stop bits it forgets).
    """

    def __init__(self, path: Path, hears: Callable[[bytes], None] = lambda _: None, baud: int | None = None) -> None:
        self.path = path
        self.hears = hears
        self.baud = baud
        self.noise = b""
        """Put before everything that is said."""
        self.corrupt = False
        """Whether the last byte but one of everything that is said is turned over."""
        self.silent = False
        """Whether nothing that is said arrives."""
        self._own: int | None = None
        self._other: int | None = None

    async def __aenter__(self) -> Self:
        self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug(self) -> None:
        """Make the line; harmless if it is there."""
        if self._own is not None:
            return
        self._own, self._other = os.openpty()
        tty.setraw(self._other)
        os.set_blocking(self._own, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._other))
        asyncio.get_running_loop().add_reader(self._own, self._readable)

    def unplug(self) -> None:
        """Pull the line out: who has it open gets an error, who opens it finds nothing."""
        if self._own is None or self._other is None:
            return
        asyncio.get_running_loop().remove_reader(self._own)
        os.close(self._own)
        os.close(self._other)
        self._own = self._other = None
        self.path.unlink(missing_ok=True)

    def say(self, data: bytes) -> None:
        """Send bytes, as badly as the line is set to; what nobody fetches is lost in the end, as on a real port."""
        if self._own is None or self.silent:
            return
        if self.corrupt and len(data) > 1:
            data = data[:-2] + bytes((data[-2] ^ 0xFF,)) + data[-1:]
        try:
            os.write(self._own, self._through(self.noise + data))
        except BlockingIOError:
            return

    def _readable(self) -> None:
        if self._own is None:
            return
        try:
            data = os.read(self._own, 4096)
        except OSError:
            return
        if data:
            self.hears(self._through(data))

    def _through(self, data: bytes) -> bytes:
        """What is left of bytes at the other end's baud rate."""
        if (
            self.baud is None
            or self._other is None
            or termios.tcgetattr(self._other)[4] == getattr(termios, f"B{self.baud}")
        ):
            return data
        return bytes(byte << 3 & 0xFF | 0x81 for byte in data[::2])
