"""The API of plates, alerts and watchlist: for the police alone, and every use of it is in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from collector.alerts.desk import Alert
from collector.subscription import Change
from collector.web import tables
from collector.web.context import CONTEXT, Refusal, json, who
from collector.web.guard import audit
from collector.web.query import (
    AlertsQuery,
    NewEntry,
    PlatesQuery,
    WatchlistQuery,
    known,
    parse_body,
    parse_query,
    parse_time,
)
from collector.web.stream import Send, stream

MISSED_AT_ONCE = 100


async def plates(request: web.Request) -> web.Response:
    """Search sightings, the newest first."""
    context, query = request.app[CONTEXT], parse_query(request.query, PlatesQuery)
    if query.camera is not None:
        known(query.camera, [name for name, box in context.fleet.items() if box.camera], ("camera", "camera"))
    start, stop = parse_time(query.start, "start"), parse_time(query.stop, "stop")
    what = "plates.export" if query.format == "csv" else "plates.search"
    await audit(request, who(request), what, dict(request.query))
    found = await asyncio.to_thread(
        context.desk.plates,
        pattern=query.plate,
        camera=query.camera,
        site=query.site,
        start=start,
        stop=stop,
        limit=query.limit,
    )
    rows = [tables.plate(seen, context.desk.doubts(seen)) for seen in found]
    if query.format == "csv":
        columns = tables.PLATE_COLUMNS
        return tables.csv_response("plates", columns, ([row[name] for name in columns] for row in rows))
    return json(rows)


async def picture(request: web.Request) -> web.Response:
    """The part of the frame around the plate that was read."""
    identity = request.match_info["id"]
    await audit(request, who(request), "picture.view", {"id": identity})
    jpeg = await asyncio.to_thread(request.app[CONTEXT].desk.picture, identity)
    if jpeg is None:
        raise Refusal(
            404,
            ("Không có ảnh này.", "There is no such picture."),
            (
                "Có thể ảnh đã bị xóa khi hết thời hạn lưu giữ.",
                "It may have been deleted at the end of its retention time.",
            ),
        )
    return web.Response(body=jpeg, content_type="image/jpeg")


async def alerts(request: web.Request) -> web.Response:
    """Alerts, the newest first."""
    context, query = request.app[CONTEXT], parse_query(request.query, AlertsQuery)
    start, stop = parse_time(query.start, "start"), parse_time(query.stop, "stop")
    await audit(request, who(request), "alerts.list", dict(request.query))
    found = await asyncio.to_thread(context.desk.alerts, start=start, stop=stop, limit=query.limit)
    return json([tables.alert(alert) for alert in found])


async def alert_stream(request: web.Request) -> web.StreamResponse:
    """New alerts as server-sent events (`event: alert`, `id`: the alert's); `Last-Event-ID` brings what was missed."""
    desk, last = request.app[CONTEXT].desk, request.headers.get("Last-Event-ID", "")
    shown = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
    await audit(request, who(request), "alerts.stream", {"after": shown})

    async def show(send: Send, alert: Alert) -> None:
        await audit(request, who(request), "alert.shown", {"alert": alert.id})
        data = msgspec.json.encode(tables.alert(alert))
        await send(b"event: alert\nid: %d\ndata: %s\n\n" % (alert.id, data))

    async def first(send: Send) -> None:
        nonlocal shown
        if shown is not None:  # where an older database was put back, its numbers go on from those that it holds
            shown = min(shown, await asyncio.to_thread(desk.last_alert))
        while shown is not None and (missed := await asyncio.to_thread(desk.alerts_after, shown, MISSED_AT_ONCE)):
            for alert in missed:
                await show(send, alert)
                shown = alert.id

    async def each(send: Send, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change.item, Alert) and change.item.id > (shown or 0):
                await show(send, change.item)

    return await stream(request, ["alerts"], first, each)


async def watchlist(request: web.Request) -> web.Response:
    """Entries in use, or all with `all=true`; the newest first."""
    context, query = request.app[CONTEXT], parse_query(request.query, WatchlistQuery)
    await audit(request, who(request), "watchlist.list", dict(request.query))
    now = context.now()
    found = await asyncio.to_thread(context.desk.watchlist.entries, None if query.all else now)
    return json([tables.entry(entry, now) for entry in found])


async def watch(request: web.Request) -> web.Response:
    """Look for a plate."""
    context, new = request.app[CONTEXT], parse_body(await request.read(), NewEntry)
    expires = parse_time(new.expires, "expires")
    assert expires is not None
    officer, now = new.officer or who(request).name, context.now()
    asked = {"pattern": new.pattern, "reason": new.reason, "officer": officer, "expires": new.expires}
    await audit(request, who(request), "watchlist.add", asked)
    entry = await asyncio.to_thread(
        context.desk.watchlist.add, pattern=new.pattern, reason=new.reason, officer=officer, expires=expires, now=now
    )
    return json(tables.entry(entry, now), status=201)


async def unwatch(request: web.Request) -> web.Response:
    """Look for a plate no longer."""
    context, text = request.app[CONTEXT], request.match_info["id"]
    await audit(request, who(request), "watchlist.remove", {"id": text})
    now = context.now()
    entry = await asyncio.to_thread(context.desk.watchlist.remove, int(text), now)
    if entry is None:
        raise Refusal(
            404,
            (f"Danh sách theo dõi không có mục {text} đang dùng.", f"The watchlist has no entry {text} in use."),
            ("Xem danh sách: GET /api/v1/watchlist.", "See the list: GET /api/v1/watchlist."),
        )
    return json(tables.entry(entry, now))
