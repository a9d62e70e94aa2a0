"""One MQTT 3.1.1 connection in the event loop: no thread, no queue of its own, a few kilobytes each.

What thousands of boxes in one process need of the protocol and no more: connect with a last will, subscribe, publish at
QoS 0 and 1, take messages at both, ping. Nothing is repeated at QoS 1: the boxes say it anew at each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CONNACK, PUBLISH = 0x20, 0x30
_PINGREQ, _DISCONNECT = b"\xc0\x00", b"\xe0\x00"


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(2, "big") + data


def _packet(first: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        size.append(digit | 0x80 if length else digit)
        if not length:
            return bytes((first,)) + size + body


def hello(client: str, password: str | None, will: tuple[str, bytes], keepalive_s: int) -> bytes:
    """The CONNECT of a clean session; the will is (topic, payload), at QoS 1 and retained."""
    flags = 0x02 | 0x04 | 0x08 | 0x20 | (0xC0 if password is not None else 0)
    body = _text("MQTT") + bytes((4, flags)) + keepalive_s.to_bytes(2, "big") + _text(client)
    body += _text(will[0]) + _text(will[1])
    if password is not None:
        body += _text(client) + _text(password)
    return _packet(0x10, body)


class Connection(asyncio.Protocol):
    """A connection until it is lost; make it with `loop.create_connection`."""

    def __init__(
        self,
        *,
        hello: bytes,
        keepalive_s: int,
        on_answer: Callable[[Connection, int], None],
        on_message: Callable[[str, bytes], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        """`on_answer` is given the broker's return code; 0 means that we are let in."""
        self._hello = hello
        self._keepalive_s = keepalive_s
        self._answered, self._message, self._lost = on_answer, on_message, on_lost
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._id = 0
        self._silent = False
        """Whether nothing came since the last ping."""
        self._ping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)
        self._ping = asyncio.get_running_loop().call_later(self._keepalive_s, self._keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._ping is not None:
            self._ping.cancel()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        self._silent = False
        data = self._rest + data
        at = 0
        while (body := _body(data, at)) is not None:
            start, end = body
            self._take(data[at], data[start:end])
            at = end
        self._rest = data[at:]

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Send a message; without a connection it is lost."""
        self._send(_packet(PUBLISH | qos << 1 | retain, _text(topic) + (self._next_id() if qos else b"") + payload))

    def subscribe(self, topics: list[str]) -> None:
        """Ask for topics at QoS 1."""
        self._send(_packet(0x82, self._next_id() + b"".join(_text(topic) + b"\x01" for topic in topics)))

    def close(self) -> None:
        """Say goodbye, so that the last will is not published, and end."""
        self._send(_DISCONNECT)
        if self._transport is not None:
            self._transport.close()

    def _take(self, first: int, body: bytes) -> None:
        if first & 0xF0 == PUBLISH:
            size = 2 + int.from_bytes(body[:2], "big")
            rest = size
            if first & 0x06:
                rest += 2
                self._send(_packet(0x40, body[size:rest]))
            self._message(body[2:size].decode(), body[rest:])
        elif first == CONNACK:
            self._answered(self, body[1])

    def _keep_alive(self) -> None:
        if self._silent and self._transport is not None:
            self._transport.abort()  # the last ping was never answered
            return
        self._silent = True
        self._send(_PINGREQ)
        self._ping = asyncio.get_running_loop().call_later(self._keepalive_s, self._keep_alive)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _next_id(self) -> bytes:
        self._id = self._id % 65535 + 1
        return self._id.to_bytes(2, "big")


def _body(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` begins and ends; None while it is not whole."""
    length = 0
    for i in range(at + 1, min(at + 5, len(data))):
        length |= (data[i] & 0x7F) << 7 * (i - at - 1)
        if not data[i] & 0x80:
            return (i + 1, i + 1 + length) if i + 1 + length <= len(data) else None
    return None
