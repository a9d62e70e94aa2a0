"""A station's settings: its lines, its sensors, and what no schema can say about them.

Every module in `drivers/` is imported here and gives its option structs, so a new driver is one file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from edge_agent.contract.device import Medium, Name
from edge_agent.contract.legal import Licence
from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME
from edge_agent.station import drivers
from edge_agent.station.sensor import Mistake, Sensor


def driver_structs() -> list[type[Sensor]]:
    """The option structs of every module in `drivers/`, or of those that are wanted, by their tags."""
    structs: dict[str, type[Sensor]] = {}
    for name in drivers.wanted or [
        f"{drivers.__name__}.{found.name}" for found in pkgutil.iter_modules(drivers.__path__)
    ]:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, type) and issubclass(value, Sensor) and value is not Sensor:
                structs[value.__struct_config__.tag] = value  # type: ignore[index]
    return [structs[tag] for tag in sorted(structs)]


if TYPE_CHECKING:
    AnySensor = Sensor
else:
    AnySensor = reduce(or_, driver_structs())


Baud = Literal[1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200]


class SerialLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="serial"):
    """A serial port: RS-232, RS-485 or TTL level."""

    port: Annotated[
        str, msgspec.Meta(min_length=1, description="Device file, such as /dev/ttyS1 or /dev/serial/by-id/...")
    ]
    baud: Baud = 9600
    format: Annotated[
        str,
        msgspec.Meta(
            pattern="^[78][NEO][12]$",
            title="data bits, parity (N, E, O) and stop bits, such as 8N1",
            description="As the sensor's manual says it; 8N1 for most.",
        ),
    ] = "8N1"
    timeout_s: Annotated[float, msgspec.Meta(ge=0.05, le=60, description="Seconds that an answer may take.")] = 1.5
    quiet_s: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1, description="Silence before a request; Modbus wants 3.5 characters, 4 ms at 9600 baud."
        ),
    ] = 0.005


class TcpLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tcp"):
    """A TCP connection to an instrument or a gateway."""

    host: Annotated[str, msgspec.Meta(min_length=1, description="Name or address.")]
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535, description="TCP port; 502 for nearly all.")] = 502
    timeout_s: Annotated[
        float, msgspec.Meta(ge=0.05, le=60, description="Seconds that connecting or an answer may take.")
    ] = 1.5


Line = SerialLine | TcpLine


class StationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a station measures, with what, over which lines."""

    medium: Annotated[
        Medium, msgspec.Meta(description="What is measured; the measurement that readings are stored in.")
    ]
    zone: Annotated[
        Name | None,
        msgspec.Meta(description="Use or column whose limits hold here, as limits.yaml names it: bathing, ..."),
    ] = None
    licence: Annotated[Licence | None, msgspec.Meta(description="The site's environmental licence.")] = None
    lines: Annotated[dict[Name, Line], msgspec.Meta(min_length=1, description="Lines by name.")]
    sensors: Annotated[dict[Name, AnySensor], msgspec.Meta(min_length=1, description="Sensors by name.")]


def stored_as(sensor: Sensor, quantity: str) -> str:
    """The quantity that a driver's quantity is stored as."""
    return sensor.rename.get(quantity, quantity)


def paces(settings: StationSettings) -> dict[int, int]:
    """Seconds between samples of each quantity that the station stores, by its number."""
    return {
        BY_NAME[stored_as(sensor, quantity)].number: sensor.every_s
        for sensor in settings.sensors.values()
        for quantity in sensor.gives
    }


def mistakes(settings: StationSettings) -> list[Mistake]:
    """Everything wrong that the schema cannot say: (path below the station, what is wrong, what to do)."""
    return [*_licence(settings), *_lines(settings), *_sensors(settings), *_twins(settings)]


def _licence(settings: StationSettings) -> Iterator[Mistake]:
    for below, message, hint in settings.licence.mistakes() if settings.licence is not None else ():
        yield ("licence", *below), message, hint


def _lines(settings: StationSettings) -> Iterator[Mistake]:
    ports: dict[str, str] = {}
    for name, line in settings.lines.items():
        where = line.port if isinstance(line, SerialLine) else f"{line.host}:{line.port}"
        first = ports.setdefault(where, name)
        if first != name:
            yield ("lines", name, "port"), f"{where} is already the line {first}", "put the sensors on one line"


def _sensors(settings: StationSettings) -> Iterator[Mistake]:
    alone: dict[str, str] = {}
    for name, sensor in settings.sensors.items():
        path = ("sensors", name)
        driver = str(sensor.__struct_config__.tag)
        line = settings.lines.get(sensor.line)
        if line is None:
            yield (*path, "line"), f"no line is called {sensor.line}", f"the lines are: {', '.join(settings.lines)}"
        elif (kind := str(line.__struct_config__.tag)) not in sensor.kinds:
            yield (
                (*path, "line"),
                f"{driver} cannot talk over {sensor.line}, which is {kind}",
                f"give a line of kind {' or '.join(sorted(sensor.kinds))}",
            )
        elif kind == "serial" and sensor.modbus and getattr(sensor, "address", 1) == 0:
            yield (*path, "address"), "address 0 means every slave at once, and none answers", "give its own, 1 to 247"
        first = alone.setdefault(sensor.line, name)
        if first != name and not (sensor.shares and settings.sensors[first].shares):
            yield (*path, "line"), f"cannot share {sensor.line} with {first}", "give it a line of its own"
        for quantity, target in sensor.rename.items():
            if quantity not in sensor.gives:
                yield (
                    (*path, "rename", quantity),
                    f"{driver} does not give {quantity}",
                    f"it gives: {', '.join(sensor.gives)}",
                )
            if target not in BY_NAME:
                yield (*path, "rename", quantity), f"{target} is not a quantity", meant(target, BY_NAME)
            elif quantity in BY_NAME and BY_NAME[quantity].unit != BY_NAME[target].unit:
                yield (
                    (*path, "rename", quantity),
                    f"{quantity} is in {BY_NAME[quantity].unit}, {target} in {BY_NAME[target].unit}",
                    "rename to a quantity of the same unit",
                )
        for below, message, hint in sensor.mistakes():
            yield (*path, *below), message, hint


def _twins(settings: StationSettings) -> Iterator[Mistake]:
    given: dict[str, str] = {}
    for name, sensor in settings.sensors.items():
        for quantity in sensor.gives:
            target = stored_as(sensor, quantity)
            first = given.setdefault(target, name)
            if first != name:
                other = f"{target}_b"
                yield (
                    ("sensors", name),
                    f"{target} is already given by {first}",
                    f"store one of them under another name: rename: {{{quantity}: {other}}}"
                    if other in BY_NAME
                    else "take it from one of the two",
                )
