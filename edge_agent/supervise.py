"""Keeps a job running: foreseen errors are said once and the job begins again; anything else is a bug and goes up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge_agent.errors import ConfigError, EdgeError
from edge_agent.health import Health

AGAIN_AFTER_S = 5.0
"""Pause before a job that failed begins again."""


async def keep(
    part: str, job: Callable[[], Awaitable[None]], health: Health, again_after_s: float = AGAIN_AFTER_S
) -> None:
    """Run `job` for ever; it clears its own fault once it works again. A ConfigError is not retried."""
    while True:
        try:
            await job()
        except ConfigError:
            raise
        except EdgeError as error:
            health.fault(part, str(error))
        await asyncio.sleep(again_after_s)
