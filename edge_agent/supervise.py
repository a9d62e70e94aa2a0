"""Keeps a job running: foreseen errors are said once and the job begins again; anything else is a bug and goes up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from edge_agent.errors import ConfigError, EdgeError
from edge_agent.health import Health

AGAIN_AFTER_S = 5.0
"""Pause before a job that failed begins again."""


async def keep(
    part: str, job: Callable[[], Awaitable[None]], health: Health, again_after_s: float = AGAIN_AFTER_S
) -> None:
    """Run `job` for ever, also where it fails inside task groups of its own. A ConfigError is not retried."""
    while True:
        try:
            await job()
        except* ConfigError:
            raise
        except* EdgeError as errors:
            health.fault(part, "; ".join(dict.fromkeys(str(error) for error in leaves(errors))))
        await asyncio.sleep(again_after_s)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors that a group is made of, however deep; an error by itself."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error
