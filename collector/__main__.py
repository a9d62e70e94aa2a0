"""The command line `collector`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from collector import app, client, tap
from collector.credentials import ACCESS_LIST, enrol
from collector.errors import Failure
from collector.settings import SettingsError, load
from collector.state import COLLECTOR, fleet, password_file
from collector.stores import StoreError

EXIT_CONFIG = 78


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="collector", description="Takes in, judges, stores and warns.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the collector")
    run.add_argument("settings", type=Path, help="the collector's settings, such as firmware_configs/collector.yaml")
    run.set_defaults(run=_run)

    enrolment = commands.add_parser("enrol", help="give a box its MQTT password, printed once")
    enrolment.add_argument("settings", type=Path)
    enrolment.add_argument("device", help="a box of the fleet, or `collector` for a broker of its own")
    enrolment.set_defaults(run=_enrol)

    access = commands.add_parser("access-list", help="print Mosquitto's access list")
    access.set_defaults(run=lambda _options: print(ACCESS_LIST, end="") or 0)

    tapping = commands.add_parser("tap", help="show what boxes send, as JSON lines")
    tap.add_tap_arguments(tapping)
    tapping.set_defaults(run=tap.run_tap)

    decode = commands.add_parser("decode", help="show a captured payload as JSON lines")
    tap.add_decode_arguments(decode)
    decode.set_defaults(run=tap.run_decode)

    client.add_commands(commands)

    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (Failure, StoreError) as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    asyncio.run(app.run(load(options.settings)))
    return 0


def _enrol(options: argparse.Namespace) -> int:
    settings = load(options.settings)
    if options.device not in {*fleet(settings), COLLECTOR}:
        raise SettingsError(f"{options.device} is not a box of {settings.fleet}")
    print(enrol(password_file(settings), options.device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
