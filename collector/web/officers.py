"""The API of the environmental officers beyond single readings: limits and when they were broken."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from collector.local_time import local_day
from collector.standards.exceedances import Exceedance
from collector.standards.table import Limit
from collector.web.context import CONTEXT, Context, json
from collector.web.query import ExceedancesQuery, LimitsQuery, iso, parse_day, parse_query, parse_time, station
from edge_agent.contract.quantities import BY_NAME

MONTH_MS = 31 * 86_400_000


async def limits(request: web.Request) -> web.Response:
    """The limits that hold for a station on a local day."""
    context, query = request.app[CONTEXT], parse_query(request.query, LimitsQuery)
    station(context, query.station)
    day = local_day(context.now()) if query.day is None else parse_day(query.day)
    return json([_limit(each) for each in context.standards.of(query.station, day)])


async def exceedances(request: web.Request) -> web.Response:
    """When limits were broken, the newest first, each with the evidence that it rests on."""
    context, query = request.app[CONTEXT], parse_query(request.query, ExceedancesQuery)
    stations = None
    if query.station is not None:
        station(context, query.station)
        stations = [query.station]
    stop = parse_time(query.stop, "stop") or context.now() + 1
    start = parse_time(query.start, "start")
    start = stop - MONTH_MS if start is None else start
    found = await asyncio.to_thread(context.exceedances.events, start, stop, stations=stations, open_only=query.open)
    return json([_event(context, each) for each in found])


def _limit(limit: Limit) -> dict[str, Any]:
    return {**msgspec.structs.asdict(limit), "unit": BY_NAME[limit.quantity].unit}


def _event(context: Context, event: Exceedance) -> dict[str, Any]:
    times = ("at", "first", "last", "worst_at")
    return {
        "station": event.station,
        "limit": _limit(event.limit),
        "alarms": event.limit.certainty in context.alarm_on,
        "opened": iso(event.opened),
        "closed": iso(event.closed),
        "worst": event.worst,
        "worst_at": iso(event.worst_at),
        "evidence": [
            {**msgspec.structs.asdict(row), **{name: iso(getattr(row, name)) for name in times}}
            for row in event.evidence
        ],
    }
