"""What stands in the registers of simulated Modbus slaves: any map, 4-20 mA modules, and the sondes of In-Situ, YSI and
Yosemitech.

Each is the reverse of what its driver's docstring says. They always run, answer at once and refuse registers that they
do not have (a real Yosemitech keeps silent, a real Aqua TROLL sleeps).
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from edge_agent.contract.quantities import BY_NAME, conversion
from edge_agent.station.drivers import aqua_troll, yosemitech, ysi_exo
from edge_agent.station.drivers.analogue import Analogue, Channel
from edge_agent.station.drivers.modbus import Modbus
from edge_agent.station.register_map import Register
from edge_agent.station.registers import TYPES
from edge_agent.station.sensor import Sensor

if TYPE_CHECKING:
    from scripts.simulated.sensors import Measure

Registers = dict[int, int]
"""Address: what it holds."""


def registers(sensor: Sensor, function: int, measure: Measure) -> Registers:
    """The registers that the slave has for this function (3 or 4), as they are at this moment."""
    if isinstance(sensor, Modbus):
        return _mapped(sensor, function, measure)
    if isinstance(sensor, Analogue):
        return _analogue(sensor, function, measure)
    if function != 3:
        return {}
    if isinstance(sensor, aqua_troll.AquaTroll):
        return _aqua_troll(sensor, measure)
    if isinstance(sensor, ysi_exo.YsiExo):
        return _ysi_exo(sensor, measure)
    if isinstance(sensor, yosemitech.Yosemitech):
        return _yosemitech(sensor, measure)
    raise ValueError(f"nobody plays {type(sensor).__name__} yet")


def words(register: Register, quantity: str, value: float) -> list[int]:
    """Give the registers that hold a value of the quantity's own unit; the reverse of what the driver does."""
    factor, offset = conversion(quantity, register.unit or BY_NAME[quantity].unit)
    raw = ((value - offset) / factor - register.offset) / register.scale
    code, width = TYPES[register.type]
    if not register.type.startswith("float"):
        bits = 16 * width
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if register.type.startswith("int") else (0, 2**bits - 1)
        raw = low if math.isnan(raw) else min(max(round(raw), low), high)
    data = struct.pack(code, raw)
    found = [int.from_bytes(data[i : i + 2], register.byte_order) for i in range(0, len(data), 2)]
    return found if register.word_order == "big" else found[::-1]


def _mapped(sensor: Modbus, function: int, measure: Measure) -> Registers:
    there: Registers = {}
    for status in (sensor.status, *(r.status for r in sensor.registers.values())):
        if status is not None and status.function == function:
            there[status.address] = (status.measuring or (0,))[0]
    for quantity, register in sensor.registers.items():
        if register.function == function:
            there |= _from(register.address, words(register, quantity, measure(quantity)))
    return there


def _analogue(sensor: Analogue, function: int, measure: Measure) -> Registers:
    there: Registers = {}
    for quantity, channel in sensor.channels.items():
        if channel.function == function:
            there |= _from(channel.address, words(_counts(channel), quantity, measure(quantity)))
    return there


def _counts(channel: Channel) -> Register:
    """The channel's register as one whose counts are worth what is measured, not a current."""
    for_one_ma = (channel.at_20_ma - channel.at_4_ma) / 16
    return Register(
        function=channel.function,
        address=channel.address,
        type=channel.type,
        word_order=channel.word_order,
        scale=channel.scale * for_one_ma,
        offset=channel.at_4_ma + (channel.offset - 4) * for_one_ma,
        unit=channel.unit,
    )


def _aqua_troll(sensor: aqua_troll.AquaTroll, measure: Measure) -> Registers:
    there: Registers = {}
    for quantity in sensor.values:
        parameter = sensor.parameter(quantity) or 1
        unit = next(unit for unit, name in aqua_troll.UNITS.items() if name == BY_NAME[quantity].unit)
        block = [*_float(measure(quantity)), 0, unit, parameter, 0, 0]
        there |= _from(aqua_troll.block_of(parameter), block)
    return there


def _ysi_exo(sensor: ysi_exo.YsiExo, measure: Measure) -> Registers:
    known = ysi_exo.PARAMETERS | {"conductivity": ysi_exo.CONDUCTIVITY[sensor.conductivity]}
    codes = [next(code for code, unit in known[q].items() if unit == BY_NAME[q].unit) for q in sensor.values]
    places = ysi_exo.PLACES
    there = _from(0, [1, 0, 0])
    there |= _from(ysi_exo.CODES, [*codes, *[0] * (places - len(codes))])
    there |= _from(ysi_exo.STATUSES, [0] * len(codes) + [1] * (places - len(codes)))
    values = [word for quantity in sensor.values for word in _float(measure(quantity))[::-1]]
    return there | _from(ysi_exo.VALUES, [*values, *[0] * (2 * places - len(values))])


def _yosemitech(sensor: yosemitech.Yosemitech, measure: Measure) -> Registers:
    model = yosemitech.MODELS[sensor.model]
    kind = next((kind for kind, name in yosemitech.SERIALS.items() if name == sensor.model), "00")
    serial = f"YTA{kind}21050001".encode().ljust(14, b"\0")
    there = _from(yosemitech.SERIAL, list(struct.unpack(">7H", serial))) | {yosemitech.START: 0, yosemitech.STOP: 0}
    blocks = [place.block for place in model.values.values()] + ([model.error[0]] if model.error else [])
    for block, count in dict.fromkeys(blocks):
        there |= _from(block, [0] * count)
    for quantity, place in model.values.items():
        factor = conversion(quantity, place.unit or BY_NAME[quantity].unit)[0] * place.factor
        data = struct.pack("<f", measure(quantity) / factor)
        there |= _from(place.block[0] + 2 * place.float, list(struct.unpack(">2H", data)))
    return there


def _float(value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">f", value)))


def _from(address: int, found: list[int]) -> Registers:
    return {address + i: word for i, word in enumerate(found)}
