"""`edge-agent sensors scan|read|capture`: what is wired here, what it says, and its bytes for a new driver."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from edge_agent.config import load
from edge_agent.config_commands import add_set_argument
from edge_agent.contract.device import Medium
from edge_agent.errors import EXIT_INTERRUPTED, ConfigError, LineError
from edge_agent.station import sensor_report
from edge_agent.station.scan_progress import progress
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import Baud, Line, SerialLine, StationSettings, TcpLine, driver_structs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three commands."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    scan = commands.add_parser("scan", help="find what answers on a line, and print the YAML that reads it")
    scan.add_argument("place", metavar="PORT", help="/dev/ttyUSB0 or the like; host:port for Modbus TCP")
    tags = [str(driver.__struct_config__.tag) for driver in driver_structs()]
    scan.add_argument("--driver", nargs="+", choices=tags, metavar="NAME", help=f"only these of {', '.join(tags)}")
    scan.add_argument(
        "--baud", nargs="+", type=int, default=[], choices=get_args(Baud), metavar="BAUD", help="only these"
    )
    scan.add_argument("--addresses", type=_addresses, help="Modbus addresses, such as 1-20,100 (default 1-20)")
    scan.add_argument(
        "--timeout", type=_seconds, default=0.3, help="seconds that an instrument may take to answer (default 0.3)"
    )
    scan.add_argument("--medium", choices=get_args(Medium), help="what the station measures, for the YAML")
    scan.set_defaults(run_sensors=_scan)

    read = commands.add_parser("read", help="poll the sensors of a device file once and show every byte")
    read.add_argument("file", type=Path, metavar="FILE", help="the box's file, such as devices/air-01.yaml")
    read.add_argument("--sensor", action="append", metavar="NAME", help="only this one; may be given several times")
    add_set_argument(read)
    read.set_defaults(run_sensors=_read)

    capture = commands.add_parser("capture", help="write what a sensor says to a golden file for tests")
    capture.add_argument("file", type=Path, metavar="FILE", help="the box's file")
    capture.add_argument("--sensor", required=True, metavar="NAME", help="which sensor")
    capture.add_argument("out", type=Path, metavar="OUT", help="file to write")
    add_set_argument(capture)
    capture.set_defaults(run_sensors=_capture)


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; 0 where everything answers as it should."""
    return int(options.run_sensors(options))


# --- scan ---


def _scan(options: argparse.Namespace) -> int:
    from edge_agent.station.found import station_yaml
    from edge_agent.station.scan import Scan

    drivers = [d for d in driver_structs() if not options.driver or d.__struct_config__.tag in options.driver]
    line = _line(options.place)
    usual = [*range(1, 21), 255, 0] if isinstance(line, TcpLine) else range(1, 21)  # 255 and 0: the device itself
    with progress() as bar:
        scan = Scan(
            line, drivers, bauds=options.baud, addresses=options.addresses or usual, timeout_s=options.timeout,
            told=lambda found: bar.say(f"found {found.name}: {sensor_report.where(found)}"),
        )  # fmt: skip
        if not scan.steps:
            raise ConfigError("nothing to try: none of these drivers is met at these speeds on such a line")
        bar.say(
            f"{options.place}: at most {scan.seconds:.0f} s if nothing answers, and {scan.seconds_each:.0f} s for each "
            f"find; Ctrl-C shows what was found so far · tối đa {scan.seconds:.0f} giây; Ctrl-C để dừng và xem kết quả"
        )
        status, trouble = 0, ""
        try:
            asyncio.run(scan.run(bar.begin(scan.steps)))
        except LineError as error:
            trouble = str(error)
        except KeyboardInterrupt:
            status = EXIT_INTERRUPTED
    for text in sensor_report.of_scan(scan, options.place):
        print(f"# {text}" if text else "")
    print(station_yaml(scan.found, options.medium), end="")
    sys.stdout.flush()
    if trouble:
        print(trouble, file=sys.stderr)
    elif not scan.found and not status:
        print(sensor_report.NOTHING.format(place=options.place), file=sys.stderr)
    return status or int(not scan.found or bool(trouble))


def _line(place: str) -> Line:
    host, colon, port = place.rpartition(":")
    if colon and "/" not in place and port.isascii() and port.isdigit() and 0 < int(port) < 65_536 and host:
        return TcpLine(host=host.strip("[]"), port=int(port))
    return SerialLine(port=place)


# --- read and capture ---


def _read(options: argparse.Namespace) -> int:
    from edge_agent.station.reading import read

    station = _station(options.file, options.sets)
    failed = []
    for name in options.sensor or station.sensors:
        sensor = _sensor(station, name)
        line = station.lines[sensor.line]
        if sensor.wakes:
            print(f"{name}: wakes it and waits {sensor.warm_up_s} s · đang đánh thức cảm biến", file=sys.stderr)
        reading = asyncio.run(read(line, sensor))
        print(f"{name}   {sensor.__struct_config__.tag} on {sensor.line} ({_named(line)}), {reading.seconds:.2f} s")
        for text in sensor_report.of_reading(reading):
            print(f"  {text}")
        if reading.failed:
            failed.append(name)
    if failed:
        print(f"not as it should be · có vấn đề: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _capture(options: argparse.Namespace) -> int:
    from edge_agent.station.reading import read
    from edge_agent.station.transcript import golden, replay

    sensor = _sensor(station := _station(options.file, options.sets), options.sensor)
    if options.out.exists():
        raise ConfigError(f"{options.out}: exists already; name another file, nothing is written over")
    reading = asyncio.run(read(station.lines[sensor.line], sensor))
    if reading.answer is None:
        print(f"{options.sensor}: {reading.error}", file=sys.stderr)
        return 1
    if replay(sensor.poll(reading.kind), reading.transcript.heard) != reading.answer:
        print(f"{options.sensor}: the same bytes do not mean the same again; try once more", file=sys.stderr)
        return 1
    origin = (
        f"{sensor.__struct_config__.tag}: what an instrument said on {datetime.now(UTC):%Y-%m-%d}, captured by\n"
        "`edge-agent sensors capture`. Write here: maker, model, serial number, firmware, what it stood in."
    )
    try:
        options.out.write_text(golden(origin, sensor, reading.kind, reading.transcript, reading.answer))
    except OSError as error:
        print(f"{options.out}: {error.strerror}; name another file", file=sys.stderr)
        return 1
    for text in sensor_report.of_reading(reading):
        print(f"  {text}")
    print(f"written to {options.out}")
    return 0


# --- what they have in common ---


def _station(file: Path, sets: Iterable[str]) -> StationSettings:
    station = load(file, sets).station
    if station is None:
        raise ConfigError(f"{file}: the box has no station; name a file with `station:`")
    return station


def _sensor(station: StationSettings, name: str) -> Sensor:
    if name not in station.sensors:
        raise ConfigError(f"no sensor is called {name}; the sensors are: {', '.join(station.sensors)}")
    return station.sensors[name]


def _named(line: Line) -> str:
    return f"{line.port} {line.baud} {line.format}" if isinstance(line, SerialLine) else f"{line.host}:{line.port}"


def _addresses(text: str) -> list[int]:
    """Addresses from text such as `1-20,100`."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not match or not 0 <= first <= last <= 255:
            raise argparse.ArgumentTypeError(f"{part!r} is no address nor range; 0 to 255, such as 1-20,100")
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def _seconds(text: str) -> float:
    """Seconds from 0.01 to 10."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.01 <= seconds <= 10:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds from 0.01 to 10")
    return seconds
