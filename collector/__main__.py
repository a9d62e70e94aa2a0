"""The command line `collector`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from collector import app, certificate_commands, client, tap
from collector.credentials import access_list, enrol
from collector.errors import Failure
from collector.provisioning import commands as provisioning
from collector.regulator import commands as regulator_commands
from collector.reports import commands as reports
from collector.settings import SettingsError, listed, load, read
from collector.standards import commands as standards_commands
from collector.standards.table import read_limits, zone_mistakes
from collector.state import fleet, password_file
from collector.stores import StoreError, copy_command
from edge_agent.contract import logs
from edge_agent.contract.device import COLLECTOR, is_collector
from edge_agent.contract.fleet import read_fleet
from edge_agent.contract.nearest import meant

EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="collector", description="Takes in, judges, stores and warns.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the collector")
    run.add_argument("settings", type=Path, help="the collector's settings, such as firmware_configs/collector.yaml")
    logs.add_argument(run)
    run.set_defaults(run=_run)

    check = commands.add_parser("check", help="name every mistake in the settings, then in the fleet's files")
    check.add_argument("settings", type=Path, help="the collector's settings")
    check.set_defaults(run=_check)

    enrolment = commands.add_parser("enrol", help="give a box its MQTT password, printed once")
    enrolment.add_argument("settings", type=Path)
    enrolment.add_argument("device", help="a box of the fleet, or `collector` for a broker of its own")
    enrolment.set_defaults(run=_enrol)

    access = commands.add_parser("access-list", help="print Mosquitto's access list")
    access.add_argument("name", nargs="*", default=[COLLECTOR], help="collectors (default: collector)")
    access.set_defaults(run=_access_list)

    tapping = commands.add_parser("tap", help="show what boxes send, as JSON lines")
    tap.add_tap_arguments(tapping)
    tapping.set_defaults(run=tap.run_tap)

    decode = commands.add_parser("decode", help="show a captured payload as JSON lines")
    tap.add_decode_arguments(decode)
    decode.set_defaults(run=tap.run_decode)

    certificate_commands.add_commands(commands)
    client.add_commands(commands)
    regulator_commands.add_commands(commands)
    reports.add_commands(commands)
    standards_commands.add_commands(commands)
    copy_command.add_commands(commands)
    provisioning.add_commands(commands)

    options = parser.parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (Failure, StoreError) as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # as `| head` ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def _run(options: argparse.Namespace) -> int:
    logs.begin(options.log)
    asyncio.run(app.run(load(options.settings)))
    return 0


def _check(options: argparse.Namespace) -> int:
    """Look at the files alone; what `run` needs besides (ports, password files, stores) is seen when it starts."""
    settings, mistakes = read(options.settings)
    if settings is not None:
        folder = Path(settings.fleet)
        boxes, more = read_fleet(folder)
        rows, wrong = read_limits(folder)
        mistakes += more + wrong + zone_mistakes(folder, rows, boxes.values())
    if mistakes:
        raise SettingsError(listed(mistakes))
    print("no mistakes")
    return 0


def _access_list(options: argparse.Namespace) -> int:
    for name in options.name:
        if not is_collector(name):
            raise Failure(
                f"{name} may be a box's name\n  call collectors {COLLECTOR}, {COLLECTOR}-2, {COLLECTOR}-3 ..."
            )
    print(access_list(options.name), end="")
    return 0


def _enrol(options: argparse.Namespace) -> int:
    settings = load(options.settings)
    boxes = fleet(settings)
    if options.device not in {*boxes, COLLECTOR}:
        hint = meant(options.device, boxes)
        raise SettingsError(f"{options.device} is not a box of {settings.fleet}\n  {hint}")
    print(enrol(password_file(settings), options.device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
