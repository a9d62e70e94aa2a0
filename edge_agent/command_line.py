"""The command line `edge-agent`, but for the agent itself, whose process loads nothing of this (`__main__.py`)."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edge_agent import __version__, calibration_commands, config_commands, outbox_commands, sensor_commands
from edge_agent.camera import read_plates
from edge_agent.config import DeviceConfig, load
from edge_agent.contract import logs
from edge_agent.errors import EXIT_CONFIG, EXIT_INTERRUPTED, ConfigError, ModelError


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the arguments; their `run` does what they ask. Raises SystemExit where they are wrong, or ask for help."""
    parser = argparse.ArgumentParser(prog="edge-agent", description="Reads plates and sensors on the spot.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the agent of one box")
    run.add_argument("file", type=Path, metavar="FILE", help="the box's file, such as devices/air-01.yaml")
    config_commands.add_set_argument(run)
    logs.add_argument(run)

    check = commands.add_parser("check", help="name every mistake in device files")
    config_commands.add_check_arguments(check)
    check.set_defaults(run=config_commands.run_check)

    show = commands.add_parser("show", help="print the merged configuration of one box")
    config_commands.add_show_arguments(show)
    show.set_defaults(run=config_commands.run_show)

    sensors = commands.add_parser("sensors", help="find, read and record the sensors on a line")
    sensor_commands.add_arguments(sensors)
    sensors.set_defaults(run=sensor_commands.run)

    outbox = commands.add_parser("outbox", help="look into a box's outbox")
    outbox_commands.add_arguments(outbox)
    outbox.set_defaults(run=outbox_commands.run)

    calibrate = commands.add_parser("calibrate", help="say that a sensor is under calibration, or no more")
    calibration_commands.add_arguments(calibrate)
    calibrate.set_defaults(run=calibration_commands.run)

    plates = commands.add_parser("read-plates", help="read the plates in photos and videos")
    read_plates.add_arguments(plates)
    plates.set_defaults(run=read_plates.run)

    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Carry out one command, but not `run`; returns the exit status."""
    options = parse(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # as `| head` ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status


def read_box(arguments: list[str]) -> tuple[DeviceConfig, str]:
    """The configuration that `run` is given, and the form of its log. Raises ConfigError and SystemExit."""
    options = parse(arguments)
    return load(options.file, options.sets), options.log
