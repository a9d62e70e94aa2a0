"""The API of the regulator's files: how each station stands."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from collector.regulator.job import Regulator
from collector.regulator.spool import Account
from collector.web.context import CONTEXT, json
from collector.web.metrics import labelled
from collector.web.query import iso


async def regulator(request: web.Request) -> web.Response:
    """Every station that sends, by name; none where nothing is set."""
    context = request.app[CONTEXT]
    if context.regulator is None:
        return json([])
    accounts, now = await asyncio.to_thread(context.regulator.accounts), context.now()
    return json([_standing(context.regulator, account, now) for account in accounts])


def _standing(regulator: Regulator, account: Account, now: int) -> dict[str, Any]:
    station = regulator.settings.stations[account.station]
    return {
        "station": account.station,
        "code": station.code,
        "server": station.server,
        "since": iso(account.since),
        "last_sent": iso(account.sent),
        "last_sent_cycle": iso(account.sent_cycle),
        "waiting": account.waiting,
        "oldest_waiting": iso(account.oldest),
        "last_error": account.error,
        "error_since": iso(account.error_since),
        "notify_department": regulator.overdue(account, now),
    }


def metrics(regulator: Regulator, now: int) -> dict[str, float]:
    """Gauges by station. Blocks."""
    accounts = regulator.accounts()
    return {
        **labelled("regulator_files_waiting", "station", ((a.station, a.waiting) for a in accounts)),
        **labelled("regulator_silent_seconds", "station", ((a.station, a.silent_ms(now) // 1000) for a in accounts)),
    }
