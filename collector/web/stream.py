"""Server-sent events: changes of the live picture for one client, as long as it listens and may."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiohttp import web

from collector.subscription import Change, Topic
from collector.web.context import CONTEXT, Refusal, who
from collector.web.guard import identify

KEEP_ALIVE_S = 15
"""As often a stream says something, and who listens is asked for again."""
SEND_S = 20
"""A client that takes nothing for so long is let go."""
PIECE = 1 << 16
MAX_STREAMS, MAX_STREAMS_EACH = 500, 50
WATCHING = web.AppKey("watching", Counter[str])
"""How many streams each holder of a token has."""
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}

Send = Callable[[bytes], Awaitable[None]]


async def stream(
    request: web.Request,
    topics: Iterable[Topic],
    first: Callable[[Send], Awaitable[None]],
    each: Callable[[Send, Sequence[Change]], Awaitable[None]],
) -> web.StreamResponse:
    """Send what `first` says, then what `each` makes of the changes; nothing between the two is missed.

    Ends when the client goes, is too slow, loses its token or session, or the collector stops.
    """
    live = request.app[CONTEXT].live
    watching, name = request.app[WATCHING], who(request).name
    if live.subscribers >= MAX_STREAMS or watching[name] >= MAX_STREAMS_EACH:
        raise Refusal(
            503,
            ("Quá nhiều người đang xem trực tiếp.", "Too many are watching live."),
            ("Thử lại sau vài phút.", "Try again in a few minutes."),
        )
    response = web.StreamResponse(headers=_HEADERS)
    subscription = live.subscribe(topics)
    watching[name] += 1

    async def send(data: bytes) -> None:
        for start in range(0, len(data), PIECE):  # what waits to be sent is copied; a piece is little
            async with asyncio.timeout(SEND_S):
                await response.write(data[start : start + PIECE])

    try:
        await response.prepare(request)
        await send(b"retry: 2000\n\n")
        await first(send)
        checked = time.monotonic()
        while not subscription.ended:
            changes = await subscription.next(KEEP_ALIVE_S)
            if time.monotonic() - checked >= KEEP_ALIVE_S:
                # tokens are revoked and sessions end while streams are open, also those that are never quiet
                if (await identify(request))[0] != who(request):
                    break
                checked = time.monotonic()
            if changes:
                await each(send, changes)
                await asyncio.sleep(0)  # sending may not wait for anything; others have their turn
            elif not subscription.ended:
                await send(b": still here\n\n")
    except (ConnectionResetError, TimeoutError):
        pass  # the client has gone, or does not listen
    finally:
        live.unsubscribe(subscription)
        watching[name] -= 1
    return response
