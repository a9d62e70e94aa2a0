"""The listening socket: how many connections there may be, and for how long one may keep us waiting.

aiohttp waits for ever for a request's head and for whoever does not take its answer. Here a connection that does not
complete a head in HEAD_S, or takes nothing of an answer for TAKE_S, is closed; a slow one that takes is not.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

MAX_CONNECTIONS = 2000
HEAD_S, TAKE_S, HANDSHAKE_S = 15.0, 30.0, 15.0
_GUESTS = web.AppKey("guests", dict[asyncio.BaseTransport, "_Guest"])


class _Guest(asyncio.Protocol):
    """One connection: passes everything on to aiohttp's protocol and looks at the clock."""

    def __init__(self, inner: Any, guests: dict[asyncio.BaseTransport, _Guest]) -> None:
        self._inner = inner
        self._guests = guests
        self._transport: asyncio.BaseTransport | None = None
        self._head: asyncio.TimerHandle | None = None
        self._take: asyncio.TimerHandle | None = None
        self._let_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if len(self._guests) >= MAX_CONNECTIONS:
            self._end()
            return
        self._let_in = True
        self._guests[transport] = self
        self.waits_for_head()
        self._inner.connection_made(transport)

    def waits_for_head(self) -> None:
        """From now on a head is due."""
        self.has_head()
        self._head = asyncio.get_running_loop().call_later(HEAD_S, self._no_head, 0)

    def has_head(self) -> None:
        """A head is complete: its handler has the time that it needs."""
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _no_head(self, before: int) -> None:
        """None is due yet while the answer before is being taken."""
        left = self._untaken()
        if left in {0, before}:
            self._end()
        else:
            self._head = asyncio.get_running_loop().call_later(HEAD_S, self._no_head, left)

    def _none_taken(self, before: int) -> None:
        left = self._untaken()
        if left == before:
            self._end()
        else:
            self._take = asyncio.get_running_loop().call_later(TAKE_S, self._none_taken, left)

    def _untaken(self) -> int:
        """Bytes of answers that wait here and in the kernel."""
        if not isinstance(self._transport, asyncio.Transport):
            return 0
        in_kernel = ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(4))
        return self._transport.get_write_buffer_size() + int.from_bytes(in_kernel, sys.byteorder)

    def _end(self) -> None:
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._let_in:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return bool(self._inner.eof_received()) if self._let_in else None

    def pause_writing(self) -> None:
        self._take = asyncio.get_running_loop().call_later(TAKE_S, self._none_taken, self._untaken())
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._take is not None:
            self._take.cancel()
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self.has_head()
        if self._take is not None:
            self._take.cancel()
        if self._let_in and self._transport is not None:
            self._guests.pop(self._transport, None)
            self._inner.connection_lost(error)
        self._transport = None  # its handler may end later, and nothing is due any more


@web.middleware
async def clocked(request: web.Request, handler: Any) -> Any:
    """Tell the door that a head is complete, and when the next one is due."""
    guest = request.app[_GUESTS].get(request.transport) if request.transport is not None else None
    if guest is not None:
        guest.has_head()
    try:
        return await handler(request)
    finally:
        if guest is not None:
            guest.waits_for_head()


def with_door(app: web.Application) -> web.Application:
    """Give the application what the middleware needs."""
    app[_GUESTS] = {}
    return app


def _ours(record: logging.LogRecord) -> bool:
    """Whether it is no request of a stranger that is none; aiohttp would log each with a traceback."""
    return not isinstance((record.exc_info or (None, None))[1], HttpProcessingError)


async def listen(
    runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None = None
) -> asyncio.base_events.Server:
    """Serve a runner that is set up. Raises OSError where the port is taken."""
    logging.getLogger("aiohttp.server").addFilter(_ours)
    server, guests = runner.server, runner.app[_GUESTS]
    assert server is not None
    patience = None if tls is None else HANDSHAKE_S
    return await asyncio.get_running_loop().create_server(
        lambda: _Guest(server(), guests), host, port, ssl=tls, backlog=256, ssl_handshake_timeout=patience
    )
