"""paho's MQTT client, for thousands of messages a second."""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import MQTTErrorCode

READ_BYTES = 1 << 18
_PUBLISH = 0x30
"""At QoS 0."""


class Client(mqtt.Client):
    """As paho's, but for how it waits and reads, and `publish_all`.

    paho asks the system four times for each message (its first byte, each byte of its length, the rest) and then waits
    for the socket again. This one asks for all that has come, and hands it out.

    paho waits with `select`, which takes no descriptor beyond 1023: with a thousand connections to the page a new one
    to the broker would never be heard. This one waits with `poll`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._come, self._handed_out = b"", 0
        self._may_read = True

    def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish topics with their payloads at QoS 0, in one piece; they are lost where there is no connection."""
        whole = bytearray()
        for topic, payload in messages:
            name = topic.encode()
            whole.append(_PUBLISH)
            self._pack_remaining_length(whole, 2 + len(name) + len(payload))
            self._pack_str16(whole, name)
            whole += payload
        if whole and self._sock is not None:
            self._packet_queue(_PUBLISH, whole, 0, 0, mqtt.MQTTMessageInfo(0))

    def reconnect(self) -> MQTTErrorCode:
        """As paho's; what is left of the connection before is forgotten."""
        self._come, self._handed_out = b"", 0
        return super().reconnect()

    def _loop(self, timeout: float = 1.0) -> MQTTErrorCode:
        connection, waker = self._sock, self._sockpairR
        if connection is None or waker is None or connection.fileno() < 0:
            return super()._loop(timeout)  # it says what a connection that has ended means
        here, woken = connection.fileno(), waker.fileno()
        poll = select.poll()
        poll.register(here, select.POLLIN | (select.POLLOUT if self.want_write() else 0))
        poll.register(woken, select.POLLIN)
        decrypted = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        ready = dict(poll.poll(0 if decrypted else timeout * 1000))
        if decrypted or ready.get(here, 0) & ~select.POLLOUT:
            code = self.loop_read()
            if code or self._sock is None:
                return code
        if woken in ready:
            with suppress(BlockingIOError):
                waker.recv(10_000)  # a byte for each message that is to be sent
        if woken in ready or ready.get(here, 0) & select.POLLOUT:
            code = self.loop_write()
            if code or self._sock is None:
                return code
        return self.loop_misc()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """As paho's, for all messages of one reading: nothing would wake it for the rest."""
        self._may_read = True
        code = super().loop_read(max_packets)
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._handed_out < len(self._come):
            code = super().loop_read(max_packets)
        return code

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._handed_out == len(self._come):
            if not self._may_read:  # what waits to be sent has its turn first
                raise BlockingIOError
            self._may_read = False
            self._come, self._handed_out = super()._sock_recv(READ_BYTES), 0
        part = self._come[self._handed_out : self._handed_out + bufsize]
        self._handed_out += len(part)
        return part
