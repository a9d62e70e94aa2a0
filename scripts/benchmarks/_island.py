"""An air station, and readings like those of its day on the island: a PMS5003 and a weather sensor."""

from __future__ import annotations

from edge_agent.contract.device import Box, Position
from edge_agent.contract.events import Reading, Readings
from edge_agent.contract.quantities import BY_NAME
from scripts.simulated.day import Day

# quantity: decimals that the sensor gives; the registry may have more
SIX = {"pm1": 0, "pm2_5": 0, "pm10": 0, "air_temperature": 2, "humidity": 1, "pressure": 1}
MORNING = 1_780_012_800_000
"""2026-05-29 07:00 on the island: traffic, warming air."""


def box(device: str, *, lat: float = 10.2, lon: float = 103.96) -> Box:
    """An air station at this place."""
    return Box(
        device=device,
        type="air-station",
        site="duong-dong",
        label="",
        position=Position(lat=lat, lon=lon),
        medium="air",
        camera=False,
        access_point=False,
    )


def samples(count: int, *, start: int = MORNING, every_ms: int = 60_000, station: str = "air-01") -> list[Readings]:
    """Samples of the six quantities, one a minute, stamped with the jitter of a real poll."""
    day = Day("air", station)
    return [_sample(day, start + i * every_ms + (i * 7919) % 4) for i in range(count)]


def _sample(day: Day, at: int) -> Readings:
    readings = []
    for name, decimals in SIX.items():
        quantity = BY_NAME[name]
        readings.append(Reading(quantity.number, quantity.ticks(round(day.value(name, at), decimals))))
    return Readings(at=at, readings=tuple(readings))


def values(sample: Readings) -> dict[str, float]:
    """The sample's values by name, as the sensor gave them."""
    found = {}
    for reading, (name, decimals) in zip(sample.readings, SIX.items(), strict=True):
        assert reading.ticks is not None
        value = BY_NAME[name].value(reading.ticks)
        found[name] = value if decimals else int(value)
    return found
