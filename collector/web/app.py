"""The web application and its life beside the intake."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from collector.live import LAST_ALERTS
from collector.live_box import LatestReading
from collector.notices import Told, notices
from collector.stores import StoreError
from collector.subscription import LAST_PLATES
from collector.web import page
from collector.web.context import CONTEXT, Context
from collector.web.door import clocked, with_door
from collector.web.guard import FAILURES, MAX_BODY, RATES, ROUTE_OF, STATIC, dress, guard
from collector.web.rates import Rate
from collector.web.routes import ROUTES
from collector.web.stream import WATCHING
from edge_agent.contract.quantities import BY_NAME

log = logging.getLogger(__name__)

SWEEP_S = 2.0
REMEMBERED_MS = 86_400_000
"""Older readings are not the latest ones any more."""


def make_app(context: Context) -> web.Application:
    """The application, ready for an `AppRunner`; the live picture begins with the last plates and alerts kept."""
    app = with_door(web.Application(middlewares=[clocked, guard], client_max_size=MAX_BODY))
    app[RATES], app[FAILURES] = Rate(per_s=50, burst=300), Rate(per_s=2, burst=60)
    app[CONTEXT] = context
    app[ROUTE_OF] = {}
    app[WATCHING] = Counter()
    app[page.SECTIONS_OF] = page.Sections(context)
    for route in ROUTES:
        resource = app.router.add_route(route.method, route.path, route.handler).resource
        assert resource is not None
        app[ROUTE_OF][route.method, resource.canonical] = route
    app.router.add_static(STATIC, page.HERE / "static")
    app.on_response_prepare.append(dress)
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.append(_keep_current)
    return app


async def _end_streams(app: web.Application) -> None:
    app[CONTEXT].live.close()


async def _keep_current(app: web.Application) -> AsyncIterator[None]:
    context = app[CONTEXT]
    await _remember(context)
    sweeping = asyncio.create_task(_sweep(context), name="sweep")
    yield
    sweeping.cancel()
    with suppress(asyncio.CancelledError):
        await sweeping


async def _remember(context: Context) -> None:
    """Begin the live picture with what is kept."""
    live = context.live
    live.plates(reversed(await asyncio.to_thread(context.desk.plates, limit=LAST_PLATES)))
    live.kept(reversed(await asyncio.to_thread(context.desk.alerts, limit=LAST_ALERTS)))
    try:
        rows = await asyncio.to_thread(context.store.latest, context.now() - REMEMBERED_MS)
    except StoreError as error:
        log.warning("store: %s; the page begins without readings", error)
        return
    for row in rows:
        if row.station in context.fleet and row.quantity in BY_NAME:
            reading = LatestReading(quantity=row.quantity, at=row.at, value=row.value, flag=row.flag, status=row.status)
            live.readings(context.fleet[row.station], [reading])


async def _sweep(context: Context) -> None:
    told = Told()
    while True:
        context.live.sweep()
        told.tell(notices(context.live.devices()))
        await asyncio.sleep(SWEEP_S)
