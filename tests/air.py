"""Sensors of air and weather for the tests of their drivers: transcripts by name, and played ones on a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from transcripts import carry, read

from edge_agent.station.conversation import Answer
from edge_agent.station.drivers.nmea_weather import NmeaWeather
from edge_agent.station.drivers.pms5003 import Pms5003
from edge_agent.station.drivers.sps30 import Sps30
from edge_agent.station.drivers.wxt530 import Wxt530
from edge_agent.station.port import Port
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import SerialLine
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import NovaSds011, PlantowerPms5003, SensirionSps30
from scripts.simulated.weather import NmeaStation, VaisalaWxt530

AIR = ("pms5003", "sds011", "sps30", "wxt530", "nmea_weather")
TRANSCRIPTS = {t.name: t for t in read() if t.sensor.__struct_config__.tag in AIR}


def meant(answer: Answer) -> dict[str, float | None]:
    """Values by quantity, rounded: the wire's floats are short."""
    return {v.quantity: None if v.value is None else round(v.value, 5) for v in answer.values}


def poll(polled: Sensor, *chunks: bytes) -> Answer:
    """Poll the sensor once over these bytes."""
    return carry(polled.poll("serial"), chunks)[0]


VALUES = {
    **{"pm1": 4.0, "pm2_5": 11.0, "pm10": 19.0, "wind_speed": 3.4, "wind_direction": 235.0},
    **{"air_temperature": 28.3, "humidity": 78.5, "pressure": 1008.9, "rain": 12.25},
}


def correct(answer: Answer) -> bool:
    """Tell whether an answer is what the played sensor measures."""
    return not answer.complaint and all(v.value == pytest.approx(VALUES[v.quantity], abs=0.05) for v in answer.values)


@asynccontextmanager
async def playing(played: Sensor, folder: Path, noise: list[int] | None = None) -> AsyncIterator[Port]:
    """A port to a line on which the sensor is played; `noise` gets what the port heard of it."""
    heard: list[int] = [] if noise is None else noise
    async with SimulatedLine(folder / "line") as line:
        task = asyncio.ensure_future(_player(played, line))
        async with Port(SerialLine(port=str(line.path), timeout_s=3), noise=heard.append) as port:
            yield port
        task.cancel()


def _player(played: Sensor, line: SimulatedLine) -> Coroutine[None, None, None]:
    if isinstance(played, Wxt530):
        return VaisalaWxt530(line, VALUES.__getitem__, played).run()
    if isinstance(played, NmeaWeather):
        return NmeaStation(line, VALUES.__getitem__, played, every_s=0.05).run()
    if isinstance(played, Sps30):
        return SensirionSps30(line, VALUES.__getitem__, every_s=0.05).run()
    dust = PlantowerPms5003 if isinstance(played, Pms5003) else NovaSds011
    return dust(line, VALUES.__getitem__, every_s=0.05).run()
