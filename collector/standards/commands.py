"""Commands about limits, answered by a running collector: `collector limits` and `collector exceedances`."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from collector.client import add_connection, ask, span_ms
from collector.local_time import minute
from collector.state import now_ms
from collector.web.query import iso


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both; each sets `run`, which returns the exit status."""
    limits = commands.add_parser("limits", help="show the limits that hold for a station")
    limits.add_argument("station", help="such as air-01")
    limits.add_argument("--day", help="such as 2026-01-31 (default today)")
    add_connection(limits)
    limits.set_defaults(run=_limits)

    exceedances = commands.add_parser("exceedances", help="show when limits were broken, with the evidence")
    exceedances.add_argument("station", nargs="?", help="such as waste-01 (default all)")
    exceedances.add_argument("--last", default="30d", metavar="SPAN", help="how far back (default 30d)")
    exceedances.add_argument("--open", action="store_true", help="only those that go on")
    exceedances.add_argument("--evidence", action="store_true", help="every period behind them")
    add_connection(exceedances)
    exceedances.set_defaults(run=_exceedances)


def _limits(options: argparse.Namespace) -> int:
    query = {"station": options.station} | ({"day": options.day} if options.day else {})
    for limit in msgspec.json.decode(ask(options, "GET", "limits", query=query)):
        until = f" to {limit['until']}" if limit["until"] else ""
        print(
            f"{limit['quantity']:<20} {limit['averaging']:>6}  {_bounds(limit):<18} {limit['certainty']:<10} "
            f"{limit['source']} (from {limit['since']}{until}) {limit['note']}".rstrip()
        )
    return 0


def _exceedances(options: argparse.Namespace) -> int:
    query = {"start": str(iso(now_ms() - span_ms(options.last)))}
    if options.station:
        query["station"] = options.station
    if options.open:
        query["open"] = "true"
    for event in msgspec.json.decode(ask(options, "GET", "exceedances", query=query)):
        limit = event["limit"]
        closed = minute(event["closed"]) if event["closed"] else "goes on"
        print(
            f"{event['station']:<10} {limit['quantity']:<18} {minute(event['opened'])} - {closed:<16}  worst "
            f"{event['worst']:g} {limit['unit']}; {limit['averaging']} {_bounds(limit)}, {limit['source']}, "
            f"{limit['certainty']}{'' if event['alarms'] else ': no alarm'}"
        )
        for row in event["evidence"] if options.evidence else ():
            covered = "" if row["coverage"] is None else f", coverage {row['coverage']:.0f} %"
            print(f"    {minute(row['at'])}  {row['worst']:g}, {row['beyond']} of {row['of']} values{covered}")
    return 0


def _bounds(limit: dict[str, Any]) -> str:
    low, high, unit = limit["low"], limit["high"], limit["unit"]
    if low is not None and high is not None:
        return f"{low:g} to {high:g} {unit}"
    return f"<= {high:g} {unit}" if high is not None else f">= {low:g} {unit}"
