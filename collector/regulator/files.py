r"""The files of Circular 10/2021, byte for byte; pure.

    AG_PQ01_KHI001_20261122083000.txt            province, facility, station, time on the island (UTC+7)
    PM2,5<TAB>28.6<TAB>ug/Nm3<TAB>20261122083000<TAB>00      symbol, value, unit, time, status

UTF-8 without a byte order mark, no header, a decimal point whatever the country.

* **Usable** are the values with flag 1 or 2 that an instrument gave while it was measuring, as in all averages. The
  value is their mean (or the last of them).
* **Status** is that of the instrument in the whole cycle: 02 if it was faulty at any time, else 01 if it was being
  calibrated at any time, else 00. One that was not only measuring and gave no usable value is shown with the mean of
  what it gave; the status says what that is worth.
* **Missing** is what has no value by these rules: the instrument gave none, or it claims to measure but all its values
  fail the quality tests. Then there is no line, or one without a value and with status 02 (`missing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from math import isfinite
from typing import NamedTuple

from collector.regulator.settings import Parameter, Server, Station
from collector.stores import ReadingRow
from edge_agent.contract.events import Status

_LOCAL = timedelta(hours=7)
"""Phú Quốc has no summer time."""
_LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}


class Outcome(NamedTuple):
    """What a cycle says of one quantity."""

    value: float | None
    """In the registered unit."""
    status: Status


class CycleFile(NamedTuple):
    """One station's file of one cycle."""

    station: str
    cycle: int
    """Beginning of the cycle, ms since 1970 in UTC."""
    name: str
    content: bytes


def outcome(quantity: str, rows: Sequence[ReadingRow], how: str) -> Outcome:
    """Value and status of a quantity from its samples of one cycle, in order of time; `how` is `mean` or `last`."""
    codes = {row.status for row in rows}
    status = Status.FAULT if codes - {0, 1} else Status.CALIBRATING if 1 in codes else Status.MEASURING
    given = [(row, row.value) for row in rows if row.value is not None and isfinite(row.value)]
    values = [value for row, value in given if row.flag in (1, 2) and row.status == 0]
    if not values:
        values = [value for row, value in given if row.status]
    if not values:
        return Outcome(None, status)
    return Outcome(values[-1] if how == "last" else sum(values) / len(values), status)


def stamp(server: Server, cycle: int, cycle_ms: int) -> datetime:
    """The time on the island that stands for a cycle which begins at `cycle` (ms UTC); without a zone."""
    ms = cycle + (cycle_ms if server.stamp == "end" else 0)
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None) + _LOCAL


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
