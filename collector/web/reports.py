"""The API of means, indices, curves and reports: what officers take away with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from collector.averages.ask import AqiRow, AverageRow
from collector.local_time import local_day
from collector.web import tables
from collector.web.context import CONTEXT, Context, Refusal, json
from collector.web.page import TEMPLATES
from collector.web.parquet import parquet_response
from collector.web.query import (
    DAY_MS,
    AqiQuery,
    AveragesQuery,
    CurveQuery,
    DayQuery,
    GapsQuery,
    iso,
    known,
    parse_day,
    parse_query,
    parse_span_of,
    station,
)
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import BY_NAME

MOST_DAYS = {"1min": 8, "5min": 40}
"""Means of minutes are made when they are asked for."""
MOST_DAYS_OF_GAPS, MOST_DAYS_OF_A_CURVE = 100, 366
"""Of these every sample is looked at."""
_INLINE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


async def averages(request: web.Request) -> web.Response:
    """Means of one quantity over one kind of period, each with its coverage, flag and rule."""
    context, query = request.app[CONTEXT], parse_query(request.query, AveragesQuery)
    box = station(context, query.station)
    known(query.quantity, BY_NAME, ("thông số", "quantity"))
    start, stop = parse_span_of(query, context.now())
    if query.period in MOST_DAYS:
        _at_most(MOST_DAYS[query.period], start, stop, or_else="period=1h")
    rows = await asyncio.to_thread(context.averages.ask, box.device, query.quantity, query.period, start, stop)
    unit = BY_NAME[query.quantity].unit
    if query.format != "json":
        columns = ("at", "unit", "value", "flag", "coverage", "n", "due", "rule")
        lines = [(iso(row.at), unit, *(getattr(row, name) for name in columns[2:])) for row in rows]
        write = tables.csv_response if query.format == "csv" else parquet_response
        return await asyncio.to_thread(write, f"{query.station}-{query.quantity}-{query.period}", columns, lines)
    asked = {"station": query.station, "quantity": query.quantity, "unit": unit, "period": query.period}
    return json({**asked, "start": iso(start), "stop": iso(stop), "rows": _rows(rows)})


async def aqi(request: web.Request) -> web.Response:
    """Air quality indices of hours or days, with their parts."""
    context, query = request.app[CONTEXT], parse_query(request.query, AqiQuery)
    box = station(context, query.station)
    start, stop = parse_span_of(query, context.now())
    rows = await asyncio.to_thread(context.averages.aqi, box.device, start, stop, query.period)
    if query.format == "csv":
        columns = ("at", "aqi", "dominant", "category")
        lines = ((iso(row.at), row.aqi, row.dominant, row.category.name) for row in rows)
        return tables.csv_response(f"{query.station}-aqi-{query.period}", columns, lines)
    return json({"station": query.station, "period": query.period, "rows": _rows(rows)})


async def gaps(request: web.Request) -> web.Response:
    """Where no value of a quantity came for longer than it may; as the samples are stored now, late ones too."""
    context, query = request.app[CONTEXT], parse_query(request.query, GapsQuery)
    box = station(context, query.station)
    start, stop = parse_span_of(query, context.now())
    _at_most(MOST_DAYS_OF_GAPS, start, stop)
    found = await asyncio.to_thread(context.reports.gaps, box, start, stop)
    return json([{"quantity": gap.quantity, "since": iso(gap.since), "until": iso(gap.until)} for gap in found])


async def curve(request: web.Request) -> web.Response:
    """A picture (PNG) of one quantity with flags, hourly means, limits and gaps."""
    context, query = request.app[CONTEXT], parse_query(request.query, CurveQuery)
    box = station(context, query.station)
    known(query.quantity, BY_NAME, ("thông số", "quantity"))
    start, stop = parse_span_of(query, context.now())
    _at_most(MOST_DAYS_OF_A_CURVE, start, stop)
    found = await asyncio.to_thread(context.reports.curve, box, query.quantity, start, stop)
    if found is None:
        raise Refusal(
            404,
            ("Không có số liệu trong khoảng này.", "Nothing is stored in this span."),
            ("Chọn khoảng khác.", "Ask for another span."),
        )
    from collector.reports.curves import draw  # matplotlib is loaded when the first picture is asked for

    picture = await asyncio.to_thread(draw, found, "png", width=11.0, height=4.5)
    return web.Response(body=picture, content_type="image/png")


async def day(request: web.Request) -> web.Response:
    """A station's local day on one page, to read, keep or print."""
    context = request.app[CONTEXT]
    box = station(context, request.match_info["station"])
    query = parse_query(request.query, DayQuery)
    wanted = local_day(context.now()) if query.day is None else parse_day(query.day)
    html = await asyncio.to_thread(_page, context, box, wanted)
    return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": _INLINE})


def _page(context: Context, box: Box, wanted: Any) -> str:
    from collector.reports.curves import draw

    found = context.reports.day(box, wanted)
    pictures = []
    for each in found.curves:
        svg = draw(each, "svg").decode()
        pictures.append(svg[svg.index("<svg") :])
    rule = next((row.rule for row in found.means.values()), "")
    template = TEMPLATES.get_template("report.html")
    return template.render(day=found, pictures=pictures, rule=rule, now=context.now())


def _at_most(days: int, start: int, stop: int, or_else: str = "") -> None:
    if stop - start > days * DAY_MS:
        vi, en = (f", hoặc {or_else}", f", or {or_else}") if or_else else ("", "")
        raise Refusal(
            413,
            (f"Mỗi lần chỉ hỏi được {days} ngày.", f"At most {days} days can be asked for at once."),
            (f"Chọn khoảng ngắn hơn{vi}.", f"Ask for less time{en}."),
        )


def _rows(rows: Sequence[AverageRow | AqiRow]) -> list[dict[str, Any]]:
    extra = [{"category": row.category.name} if isinstance(row, AqiRow) else {} for row in rows]
    return [{**msgspec.structs.asdict(row), **more, "at": iso(row.at)} for row, more in zip(rows, extra, strict=True)]
