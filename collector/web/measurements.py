"""The API of boxes and measured values: devices, readings, ledger, metrics, health."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web

from collector.notices import notices as silent
from collector.stores import Series
from collector.web import regulator, tables
from collector.web.access import Role
from collector.web.context import CONTEXT, Context, Refusal, json, who
from collector.web.metrics import labelled, reasoned, render
from collector.web.parquet import parquet_response
from collector.web.query import ReadingsQuery, iso, known, parse_query, parse_span, parse_span_of, station
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import BY_NAME

MAX_ROWS = 100_000


def concerns(role: Role, box: Box) -> bool:
    """Whether a role has to do with a box: police with cameras, environmental officers with stations."""
    if role == "police":
        return box.camera
    return box.medium is not None if role == "officer" else True


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process serves; nothing else is told without a token."""
    return web.Response(text="ok\n")


async def devices(request: web.Request) -> web.Response:
    """Every box that concerns the role, with its state and lateness."""
    context, role = request.app[CONTEXT], who(request).role
    return json([tables.device(state) for state in context.live.devices() if concerns(role, state.box)])


async def notices(request: web.Request) -> web.Response:
    """Which boxes say nothing; many of one site are one notice, and many sites too."""
    context, role = request.app[CONTEXT], who(request).role
    found = silent(state for state in context.live.devices() if concerns(role, state.box))
    return json([tables.notice(notice) for notice in found])


async def ledger(request: web.Request) -> web.Response:
    """Stored, lost and missing events by box and outbox; for how many days the box has room, and if only in memory."""
    context = request.app[CONTEXT]
    states = {state.box.device: state for state in context.live.devices()}
    accounts = await asyncio.to_thread(context.ledger.summary)
    return json([tables.account(account, states.get(account.device)) for account in accounts])


async def metrics(request: web.Request) -> web.Response:
    """Counters in Prometheus' text format.

    A token is needed also from this machine: behind a reverse proxy every caller seems to come from it.
    """
    values = await asyncio.to_thread(_metrics, request.app[CONTEXT])
    return web.Response(text=render(values), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _metrics(context: Context) -> dict[str, float]:
    boxes = context.live.devices()
    states = Counter({"online": 0, "late": 0, "offline": 0, "never": 0})
    states.update(state.state for state in boxes)
    values = {**context.counters, **labelled("devices", "state", sorted(states.items()))}
    values |= {f"events_{what}": count for what, count in context.ledger.totals().items()}
    for (kind, reason), n in context.ledger.lost_by().items():
        name = f'events_lost_by{{kind="{reasoned(kind)}",reason="{reasoned(reason)}"}}'
        values[name] = values.get(name, 0) + n
    left = ((box.box.device, box.days_left) for box in boxes if box.days_left is not None)
    values |= labelled("outbox_days_left", "device", left)
    values["boxes_running_short"] = sum(box.runs_short for box in boxes)
    if context.regulator is not None:
        values |= regulator.metrics(context.regulator, context.now())
    values["live_subscribers"] = context.live.subscribers
    values["live_subscribers_dropped_total"] = context.live.dropped_subscribers
    return values


async def readings(request: web.Request) -> web.Response:
    """Values of one quantity of one station: as measured, or with `every` the means of buckets."""
    context, query = request.app[CONTEXT], parse_query(request.query, ReadingsQuery)
    box = station(context, query.station)
    known(query.quantity, BY_NAME, ("thông số", "quantity"))
    start, stop = parse_span_of(query, context.now())
    every = None if query.every is None else parse_span(query.every)
    assert box.medium is not None
    series = Series(measurement=box.medium, station=box.device, quantity=query.quantity, start=start, stop=stop)
    rows = await asyncio.to_thread(context.store.readings, series, every, MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        raise Refusal(
            413,
            (f"Hơn {MAX_ROWS} dòng.", f"More than {MAX_ROWS} rows."),
            ("Chọn khoảng ngắn hơn, hoặc thêm every=1h.", "Ask for less time, or add every=1h."),
        )
    quantity = BY_NAME[query.quantity]
    names = ("value", "flag", "status", *(() if every is None else ("n", "of")))
    table = [(iso(row.at), *(getattr(row, name) for name in names)) for row in rows]
    if query.format != "json":
        # a file is passed on without its name and question, so each line says its unit
        columns, lines = ("at", "unit", *names), [(at, quantity.unit, *rest) for at, *rest in table]
        write = tables.csv_response if query.format == "csv" else parquet_response
        return await asyncio.to_thread(write, f"{query.station}-{query.quantity}", columns, lines)
    return json(
        {
            "station": query.station,
            "quantity": query.quantity,
            "unit": quantity.unit,
            "start": iso(start),
            "stop": iso(stop),
            "every": query.every,
            "rows": [dict(zip(("at", *names), row, strict=True)) for row in table],
        }
    )
