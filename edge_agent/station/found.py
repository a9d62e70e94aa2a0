"""What a scan found, and the `station:` part of a device file that reads it.

The text is checked as a file would be: what cannot stand in one station (two sensors that give one quantity, lines of
one port at two speeds) comes as comments that say why. An unknown slave's values get names that are guessed from their
size, so a status register that never says "measuring" keeps them from being believed until somebody has looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from edge_agent.contract.device import Medium
from edge_agent.contract.quantities import BY_NAME, QUANTITIES
from edge_agent.contract.yaml_nodes import inline
from edge_agent.station.conversation import Answer
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import AnySensor, Line, SerialLine, StationSettings, mistakes
from edge_agent.station.transcript import options
from edge_agent.station.unknown_registers import Place

FIRST_OF_WATER = 40
"""Quantities of air have lower numbers."""
WIDTH = 118
FIRST_OF_RARE = 50
"""Water is measured for these less often."""
MAX_GUESSED = 12
"""More values of an unknown slave are listed, but not written into the file."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What answers."""

    line: Line
    address: int | None
    """The Modbus slave's; None for everything else."""
    why: str
    driver: str = ""
    """The driver that recognises it; empty for a slave that none does."""
    options: dict[str, Any] = {}
    """What the driver knows of it, as far as that goes."""
    sensor: Sensor | None = None
    """Options as the file needs them, on a line called `line`; None where too little is known of it."""
    answer: Answer | None = None
    """The first reading; None where there was none."""
    trouble: str = ""
    places: tuple[Place, ...] = ()
    """What an unknown slave's registers may mean."""
    registers: int = 0
    """How many registers of an unknown slave answered."""

    @property
    def name(self) -> str:
        """A name for it in the file: the driver's and the address."""
        kind = self.driver.replace("_", "-") or "unknown"
        return kind if self.address is None else f"{kind}-{self.address}"


def station_yaml(found: Iterable[Found], medium: Medium | None = None) -> str:
    """The `station:` part for what was found; empty where nothing was.

    The medium is guessed from the quantities where it is not given. Where no sensor can be written, all is comment.
    """
    everything = list(found)
    if not everything:
        return ""
    line = Counter(each.line for each in everything).most_common(1)[0][0]
    station: dict[str, Any] = {
        "medium": medium or _medium(everything),
        "lines": {"bus" if any(each.address is not None for each in everything) else "line": _said(line)},
        "sensors": {},
    }
    given: dict[str, str] = {}
    text = ["  sensors:"]
    for each in everything:
        sensor, why_not = _sensor(each, station, given)
        if each.line != line:
            why_not = f"answers at another speed ({inline(_said(each.line))}): set it to that of the others first"
        elif sensor and not why_not:
            trial = station | {"sensors": station["sensors"] | {each.name: sensor}}
            why_not = "; ".join(
                f"{what}: {cure}" for _, what, cure in mistakes(msgspec.convert(trial, StationSettings))
            )
        if not why_not:
            station["sensors"][each.name] = sensor
            given |= dict.fromkeys(_gives(sensor), each.name)
        lines = _lines(each, sensor)
        text += lines if not why_not else [f"    # {why_not}", *(f"    # {line[4:]}" for line in lines)]
    name, said = next(iter(station["lines"].items()))
    head = [
        "station:",
        f"  medium: {station['medium']:<24}# air, drinking_water, wastewater or seawater",
        "  lines:",
        f"    {name}: {inline(said)}",
    ]
    whole = head + text
    return "".join(f"{row}\n" if station["sensors"] else f"# {row}\n" for row in whole)


def _sensor(found: Found, station: dict[str, Any], given: dict[str, str]) -> tuple[dict[str, Any], str]:
    """The options of a sensor, without quantities that others give already; and why it cannot be, or nothing."""
    line = next(iter(station["lines"]))
    if found.sensor is None and found.driver:
        return {"driver": found.driver, "line": line, **found.options}, found.trouble
    if found.sensor is None:
        guessed = _guessed(found.places, station["medium"], given)
        registers = {quantity: place.best.options for quantity, place in guessed.items()}
        sensor = {"driver": "modbus", "line": line, "address": found.address, "registers": registers}
        if not registers:
            return sensor, f"answers Modbus, but none of its {found.registers} registers holds a likely value"
        first = next(iter(registers.values()))
        return sensor | {"status": {"function": first["function"], "address": first["address"], "measuring": []}}, ""
    gives = found.sensor.gives
    left = tuple(quantity for quantity in gives if quantity not in given)
    kept = found.sensor
    if left != gives and left and "values" in kept.__struct_fields__:
        kept = msgspec.structs.replace(kept, values=left)
    elif left != gives:
        double = next(quantity for quantity in gives if quantity in given)
        return options(kept) | {
            "line": line
        }, f"{double} is already given by {given[double]}: take it from one of the two"
    return options(kept) | {"line": line}, ""


def _gives(sensor: dict[str, Any]) -> tuple[str, ...]:
    return msgspec.convert(sensor, AnySensor).gives


def _lines(found: Found, sensor: dict[str, Any]) -> list[str]:
    """A sensor as it stands in the file."""
    if found.driver:
        flow = f"    {found.name}: {inline(sensor)}"
        if len(flow) <= WIDTH:
            return [flow]
        return [f"    {found.name}:", *(f"      {key}: {inline(value)}" for key, value in sensor.items())]
    said = {place.best.address: str(place.best) for place in found.places}
    text = [
        f"    {found.name}:",
        "      # GUESSED: compare each value with the instrument's display or manual, correct name, scale and unit,",
        "      # then remove the line `status`; until then every value is marked as a fault.",
        "      # ĐOÁN: so từng giá trị với màn hình hoặc tài liệu, sửa tên, scale, unit, rồi xóa dòng `status`.",
    ]
    for key, value in sensor.items():
        if key != "registers":
            text.append(f"      {key}: {inline(value)}")
            continue
        text.append("      registers:")
        rows = [(f"        {quantity}: {inline(register)}", register) for quantity, register in value.items()]
        width = max((len(row) for row, _ in rows), default=0)
        text += [f"{row:{width}}   # {said[register['address']]}" for row, register in rows]
    return text


def _guessed(places: Iterable[Place], medium: Medium, given: dict[str, str]) -> dict[str, Place]:
    """A quantity for each value that can be one of the medium's, the usual and the narrow ranges first."""
    known = sorted(
        (q for q in QUANTITIES if (q.number < FIRST_OF_WATER) == (medium == "air") and q.name not in given),
        key=lambda q: (q.number >= FIRST_OF_RARE, q.high - q.low),
    )
    guessed: dict[str, Place] = {}
    for place in places:
        fitting = (q.name for q in known if q.low < place.best.value < q.high and q.name not in guessed)
        if len(guessed) < MAX_GUESSED and (name := next(fitting, "")):
            guessed[name] = place
    return guessed


def _medium(found: Iterable[Found]) -> Medium:
    air = any(BY_NAME[q].number < FIRST_OF_WATER for each in found if each.sensor for q in each.sensor.gives)
    return "air" if air else "drinking_water"


def _said(line: Line) -> dict[str, Any]:
    if isinstance(line, SerialLine):
        return {"kind": "serial", "port": line.port, "baud": line.baud, "format": line.format}
    return {"kind": "tcp", "host": line.host, "port": line.port}
