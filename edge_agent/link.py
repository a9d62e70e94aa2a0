"""The connection to the broker: paho in a thread of its own, its news in the event loop; it comes back by itself."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import ssl
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from edge_agent.contract.broker import HUNG_UP, TlsFileError, load_own, tell_refusals, tls_context, why_unreachable
from edge_agent.contract.topics import down, up
from edge_agent.errors import ConfigError
from edge_agent.health import Health
from edge_agent.lean_paho import CallbackAPIVersion, mqtt
from edge_agent.settings import BrokerSettings

log = logging.getLogger(__name__)

RECONNECT_S = (1, 30)
"""First and longest pause between attempts to reach the broker."""
UNSENT_BYTES = 16384
"""What has not reached the other side: so little is soon gone, or only not acknowledged yet."""
PART, LOGIN = "broker", "login"
"""What faults are said of: the broker is not reached; it is reached and does not let us in."""


class Link:
    """One box's connection; it is up while `connected`. Enter it in the event loop that shall hear its news."""

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
    ) -> None:
        """`status` gives the retained message that says whether the box is connected; `hears`, by kind, takes payloads.

        Raises ConfigError where a file of `broker.tls` cannot be used.
        """
        self.connected = False
        self._said_why = False
        """Whether the end of this attempt was explained already."""
        self._device = device
        self._broker = broker
        self._place = f"{broker.host}:{broker.port}"
        self._status = status
        self._health = health
        self._connected_now = on_connect
        self._hears = {down(device, kind): take for kind, take in hears.items()}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device, clean_session=True)
        if password is not None:
            self._client.username_pw_set(device, password)
        self._tls: ssl.SSLContext | None = None
        if broker.tls is not None:
            try:
                self._tls = tls_context(broker.tls)
            except TlsFileError as error:
                raise ConfigError(str(error)) from error
            self._client.tls_set_context(self._tls)
        self._client.will_set(up(device, "status"), status(False), qos=1, retain=True)
        self._client.reconnect_delay_set(*RECONNECT_S)

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        client = self._client

        def soon(callback: Callable[..., None], *arguments: object) -> None:
            """Let the event loop do what paho reports from its own thread."""
            loop.call_soon_threadsafe(callback, *arguments)

        client.on_pre_connect = lambda _c, _u: self._drop_old_statuses()
        client.on_connect = lambda _c, _u, _f, reason, _p: soon(self._on_connect, reason)
        client.on_disconnect = lambda _c, _u, _f, reason, _p: soon(self._on_disconnect, reason)
        # paho calls this while it handles the error, and does not pass it on
        client.on_connect_fail = lambda _c, _u: soon(self._on_connect_fail, sys.exc_info()[1])
        tell_refusals(client, lambda error: soon(self._on_connect_fail, error))
        for topic, take in self._hears.items():
            client.message_callback_add(
                topic, partial(lambda take, _c, _u, sent: soon(take, bytes(sent.payload)), take)
            )
        client.connect_async(self._broker.host, self._broker.port, keepalive=self._broker.keepalive_s)
        client.loop_start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.say_status(online=False)
        self.connected = False  # ends as asked: no fault
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send once; while there is no connection it is lost."""
        self._client.publish(topic, payload, qos=0)

    def unsent(self) -> bool:
        """Tell whether much of what was published has not reached the broker's machine: the line is slow, or stalls."""
        connection, waiting = self._client.socket(), bytearray(4)
        if connection is None:
            return False
        with suppress(OSError, ValueError):  # paho's thread has just closed it
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, waiting)
        return int.from_bytes(waiting, sys.byteorder) > UNSENT_BYTES

    def say_status(self, *, online: bool = True) -> None:
        """Say anew what `status` gives."""
        self._client.publish(up(self._device, "status"), self._status(online), qos=1, retain=True)

    def _drop_old_statuses(self) -> None:
        """Of a connection that ended before the broker acknowledged them: paho would keep and repeat them all for ever.

        In paho's thread, before it connects; every connection begins with the status as it is then.
        """
        with self._client._out_message_mutex:
            self._client._out_messages.clear()
            self._client._inflight_messages = 0

    def _on_connect(self, reason: Any) -> None:
        self._health.clear(PART)
        if reason.is_failure:
            cure = "is the password the last that `collector enrol` gave to this box?"
            self._health.fault(LOGIN, f"the broker at {self._place} refused us: {reason}; {cure}")
            self._said_why = True
            return
        self._health.clear(LOGIN)
        log.info("broker: connected to %s", self._place)
        self._client.subscribe([(topic, 1) for topic in self._hears])
        self.say_status()
        self.connected = True
        self._connected_now()

    def _on_disconnect(self, reason: Any) -> None:
        if self.connected:
            self._health.fault(PART, f"the connection to {self._place} was lost ({reason}); events are kept here")
        elif reason.is_failure and not self._said_why:
            self._health.fault(PART, f"cannot connect to {self._place}: {HUNG_UP}; events are kept here")
        self.connected = self._said_why = False
        self._renew()

    def _renew(self) -> None:
        """Show what stands on the disk at the next attempt: a certificate that was replaced needs no restart."""
        if self._tls is not None and self._broker.tls is not None:
            try:
                load_own(self._tls, self._broker.tls)
            except TlsFileError as error:
                log.warning("broker: %s", error)

    def _on_connect_fail(self, error: BaseException | None) -> None:
        self.connected = False
        self._said_why = True
        self._renew()
        self._health.fault(PART, f"cannot connect to {self._place}: {why_unreachable(error)}; events are kept here")
