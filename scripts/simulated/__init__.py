"""Sensors that speak their own protocols on pseudo-terminals and loopback ports, for the demo and the tests.

    async with simulate(settings) as lines:     # {"dust": "/tmp/.../dust", "plc": ("127.0.0.1", 40613)}

starts what a station's settings name and gives where each line is to be found; the station then reads it as if it were
real. Values move like a day on the island (`day.py`); they are invented.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from edge_agent.clock import Now, now_ms
from edge_agent.station.drivers.atlas_ezo import AtlasEzo
from edge_agent.station.drivers.nmea_weather import NmeaWeather
from edge_agent.station.drivers.pms5003 import Pms5003
from edge_agent.station.drivers.sdi12 import Sdi12
from edge_agent.station.drivers.sds011 import Sds011
from edge_agent.station.drivers.sps30 import Sps30
from edge_agent.station.drivers.wxt530 import Wxt530
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import StationSettings, TcpLine, stored_as
from scripts.simulated import modbus
from scripts.simulated.day import Day
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sdi12 import Sdi12Instrument
from scripts.simulated.sensors import AtlasScientificEzo, Measure, NovaSds011, PlantowerPms5003, SensirionSps30
from scripts.simulated.weather import NmeaStation, VaisalaWxt530

Place = str | tuple[str, int]
"""Path of a serial port, or host and port."""


@asynccontextmanager
async def simulate(settings: StationSettings, *, seed: str = "", now: Now = now_ms) -> AsyncIterator[dict[str, Place]]:
    """Play every sensor of the station; gives the place of every line by its name."""

    def measure(name: str, sensor: Sensor, quantity: str) -> float:
        return Day(settings.medium, f"{seed} {name}").value(stored_as(sensor, quantity), now())

    places: dict[str, Place] = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simulated-")))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running: list[asyncio.Task[None]] = []
        for name, line in settings.lines.items():
            wired = {key: sensor for key, sensor in settings.sensors.items() if sensor.line == name}
            instruments = {
                key: (sensor, partial(measure, key, sensor)) for key, sensor in wired.items() if sensor.modbus
            }
            if isinstance(line, TcpLine):
                if instruments:
                    places[name] = await stack.enter_async_context(modbus.tcp(instruments))
                continue
            simulated = await stack.enter_async_context(SimulatedLine(folder / name, baud=line.baud))
            places[name] = str(simulated.path)
            if instruments:
                await stack.enter_async_context(modbus.rtu(instruments, simulated, folder, name))
            for key, sensor in wired.items():
                if (play := _player(sensor, simulated, partial(measure, key, sensor))) is not None:
                    running.append(tasks.create_task(play(), name=f"simulated {key}"))
        try:
            yield places
        finally:
            for task in running:
                task.cancel()


DUST: dict[type[Sensor], Callable[[SimulatedLine, Measure], PlantowerPms5003 | NovaSds011 | SensirionSps30]] = {
    Pms5003: PlantowerPms5003,
    Sds011: NovaSds011,
    Sps30: SensirionSps30,
}


def _player(sensor: Sensor, line: SimulatedLine, measure: Measure) -> Callable[[], Coroutine[None, None, None]] | None:
    if (dust := DUST.get(type(sensor))) is not None:
        return dust(line, measure).run
    if isinstance(sensor, AtlasEzo):
        return AtlasScientificEzo(line, measure, sensor).run
    if isinstance(sensor, Wxt530):
        return VaisalaWxt530(line, measure, sensor).run
    if isinstance(sensor, NmeaWeather):
        return NmeaStation(line, measure, sensor).run
    if isinstance(sensor, Sdi12):
        return Sdi12Instrument(line, measure, sensor).run
    return None
