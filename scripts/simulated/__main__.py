"""Play the sensors of a device file, until Ctrl-C:

    python -m scripts.simulated firmware_configs/devices/sea-01.yaml

Prints where each line is; `edge-agent sensors scan` then finds what is wired there. A serial line answers only at
the baud rate that the file gives it.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from edge_agent.config import load
from edge_agent.config_commands import add_set_argument
from edge_agent.errors import ConfigError
from edge_agent.station.settings import StationSettings
from scripts.simulated import simulate


def main() -> int:
    """Play until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.simulated", description="Plays the sensors of a box.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the box's file")
    add_set_argument(parser)
    options = parser.parse_args()
    try:
        station = load(options.file, options.sets).station
    except ConfigError as error:
        parser.exit(78, f"{error}\n")
    if station is None:
        parser.exit(78, f"{options.file}: the box has no station\n")
    try:
        asyncio.run(_play(station))
    except KeyboardInterrupt:
        return 0
    return 0


async def _play(station: StationSettings) -> None:
    async with simulate(station) as places:
        for name, place in places.items():
            sensors = [key for key, sensor in station.sensors.items() if sensor.line == name]
            where = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
            print(f"{where}   {name}: {', '.join(sensors)}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    raise SystemExit(main())
