"""Server-sent events: changes of the live picture for one client, as long as it listens and may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from collector.live import Change, Topic
from collector.web.context import CONTEXT, who
from collector.web.guard import identify

KEEP_ALIVE_S = 15
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
    response = web.StreamResponse(headers=_HEADERS)
    subscription = live.subscribe(topics)
    try:
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        await first(response.write)
        while not subscription.ended:
            change = await subscription.next(KEEP_ALIVE_S)
            if change is not None:
                await each(response.write, change)
            elif not subscription.ended:
                # tokens are revoked and sessions end while streams are open
                if (await identify(request))[0] != who(request):
                    break
                await response.write(b": still here\n\n")
    except ConnectionResetError:
        pass  # the client has gone
    finally:
        live.unsubscribe(subscription)
    return response
