"""The embedded broker (amqtt) for one machine: who may connect, and what each may write and read.

In production Mosquitto does the same with the same password file and `credentials.access_list`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, ItemsView
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action, BaseContext
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from collector.credentials import Passwords
from edge_agent.contract.device import COLLECTOR

QUIET_LOGGERS = ("amqtt", "transitions")
REFUSED = "(refused)"
"""Client id of all who were not let in; no box is called so."""
TAKE_OVER_S = 5.0
"""An earlier connection that does not end within this time is left to itself."""

log = logging.getLogger(__name__)


class BoxesMayConnect(BaseAuthPlugin):
    """Lets in the boxes of the password file, and the collector."""

    @dataclass
    class Config:
        """Filled from the broker's configuration."""

        password_file: str
        collector_password: str

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._passwords = Passwords(Path(self.config.password_file))

    async def authenticate(self, *, session: Session) -> bool:
        """Check user name and password; the client id must be the user name, so that a box has one connection."""
        name, password = session.username or "", session.password or ""
        if name == COLLECTOR:
            accepted = hmac.compare_digest(password.encode(), self.config.collector_password.encode())
        else:
            accepted = session.client_id == name and self._passwords.accepts(name, password)
        if not accepted:
            log.warning("broker: refused a connection as %.32r", name)
        return accepted


class OwnTopicsOnly(BaseTopicPlugin):
    """A box writes only below its own `up` topic and reads only below its own `down` topic."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Decide on one publication, subscription or delivery."""
        name, topic = (session.username if session else None) or "", topic or ""
        writes = action == Action.PUBLISH
        if name == COLLECTOR:
            return topic.startswith("v1/down/" if writes else "v1/up/")
        allowed = topic.startswith(f"v1/{'up' if writes else 'down'}/{name}/") and not {"+", "#"} & set(topic[:-1])
        if not allowed:
            log.warning("broker: %.32r may not %s %.80r", name, "write" if writes else "read", topic)
        return allowed


class _Subscriptions(dict[str, list[tuple[Session, int]]]):
    """amqtt awaits while it walks over them; a box that comes or goes meanwhile would cost the message under way."""

    def items(self) -> ItemsView[str, list[tuple[Session, int]]]:  # type: ignore[override]
        return dict(self).items()


class _Broker(Broker):
    """amqtt's, but who connects anew takes the place of the earlier connection, as the standard asks; others do not.

    amqtt would leave the earlier one open and deaf, for anybody who says its name, before the password is asked for.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscriptions = _Subscriptions()
        self._taking_over = asyncio.Lock()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """As amqtt's; who hangs up before it is greeted is no error."""
        try:
            await super().stream_connected(reader, writer, listener_name)
        except OSError:
            writer.close()

    async def _delete_session(self, client_id: str) -> None:
        """Comes before the password is asked for: nothing yet."""

    async def _authenticate(self, session: Session, listener: Any) -> bool:
        accepted = bool(await super()._authenticate(session, listener))
        if accepted:
            await self._take_over(str(session.client_id))
        else:
            session.client_id = REFUSED  # amqtt would put it in the place of the one whose name it says
        return accepted

    async def _take_over(self, client_id: str) -> None:
        """End the earlier connection and wait until its last will is said: it must not come after the new status.

        One at a time: who is let in stands among the sessions before the next one is looked at.
        """
        async with self._taking_over:
            old, handler = self._sessions.get(client_id, (None, None))
            if old is None or handler is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(TAKE_OVER_S):
                    while old.transitions.is_connected():
                        await handler.handle_connection_closed()  # of no effect before its messages are handled
                        await asyncio.sleep(0.01)
            await self._del_all_subscriptions(old)
            if self._sessions.get(client_id, (None,))[0] is old:
                del self._sessions[client_id]


@asynccontextmanager
async def embedded_broker(*, host: str, port: int, password_file: Path, collector_password: str) -> AsyncIterator[None]:
    """Run the broker while the context is entered. Raises OSError where the port is taken."""
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    broker = _Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
            "plugins": {
                f"{__name__}.BoxesMayConnect": {
                    "password_file": str(password_file),
                    "collector_password": collector_password,
                },
                f"{__name__}.OwnTopicsOnly": {},
            },
        }
    )
    try:
        await broker.start()
    except BrokerError as error:
        raise OSError(str(error.__cause__ or error)) from error
    try:
        yield
    finally:
        await broker.shutdown()
