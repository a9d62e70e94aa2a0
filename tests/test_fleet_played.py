"""The fleet's stations with played instruments: each type is read over its own lines, and passes the quality tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from test_station_poll import polling, value

from collector.quality import Quality
from collector.settings import read as read_settings
from edge_agent.config import load
from edge_agent.contract.fleet import read_fleet
from edge_agent.contract.packs import Block
from edge_agent.contract.quantities import BY_NAME, BY_NUMBER
from edge_agent.station.settings import StationSettings, paces, stored_as
from scripts.simulated import simulate
from scripts.simulated.day import Day
from scripts.stage import hurried

FLEET = Path(__file__).parent.parent / "firmware_configs"
BOXES, _ = read_fleet(FLEET)
STATIONS = [name for name, box in BOXES.items() if box.medium is not None]
OF_EACH_TYPE = list({BOXES[name].type: name for name in reversed(STATIONS)}.values())
MIDNIGHT = 1_795_280_400_000
"""2026-11-22 00:00 on the island."""
HOUR_MS = 3_600_000


def station(name: str, *sets: str) -> StationSettings:
    found = load(FLEET / "devices" / f"{name}.yaml", sets).station
    assert found is not None
    return found


@pytest.mark.parametrize("name", OF_EACH_TYPE)
async def test_every_instrument_of_a_type_is_played_and_read(name: str) -> None:
    wired = station(name)
    sets = [f"station.sensors.{key}.{rest}" for key, sensor in wired.sensors.items() for rest in hurried(sensor, 2)]
    async with simulate(wired, seed=name, now=lambda: MIDNIGHT) as places:
        for line, place in places.items():
            if isinstance(place, str):
                sets.append(f"station.lines.{line}.port={place}")
            else:
                sets += [f"station.lines.{line}.host={place[0]}", f"station.lines.{line}.port={place[1]}"]
        settings = station(name, *sets)
        async with polling(settings) as watched:
            events = await asyncio.gather(*(watched.event(key, value) for key in settings.sensors))
            assert watched.health.faults == ()
    for (key, sensor), event in zip(wired.sensors.items(), events, strict=True):
        for reading in event.readings:
            quantity = BY_NUMBER[reading.quantity]
            assert reading.ticks is not None
            played = Day(wired.medium, f"{name} {key}").value(quantity.name, MIDNIGHT)
            coarsest = 5.1 * 10.0**-quantity.decimals  # half a step of instruments that have a decimal less
            assert quantity.value(reading.ticks) == pytest.approx(played, abs=coarsest), (sensor.line, quantity.name)


def test_what_is_played_passes_the_quality_tests_of_the_collectors_file() -> None:
    """A whole day of all stations, in the order in which it would come: no flag but `pass`, no gap, no revision."""
    settings, mistakes = read_settings(FLEET / "collector.yaml")
    assert settings is not None
    assert mistakes == []
    judge, judged = Quality(settings.quality, BOXES), 0
    for hour in range(24):
        for name in STATIONS:
            for block in _hour(name, MIDNIGHT + hour * HOUR_MS):
                found = judge.judge(name, block)
                names = [BY_NUMBER[number].name for number in block.quantities]
                assert found.flags.tolist() == np.ones_like(found.flags).tolist(), (name, hour, names)
                assert not found.revisions
                assert not found.gaps
                judged += found.flags.size
    assert judged > 200_000


def _hour(name: str, start: int) -> list[Block]:
    """What each sensor of a station says in an hour."""
    settings = station(name)
    pace, blocks = paces(settings), []
    for key, sensor in settings.sensors.items():
        day = Day(settings.medium, f"{name} {key}")
        quantities = [BY_NAME[stored_as(sensor, quantity)] for quantity in sensor.gives]
        at = list(range(start, start + HOUR_MS, pace[quantities[0].number] * 1000))
        columns: list[list[int | None]] = [[q.ticks(day.value(q.name, t)) for t in at] for q in quantities]
        blocks.append(Block(quantities=tuple(q.number for q in quantities), at=at, columns=columns, status={}))
    return blocks
