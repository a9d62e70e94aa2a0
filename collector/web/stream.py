"""Server-sent events: changes of the live picture for one client, as long as it listens and may."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from collector.subscription import Change, Topic
from collector.web.context import CONTEXT, Refusal, who
from collector.web.guard import identify

KEEP_ALIVE_S = 15
SEND_S = 20
"""A client that takes nothing for so long is let go."""
MAX_STREAMS, MAX_STREAMS_EACH = 500, 50
WATCHING = web.AppKey("watching", Counter[str])
"""How many streams each holder of a token has."""
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}

Send = Callable[[bytes], Awaitable[None]]


async def stream(
    request: web.Request,
    topics: Iterable[Topic],
    first: Callable[[Send], Awaitable[None]],
    each: Callable[[Send, Change], Awaitable[None]],
) -> web.StreamResponse:
    """Send what `first` says, then what `each` makes of every change; nothing between the two is missed.

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
        async with asyncio.timeout(SEND_S):
            await response.write(data)

    try:
        await response.prepare(request)
        await send(b"retry: 2000\n\n")
        await first(send)
        while not subscription.ended:
            change = await subscription.next(KEEP_ALIVE_S)
            if change is not None:
                await each(send, change)
            elif not subscription.ended:
                # tokens are revoked and sessions end while streams are open
                if (await identify(request))[0] != who(request):
                    break
                await send(b": still here\n\n")
    except (ConnectionResetError, TimeoutError):
        pass  # the client has gone, or does not listen
    finally:
        live.unsubscribe(subscription)
        watching[name] -= 1
    return response
