"""Questions without a query language: `collector query`, `gaps`, `report`, answered by a running collector."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from collector.client import add_connection, ask, span_ms
from collector.errors import Failure
from collector.local_time import LOCAL, local, minute
from collector.state import now_ms
from collector.web.query import iso
from collector.web.wording import FLAGS
from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME

STATUS = {status.value: status.name.lower() for status in Status}
PERIODS = {"1m": "1min", "5m": "5min", "1h": "1h", "60m": "1h", "8h": "8h", "24h": "24h", "1d": "24h", "month": "month"}
"""Steps for which there are means with coverage; any other step gives plain means of what is there."""

OF_MEANS = {1: "enough data", 2: "no rule for coverage", 3: "too little data", 9: "no data"}
"""What a flag says of a mean."""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them; each sets `run`, which returns the exit status."""
    query = commands.add_parser("query", help="show the readings of a station")
    query.add_argument("station", help="such as air-01")
    query.add_argument("quantity", help="such as pm2_5")
    query.add_argument("--last", default="24h", metavar="SPAN", help="how far back: 15m, 24h, 7d (default 24h)")
    query.add_argument("--every", metavar="SPAN", help="means of 1m, 5m, 1h, 8h, 24h or month, with their coverage")
    form = query.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="as CSV with times in UTC")
    form.add_argument("--parquet", type=Path, metavar="FILE", help="into a Parquet file")
    form.add_argument("--plot", type=Path, metavar="FILE.png", help="as a picture with flags, limits and gaps")
    add_connection(query)
    query.set_defaults(run=_query)

    gaps = commands.add_parser("gaps", help="show where a station gave nothing")
    gaps.add_argument("station", help="such as air-03")
    gaps.add_argument("--last", default="7d", metavar="SPAN", help="how far back (default 7d)")
    add_connection(gaps)
    gaps.set_defaults(run=_gaps)

    report = commands.add_parser("report", help="pages to read, keep and print").add_subparsers(required=True)
    station = report.add_parser("station", help="a station's day: curves, limits, flags, coverage, index")
    station.add_argument("station", help="such as air-03")
    station.add_argument("--day", help="such as 2026-11-20 (default today)")
    station.add_argument("--out", type=Path, metavar="FILE.html", help="(default STATION-DAY.html)")
    add_connection(station)
    station.set_defaults(run=_report)


def _query(options: argparse.Namespace) -> int:
    asked = {"station": options.station, "quantity": options.quantity}
    asked["start"] = str(iso(now_ms() - span_ms(options.last)))
    if options.plot:
        return _write(options.plot, ask(options, "GET", "curve.png", query=asked))
    path = "readings"
    if options.every in PERIODS:
        path, asked["period"] = "averages", PERIODS[options.every]
    elif options.every:
        asked["every"] = options.every
    if options.csv:
        print(ask(options, "GET", path, query={**asked, "format": "csv"}).decode(), end="")
        return 0
    if options.parquet:
        return _write(options.parquet, ask(options, "GET", path, query={**asked, "format": "parquet"}))
    rows = msgspec.json.decode(ask(options, "GET", path, query=asked))["rows"]
    for row in rows:
        print(_line(options.quantity, row))
    if not rows:
        print(f"No readings of {options.quantity} at {options.station} in the last {options.last}.", file=sys.stderr)
    return 0


def _line(name: str, row: dict[str, Any]) -> str:
    quantity = BY_NAME[name]
    at = datetime.fromisoformat(row["at"]).astimezone(LOCAL)
    value = "–" if row["value"] is None else f"{row['value']:.{quantity.decimals}f} {quantity.unit}"
    flag = FLAGS.get(row["flag"], FLAGS[2])
    meaning = OF_MEANS.get(row["flag"], flag.en) if "coverage" in row else flag.en
    status = row.get("status", 0)
    why = f" ({STATUS.get(status, status)})" if status else ""
    count = f"  {row['n']} of {row['of']}" if "of" in row else ""
    if "coverage" in row:
        count = f"  {row['coverage']:.0f} %, {row['n']} of {row['due']}"
    return f"{at:%Y-%m-%d %H:%M:%S}  {value:>16}  {flag.sign} {meaning}{why}{count}"


def _gaps(options: argparse.Namespace) -> int:
    asked = {"station": options.station, "start": str(iso(now_ms() - span_ms(options.last)))}
    for gap in msgspec.json.decode(ask(options, "GET", "gaps", query=asked)):
        since, until = (minute(gap[end]) if gap[end] else "still" for end in ("since", "until"))
        print(f"{gap['quantity']:<24} {since} - {until}")
    return 0


def _report(options: argparse.Namespace) -> int:
    query = {"day": options.day} if options.day else {}
    html = ask(options, "GET", f"reports/{quote(options.station, '')}", query=query)
    day = options.day or f"{local(now_ms()):%Y-%m-%d}"
    return _write(options.out or Path(f"{options.station}-{day}.html"), html)


def _write(file: Path, content: bytes) -> int:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from error
    print(file)
    return 0
