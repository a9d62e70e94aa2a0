"""`edge-agent calibrate`: a technician at the box says which sensor is under calibration, and for how long."""

from __future__ import annotations

import getpass
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from edge_agent.calibration import CalibrationError, Calibrations, local
from edge_agent.clock import now_ms
from edge_agent.config import load
from edge_agent.config_commands import add_set_argument
from edge_agent.contract.events import MAX_CALIBRATION_S, Calibrate
from edge_agent.health import Health

UNIT_S = {"m": 60, "h": 3600}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what `edge-agent calibrate` takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the box's file, such as devices/water-01.yaml")
    parser.add_argument("sensor", nargs="?", metavar="SENSOR", help="a name under station.sensors; left out: list")
    parser.add_argument("action", nargs="?", choices=("start", "end"), help="begin or prolong it, or end it")
    parser.add_argument(
        "--for", type=span_s, default="2h", dest="seconds", metavar="SPAN", help="such as 30m (default 2h, at most 24h)"
    )
    add_set_argument(parser)


def span_s(text: str) -> int:
    """`30m` or `2h` in seconds. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,4})([mh])", text)
    seconds = int(match[1]) * UNIT_S[match[2]] if match else 0
    if not 0 < seconds <= MAX_CALIBRATION_S:
        raise ArgumentTypeError(f"{text!r}: write it like 30m or 2h, at most 24h · viết như 30m hoặc 2h, tối đa 24h")
    return seconds


def run(options: Namespace) -> int:
    """Begin, end or list calibrations; 1 where that cannot be."""
    config = load(options.file, options.sets)
    sensors = tuple(config.station.sensors) if config.station else ()
    calibrations = Calibrations(Path(config.state), sensors, Health())
    if options.action is None:
        if options.sensor is not None:
            print(f"{options.sensor}: start (bắt đầu) hay / or end (kết thúc)?", file=sys.stderr)
            return 1
        _list(calibrations)
        return 0
    order = Calibrate(sensor=options.sensor, seconds=options.seconds if options.action == "start" else 0)
    try:
        vi, en = calibrations.obey(order, _user(), now_ms())
    except CalibrationError as error:
        print(f"{error.vi}\n{error.en}", file=sys.stderr)
        return 1
    print(f"{vi}\n{en}")
    return 0


def _list(calibrations: Calibrations) -> None:
    under_way = calibrations.under_way(now_ms())
    for each in under_way:
        print(f"{each.sensor}  {local(each.since)} – {local(each.until)}  {each.by}")
    if not under_way:
        print("Không có cảm biến nào đang hiệu chuẩn. / No sensor is under calibration.")
    for line in calibrations.record[-10:]:
        until = f" – {local(line.until)}" if line.until else ""
        print(f"  {local(line.at)}  {line.sensor} {line.action}{until}  {line.by}")


def _user() -> str:
    """Who sits at the box; behind `sudo`, whoever called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except KeyError:  # a number without a name
        return f"user {os.getuid()}"
