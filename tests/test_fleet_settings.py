"""What the fleet's files say together: instruments, licences, zones, quality and limits of the 26 stations; docs."""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from collector.__main__ import main as collector
from collector.quality import QualitySettings
from collector.settings import read as read_settings
from collector.standards.table import Standards, read_limits, zone_mistakes
from edge_agent.config import load
from edge_agent.contract.device import Box
from edge_agent.contract.fleet import read_fleet
from edge_agent.contract.quantities import BY_NUMBER
from edge_agent.station.settings import StationSettings, driver_structs, paces

ROOT = Path(__file__).parent.parent
FLEET = ROOT / "firmware_configs"
BOXES = {name: box for name, box in read_fleet(FLEET)[0].items() if box.medium is not None}
ROWS, _ = read_limits(FLEET)
STANDARDS = Standards(ROWS, BOXES.values())
TODAY = date(2026, 11, 22)
KINDS = ("air", "water", "waste", "sea")
"""The order of the table in docs/stations.md."""


def station(name: str) -> StationSettings:
    found = load(FLEET / "devices" / f"{name}.yaml").station
    assert found is not None
    return found


def measured(name: str) -> set[str]:
    """The quantities that a station stores."""
    return {BY_NUMBER[number].name for number in paces(station(name))}


STATIONS = {name: station(name) for name in BOXES}


def quality() -> QualitySettings:
    settings, mistakes = read_settings(FLEET / "collector.yaml")
    assert settings is not None
    assert mistakes == []
    return settings.quality


def test_the_collectors_file_fits_the_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    assert collector(["check", str(FLEET / "collector.yaml")]) == 0
    assert capsys.readouterr().out == "no mistakes\n"


def test_what_stands_in_comments_there_can_be_taken_in(tmp_path: Path) -> None:
    text = (FLEET / "collector.yaml").read_text().replace("fleet: firmware_configs", f"fleet: {FLEET}")
    for key in ("averages", "standards"):
        block = re.search(rf"^# {key}:\n(?:#   .+\n)+", text, re.MULTILINE)
        assert block, key
        text = text.replace(block[0], re.sub("^# ", "", block[0], flags=re.MULTILINE))
    (file := tmp_path / "collector.yaml").write_text(text)
    settings, mistakes = read_settings(file)
    assert mistakes == []
    assert settings is not None
    assert settings.averages.coverage == 75
    assert settings.standards.alarm_on == ("certain",)


def test_the_stations_have_instruments_of_every_driver() -> None:
    used = Counter(type(sensor) for station in STATIONS.values() for sensor in station.sensors.values())
    assert set(used) == set(driver_structs())


def test_every_medium_has_what_it_is_watched_for() -> None:
    needed = {
        "air": {"pm2_5", "pm10", "air_temperature", "humidity", "pressure", "wind_speed", "wind_direction"},
        "drinking_water": {"free_chlorine", "ph", "turbidity", "conductivity"},
        "wastewater": {"flow", "ph", "water_temperature", "cod", "tss", "ammonium"},
        "seawater": {"water_temperature", "ph", "salinity", "dissolved_oxygen", "turbidity", "tss"},
    }
    lacking = {name: sorted(needed[box.medium or ""] - measured(name)) for name, box in BOXES.items()}
    assert {name: what for name, what in lacking.items() if what} == {}


def test_some_stations_watch_dust_with_twins_and_some_have_gases() -> None:
    air = [measured(name) for name, box in BOXES.items() if box.medium == "air"]
    assert sum({"pm2_5_b", "pm10_b"} <= there for there in air) >= 4
    assert sum({"so2", "no2", "o3", "co"} <= there for there in air) >= 4


def test_a_licence_of_each_wastewater_station_limits_what_it_measures_and_says_that_it_is_an_example() -> None:
    licences = {name: box.licence for name, box in BOXES.items() if box.licence is not None}
    assert set(licences) == {name for name, box in BOXES.items() if box.medium == "wastewater"}
    for name, licence in licences.items():
        assert set(licence.limits) <= measured(name)
        assert {"ph", "cod", "tss", "ammonium", "flow"} <= set(licence.limits)
        assert "EXAMPLE" in licence.number
        assert "EXAMPLE FIGURES: replace" in (FLEET / "devices" / f"{name}.yaml").read_text()
        binding = {limit.quantity for limit in STANDARDS.of(name, TODAY) if limit.source.startswith("licence")}
        assert binding == set(licence.limits), "the licence holds today"


def test_seawater_stations_say_what_their_water_is_for() -> None:
    assert {box.zone for box in BOXES.values() if box.medium == "seawater"} == {"bathing", "aquaculture"}
    assert zone_mistakes(FLEET, ROWS, BOXES.values()) == []
    assert all(STANDARDS.of(name, TODAY) for name in BOXES), "some limit holds at every station"


def test_what_breaks_a_limit_is_not_suspect_for_that() -> None:
    """No mean takes a suspect value, so a bound of `suspect` within the law would hide what it forbids."""
    judged = quality()
    for name in BOXES:
        for limit in STANDARDS.of(name):
            bounds = judged.limits(name, limit.quantity)
            if limit.low is not None and isinstance(bounds.suspect_low, int | float):
                assert bounds.suspect_low < limit.low, (name, limit)
            if limit.high is not None and isinstance(bounds.suspect_high, int | float):
                assert bounds.suspect_high > limit.high, (name, limit)


def test_every_air_station_has_neighbours_enough() -> None:
    judged, air = quality(), [box for box in BOXES.values() if box.medium == "air"]
    for box in air:
        for quantity in ("pm2_5", "pm10", "pressure", "air_temperature"):
            limits = judged.limits(box.device, quantity).neighbours
            assert limits
            near = [other for other in air if other is not box and _km(box, other) <= limits.within_km]
            assert len(near) >= limits.least, (box.device, quantity)


def _km(one: Box, other: Box) -> float:
    east = (one.position.lon - other.position.lon) * math.cos(math.radians(one.position.lat))
    return 111.2 * math.hypot(one.position.lat - other.position.lat, east)


def test_twins_are_asked_in_the_same_minute() -> None:
    for name, settings in STATIONS.items():
        pace = {BY_NUMBER[number].name: every_s for number, every_s in paces(settings).items()}
        if "pm2_5_b" in pace:
            assert pace["pm2_5"] == pace["pm2_5_b"], name


def test_the_table_in_the_docs_is_that_of_the_files() -> None:
    text = (ROOT / "docs" / "stations.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    assert rows == [table_row(name) for name in sorted(BOXES, key=lambda name: (KINDS.index(name[:-3]), name))]


def table_row(name: str) -> list[str]:
    """Station, site, medium, instruments by their drivers, quantities in the order of the registry."""
    box, settings = BOXES[name], STATIONS[name]
    drivers = Counter(str(sensor.__struct_config__.tag) for sensor in settings.sensors.values())
    instruments = ", ".join(driver if n == 1 else f"{n} {driver}" for driver, n in drivers.items())
    quantities = " ".join(BY_NUMBER[number].name for number in sorted(paces(settings)))
    return [f"`{name}`", box.site, box.medium or "", instruments, quantities]
