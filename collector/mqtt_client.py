"""paho's MQTT client, for thousands of messages a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import MQTTErrorCode

READ_BYTES = 1 << 18
_PUBLISH = 0x30
"""At QoS 0."""


class Client(mqtt.Client):
    """As paho's, but for how it reads, and `publish_all`.

    paho asks the system four times for each message (its first byte, each byte of its length, the rest) and then waits
    for the socket again. This one asks for all that has come, and hands it out.
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
