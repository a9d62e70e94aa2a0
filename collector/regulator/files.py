r"""The files of Circular 10/2021, byte for byte; pure.

    AG_PQ01_KHI001_20261122083000.txt            province, facility, station, time on the island (UTC+7)
    PM2,5<TAB>28.6<TAB>ug/Nm3<TAB>20261122083000<TAB>00      symbol, value, unit, time, status

UTF-8 without a byte order mark, no header, a decimal point whatever the country.

What is missing (see `cycles.py`) has no line, or one without a value and with status 02: a setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from collector.local_time import local
from collector.regulator.cycles import Outcome
from collector.regulator.settings import Parameter, Server, Station
from edge_agent.contract.events import Status

_LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}


class CycleFile(NamedTuple):
    """One station's file of one cycle."""

    station: str
    cycle: int
    """Beginning of the cycle, ms since 1970 in UTC."""
    name: str
    content: bytes


def stamp(server: Server, cycle: int, cycle_ms: int) -> datetime:
    """The time on the island that stands for a cycle which begins at `cycle` (ms UTC)."""
    ms = cycle + (cycle_ms if server.stamp == "end" else 0)
    return local(ms)


def name(server: Server, station: Station, at: datetime) -> str:
    """The file's name."""
    return f"{server.province}_{station.facility}_{station.code}_{_digits(at)}.txt"


def folder(server: Server, station: Station, at: datetime) -> str:
    """The folder that the file goes to, without a slash at the end."""
    day = {"yyyy": f"{at:%Y}", "MM": f"{at:%m}", "dd": f"{at:%d}"}
    codes = {"province": server.province, "facility": station.facility, "station": station.code}
    return server.folder.format(**codes, **day).rstrip("/")


def content(server: Server, station: Station, at: datetime, outcomes: Mapping[str, Outcome]) -> bytes:
    """The lines of one cycle; empty where there is nothing to say."""
    end = _LINE_ENDS[server.line_end]
    return "".join(line + end for line in _lines(server, station, at, outcomes)).encode()


def _lines(server: Server, station: Station, at: datetime, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    for quantity, parameter in station.parameters.items():
        found = outcomes.get(quantity, Outcome(None, Status.MEASURING))
        value, status = _number(found.value, parameter), found.status
        if found.value is None:
            if server.missing == "leave_out":
                continue
            status = Status.FAULT
        yield "\t".join((parameter.symbol, value, parameter.unit, _digits(at), f"{status:02d}"))


def _number(value: float | None, parameter: Parameter) -> str:
    if value is None:
        return ""
    exact = Decimal(f"{value * parameter.factor:.9f}")  # a half of the last place is one, not 0.4999...
    rounded = exact.quantize(Decimal(1).scaleb(-parameter.decimals), ROUND_HALF_UP)
    return f"{rounded or abs(rounded):f}"


def _digits(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}"
