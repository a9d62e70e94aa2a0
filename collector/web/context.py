"""What the web part is given by the rest of the collector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from collector.alerts.desk import PlateDesk
from collector.averages.ask import Averages
from collector.commands import Commands
from collector.ledger_account import Account
from collector.live import Live
from collector.regulator.job import Regulator
from collector.reports.day import Reports
from collector.standards.exceedances import Exceedances
from collector.standards.table import Standards
from collector.stores import LatestRow, ReadingRow, Series
from collector.web.access import Access, Who
from edge_agent.contract.device import Box
from edge_agent.contract.legal import Certainty


class ReadingsStore(Protocol):
    """The part of a store that the web part reads; blocks and may raise StoreError."""

    def readings(self, series: Series, every_ms: int | None = None, limit: int = 100_000) -> list[ReadingRow]:
        """Samples, or buckets of `every_ms`, in order of time; the first `limit` of them."""

    def latest(self, since: int) -> list[LatestRow]:
        """The last sample of every quantity of every station, not older than `since` (ms)."""


class LedgerSummary(Protocol):
    """The part of the ledger that the web part reads; blocks."""

    def summary(self) -> list[Account]:
        """Every outbox, by device."""

    def totals(self) -> dict[str, int]:
        """How many events are stored, lost and missing, of all boxes together."""

    def lost_by(self) -> dict[tuple[str, str], int]:
        """How many events of all boxes together are lost, by kind and reason."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that handlers use."""

    fleet: Mapping[str, Box]
    live: Live
    store: ReadingsStore
    desk: PlateDesk
    access: Access
    ledger: LedgerSummary
    averages: Averages
    reports: Reports
    standards: Standards
    exceedances: Exceedances
    alarm_on: tuple[Certainty, ...]
    """How sure a limit must be to alarm."""
    commands: Commands
    counters: Mapping[str, int]
    """What was counted since the start, by name; `packs_total{kind="plates"}` is that of one kind."""
    regulator: Regulator | None = None
    """None where no files are sent."""
    now: Callable[[], int]
    """Milliseconds UTC."""


CONTEXT = web.AppKey("context", Context)
WHO = web.RequestKey("who", Who)
"""Where the guard puts who asks."""


def who(request: web.Request) -> Who:
    """Who asks; only behind the guard."""
    return request[WHO]


class Refusal(Exception):
    """An answer that says no, why, and what to do; each text in Vietnamese and English."""

    def __init__(self, status: int, error: tuple[str, str], todo: tuple[str, str]) -> None:
        super().__init__(error[1])
        self.status = status
        self.error = error
        self.todo = todo

    def response(self) -> web.Response:
        """The refusal as JSON."""
        body = {"error": _tongues(self.error), "what_to_do": _tongues(self.todo)}
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "5"}}.get(self.status)
        return web.json_response(body=msgspec.json.encode(body), status=self.status, headers=headers)


def _tongues(text: tuple[str, str]) -> dict[str, str]:
    return {"vi": text[0], "en": text[1]}


def json(value: Any, status: int = 200) -> web.Response:
    """A JSON answer of structs and plain values."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
