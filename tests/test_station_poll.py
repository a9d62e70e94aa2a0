"""The station's polls on real pseudo-terminals: what is due makes an event, whatever the wires do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import Event, Readings, Status
from edge_agent.contract.quantities import BY_NAME, BY_NUMBER, MEDIA
from edge_agent.health import Health
from edge_agent.station.drivers.modbus import Modbus
from edge_agent.station.poll import run
from edge_agent.station.settings import StationSettings, mistakes, stored_as
from scripts.simulated import modbus, simulate
from scripts.simulated.day import Day
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import NovaSds011, SensirionSps30

SAFETY_S = 20
VALUES = {"pm1": 4.0, "pm2_5": 11.0, "pm10": 19.0, "ph": 8.12, "orp": 400.0}


class Watched:
    """A running station: its events, and a wait for one of them."""

    def __init__(self, settings: StationSettings) -> None:
        self.settings = settings
        self.health = Health()
        self.events: list[Readings] = []
        self._came = asyncio.Condition()

    async def emit(self, event: Event) -> None:
        assert isinstance(event, Readings)
        async with self._came:
            self.events.append(event)
            self._came.notify_all()

    async def event(self, name: str, wanted: Callable[[Readings], bool]) -> Readings:
        """The next event of this sensor that is wanted, from now on."""
        quantities = tuple(BY_NAME[stored_as(s, q)].number for s in [self.settings.sensors[name]] for q in s.gives)
        seen = len(self.events)
        async with asyncio.timeout(SAFETY_S), self._came:
            while True:
                for event in self.events[seen:]:
                    if tuple(r.quantity for r in event.readings) == quantities and wanted(event):
                        return event
                seen = len(self.events)
                await self._came.wait()

    def parts(self) -> list[str]:
        return [fault.part for fault in self.health.faults]


@asynccontextmanager
async def polling(settings: StationSettings, now: Now = now_ms, **options: Any) -> AsyncIterator[Watched]:
    watched = Watched(settings)
    task = asyncio.ensure_future(run(settings, watched.emit, watched.health, now, **options))
    try:
        yield watched
    finally:
        task.cancel()
        async with asyncio.timeout(SAFETY_S):
            with pytest.raises(asyncio.CancelledError):
                await task


def station(sensors: dict[str, object], **lines: object) -> StationSettings:
    settings = msgspec.convert({"medium": "seawater", "lines": lines, "sensors": sensors}, StationSettings)
    assert mistakes(settings) == []
    return settings


def value(event: Readings) -> bool:
    return all(r.ticks is not None and r.status == Status.MEASURING for r in event.readings)


def none(event: Readings) -> bool:
    return all(r.ticks is None and r.status == Status.FAULT for r in event.readings)


@asynccontextmanager
async def dust(path: Path) -> AsyncIterator[tuple[SimulatedLine, dict[str, object]]]:
    """A dust sensor that answers, its line, and its settings."""
    async with SimulatedLine(path / "dust") as line:
        task = asyncio.ensure_future(NovaSds011(line, VALUES.__getitem__, every_s=0.1).run())
        yield line, {"kind": "serial", "port": str(line.path), "timeout_s": 0.5}
        task.cancel()


DUST = {"driver": "sds011", "line": "dust", "every_s": 1}


async def test_polls_fall_on_whole_seconds_and_none_is_left_out(tmp_path: Path) -> None:
    async with dust(tmp_path) as (_, line), polling(station({"a": DUST}, dust=line)) as watched:
        began = now_ms()
        event = await watched.event("a", lambda event: value(event) and len(watched.events) == 3)
        assert [e.at for e in watched.events] == [event.at - 2000, event.at - 1000, event.at]
        assert event.at % 1000 == 0
        assert 0 <= watched.events[0].at - began <= 1000
        assert [r.ticks for r in event.readings] == [110, 190]
        assert watched.health.faults == ()
        assert not watched.health.counters


async def test_a_silent_sensor_is_seen_as_missing_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_agent.health")
    async with dust(tmp_path) as (simulated, line), polling(station({"a": DUST}, dust=line)) as watched:
        await watched.event("a", value)
        simulated.silent = True
        await watched.event("a", none)
        await watched.event("a", none)
        assert watched.parts() == ["sensor a"]
        assert "no answer within 0.5 s" in watched.health.faults[0].text
        assert "không trả lời" in watched.health.faults[0].text
        assert watched.health.counters["a.silent"] >= 2
        simulated.silent = False
        await watched.event("a", value)
        assert watched.health.faults == ()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_an_unplugged_line_is_said_once_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge_agent.health")
    async with dust(tmp_path) as (simulated, line), polling(station({"a": DUST}, dust=line)) as watched:
        await watched.event("a", value)
        simulated.unplug()
        await watched.event("a", none)
        await watched.event("a", none)
        assert watched.parts() == ["line dust"]
        simulated.plug()
        await watched.event("a", value)
        assert watched.health.faults == ()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_damage_is_counted_and_a_fault_only_when_it_lasts(tmp_path: Path) -> None:
    async with dust(tmp_path) as (simulated, line), polling(station({"a": DUST}, dust=line)) as watched:
        await watched.event("a", value)
        simulated.corrupt = True
        await watched.event("a", none)
        assert watched.health.counters["a.bad_frames"] == 1
        assert watched.health.counters["dust.noise_bytes"] >= 10
        assert watched.parts() == []
        await watched.event("a", lambda _: watched.health.counters["a.bad_frames"] == 3)
        assert watched.parts() == ["sensor a"]
        simulated.corrupt = False
        await watched.event("a", value)
        assert watched.parts() == []


async def test_two_on_a_bus_and_the_dead_one_costs_the_other_nothing(tmp_path: Path) -> None:
    probe = {"driver": "modbus", "line": "bus", "address": 1, "registers": {"ph": {"address": 0, "scale": 0.01}}}
    dead = {"driver": "modbus", "line": "bus", "address": 2, "registers": {"orp": {"address": 0}}, "timeout_s": 0.3}
    bus = {"kind": "serial", "port": str(tmp_path / "bus")}
    settings = station({"dead": dead | {"every_s": 1}, "probe": probe | {"every_s": 1}}, bus=bus)
    live = settings.sensors["probe"]
    assert isinstance(live, Modbus)
    async with (
        SimulatedLine(tmp_path / "bus") as line,
        modbus.rtu({"probe": (live, VALUES.__getitem__)}, line, tmp_path, "bus"),
        polling(settings) as watched,
    ):
        await watched.event("probe", lambda _: len(watched.events) >= 6)
        alive = [e for e in watched.events if e.readings[0].quantity == BY_NAME["ph"].number]
        silent = [e for e in watched.events if e.readings[0].quantity == BY_NAME["orp"].number]
        assert all(value(e) and e.readings[0].ticks == 8120 for e in alive)
        assert all(none(e) for e in silent)
        assert [e.at for e in alive] == [alive[0].at + 1000 * i for i in range(3)]
        assert [e.at for e in silent[:3]] == [e.at for e in alive]
        assert watched.parts() == ["sensor dead"]


async def test_values_of_a_sensor_that_warms_up_are_left_out(tmp_path: Path) -> None:
    warming = DUST | {"warm_up_s": 1}
    async with dust(tmp_path) as (simulated, line), polling(station({"a": warming}, dust=line)) as watched:
        await watched.event("a", value)
        assert {(r.ticks, r.status) for r in watched.events[0].readings} == {(None, Status.CALIBRATING)}
        simulated.unplug()
        await watched.event("a", none)
        simulated.plug()
        back = await watched.event("a", lambda event: not none(event))
        assert {(r.ticks, r.status) for r in back.readings} == {(None, Status.CALIBRATING)}


async def test_a_sensor_that_waits_by_itself_is_believed_from_its_first_answer(tmp_path: Path) -> None:
    async with SimulatedLine(tmp_path / "dust") as line:
        task = asyncio.ensure_future(SensirionSps30(line, VALUES.__getitem__).run())
        lines = {"dust": {"kind": "serial", "port": str(line.path)}}
        async with polling(station({"dust": DUST | {"driver": "sps30", "warm_up_s": 3}}, **lines)) as watched:
            first = await watched.event("dust", lambda _: True)
            assert value(first), "its warm-up was waited for before it was read"
        task.cancel()


async def test_a_line_that_is_not_there_does_not_hold_up_the_others(tmp_path: Path) -> None:
    other = {"driver": "modbus", "line": "gone", "every_s": 1, "registers": {"ph": {"address": 0}}}
    gone = {"kind": "serial", "port": str(tmp_path / "nothing")}
    async with (
        dust(tmp_path) as (_, line),
        polling(station({"b": other, "a": DUST}, dust=line, gone=gone)) as watched,
    ):
        await watched.event("a", value)
        await watched.event("b", none)
        assert watched.parts() == ["line gone"]
        assert "is it plugged in?" in watched.health.faults[0].text


async def test_a_clock_that_is_set_back_does_not_stop_the_polls(tmp_path: Path) -> None:
    offset = 0
    async with (
        dust(tmp_path) as (_, line),
        polling(station({"a": DUST}, dust=line), lambda: now_ms() + offset) as watched,
    ):
        first = await watched.event("a", value)
        offset = -3_600_000
        second = await watched.event("a", lambda event: event.at < first.at)
        assert value(second)


# --- the simulated station ---

EVERYTHING = {
    "dust": {"driver": "pms5003", "line": "dust", "every_s": 1},
    "twin": {"driver": "sds011", "line": "dust-b", "every_s": 1, "rename": {"pm2_5": "pm2_5_b", "pm10": "pm10_b"}},
    "acid": {"driver": "atlas_ezo", "line": "ascii", "every_s": 1, "values": ["ph"]},
    "gas": {
        "driver": "modbus",
        "line": "bus",
        "every_s": 1,
        "registers": {
            "no2": {"address": 0, "type": "float32", "unit": "ppb", "byte_order": "little"},
            "co": {"address": 8, "type": "uint32", "word_order": "little", "unit": "ppm", "scale": 0.001},
        },
        "status": {"function": 4, "address": 40},
    },
    "probe": {
        "driver": "modbus",
        "line": "bus",
        "every_s": 1,
        "address": 2,
        "registers": {"salinity": {"address": 0, "type": "float64"}},
    },
    "plc": {
        "driver": "modbus",
        "line": "plc",
        "every_s": 1,
        "registers": {"flow": {"address": 700, "type": "float32", "unit": "L/s"}},
    },
}
RESOLUTION = {"pm1": 1, "pm2_5": 1, "pm10": 1, "pm2_5_b": 0.1, "pm10_b": 0.1, "co": 1.2}
"""What a sensor's own steps are worth, where they are coarser than the registry's."""


@pytest.mark.parametrize("medium", MEDIA)
def test_every_quantity_has_its_day(medium: str) -> None:
    for quantity in BY_NAME.values():
        if quantity.name == "pm2_5_corrected":  # no instrument gives it: the collector computes it
            continue
        for hour in range(24):
            value = Day(medium, "test").value(quantity.name, 1_790_000_000_000 + hour * 3_600_000)
            assert quantity.low <= value <= quantity.high


async def test_what_is_simulated_is_what_is_read() -> None:
    moment = 1_790_000_000_000
    lines: dict[str, dict[str, object]] = {
        "dust": {"kind": "serial", "port": "a"},
        "dust-b": {"kind": "serial", "port": "b"},
        "ascii": {"kind": "serial", "port": "c"},
        "bus": {"kind": "serial", "port": "d"},
        "plc": {"kind": "tcp", "host": "h"},
    }
    async with simulate(station(EVERYTHING, **lines), seed="test", now=lambda: moment) as places:
        for name, place in places.items():
            if isinstance(place, str):
                lines[name]["port"] = place
            else:
                lines[name] |= {"host": place[0], "port": place[1]}
        settings = station(EVERYTHING, **lines)
        async with polling(settings) as watched:
            events = await asyncio.gather(*(watched.event(name, value) for name in settings.sensors))
            for name, event in zip(settings.sensors, events, strict=True):
                for reading in event.readings:
                    quantity = BY_NUMBER[reading.quantity]
                    assert reading.ticks is not None
                    played = Day("seawater", f"test {name}").value(quantity.name, moment)
                    step = RESOLUTION.get(quantity.name, 10.0**-quantity.decimals)
                    assert quantity.value(reading.ticks) == pytest.approx(played, abs=0.51 * step + 1e-4)
            assert watched.health.faults == ()
            assert watched.health.counters == {}
