"""In-Situ Aqua TROLL 400, 500 and 600: a sonde with up to six sensors, Modbus RTU.

Serial 19200 8E1, address 1 as it comes from the factory. It sleeps a few seconds after the last request, and what wakes
it gets no answer: so each poll begins with a read whose answer nobody waits for, and goes on `wake_s` later.

Every parameter has a block of 7 holding registers, from 5450 + 7 (id - 1) counted from 0:

    0  float32   value, high word first
    2  u16       data quality   0 nothing wrong   3 error   7 the sensor does not answer or is not plugged in
    3  u16       unit
    4  u16       parameter: the id once more
    5  float32   what the value is while the sensor is off line; 0 as from the factory

    id   1 temperature   9 actual, 10 specific conductivity   12 salinity   13 TDS   17 pH   19 ORP   20 oxygen, mg/L
         21 oxygen, % saturation   25 turbidity   31 TSS

    request for pH    01 03 15 ba 00 07 21 e1
    answer, 8.05      01 03 0e 41 00 cc cd  00 00  00 91  00 11  00 00 00 00  06 60

A value is believed only if the block names its parameter, the unit is one that we know, and the quality is one that the
file calls good (0). In-Situ has more codes of quality than we could verify: a value with another one is kept, status
fault, and the code is named; `measuring` and `calibrating` take what your manual says.

Source: the drivers InsituModbus (neilh10) and others for the blocks; In-Situ's Aqua TROLL 400 and RDO PRO manuals for
parameters, units and the codes 3 and 7. No capture of a real sonde was at hand; see tests/golden/wire/aqua_troll.txt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import units_for
from edge_agent.station.conversation import Conversation, Value, answer_of, converted
from edge_agent.station.registers import Block, number
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, Speed, doubled

FIRST, SIZE = 5450, 7

Given = Literal[
    "water_temperature",
    "ph",
    "conductivity",
    "salinity",
    "tds",
    "orp",
    "dissolved_oxygen",
    "dissolved_oxygen_saturation",
    "turbidity",
    "tss",
    "ammonium",
    "nitrate",
    "chlorophyll_a",
]

PARAMETERS: dict[str, int] = {
    "water_temperature": 1,
    "salinity": 12,
    "tds": 13,
    "ph": 17,
    "orp": 19,
    "dissolved_oxygen": 20,
    "dissolved_oxygen_saturation": 21,
    "turbidity": 25,
    "tss": 31,
}
CONDUCTIVITY = {"actual": 9, "specific": 10}

UNITS: dict[int, str] = {
    1: "°C",
    2: "°F",
    65: "µS/cm",
    66: "mS/cm",
    97: "PSU",
    113: "mg/L",
    114: "g/L",
    117: "mg/L",
    118: "µg/L",
    145: "pH",
    162: "mV",
    163: "V",
    177: "%",
    193: "NTU",
    194: "NTU",
}
"""In-Situ's unit ids; 113 and 114 are parts per million and per thousand, 193 FNU (as NTU, but of infrared light)."""

GONE = (3, 7)
"""Quality codes with which the value is the off-line one."""

Codes = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=65_535)], ...], msgspec.Meta(max_length=32)]


class AquaTroll(Sensor, frozen=True, kw_only=True, tag="aqua_troll"):
    """In-Situ Aqua TROLL 400, 500 or 600."""

    address: Annotated[int, msgspec.Meta(ge=0, le=255, description="Modbus address of the sonde.")] = 1
    values: Annotated[
        tuple[Given, ...], msgspec.Meta(min_length=1, max_length=13, description="What its sensors measure.")
    ]
    conductivity: Annotated[
        Literal["specific", "actual"],
        msgspec.Meta(description="Which conductivity is stored: referred to 25 °C (specific), or as it is (actual)."),
    ] = "specific"
    parameters: Annotated[
        dict[Given, Annotated[int, msgspec.Meta(ge=1, le=400)]],
        msgspec.Meta(
            description="Quantity: its parameter id, where the sonde's manual gives another than this driver."
        ),
    ] = {}
    units: Annotated[
        dict[Given, str],
        msgspec.Meta(description="Quantity: unit that the sonde is set to, where its unit id is not known here."),
    ] = {}
    measuring: Annotated[Codes, msgspec.Meta(description="Quality codes of values that are good.")] = (0,)
    calibrating: Annotated[Codes, msgspec.Meta(description="Quality codes that mean: calibrating or warming up.")] = ()
    wake_s: Annotated[
        float, msgspec.Meta(ge=0, le=60, description="Seconds from waking to the first question; 0 if it never sleeps.")
    ] = 2.0

    kinds: ClassVar[frozenset[LineKind]] = frozenset({"serial", "tcp"})
    shares: ClassVar[bool] = True
    modbus: ClassVar[bool] = True
    speeds: ClassVar[tuple[Speed, ...]] = (Speed(19200, "8E1"), Speed(9600, "8E1"), Speed(19200))

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values

    def parameter(self, quantity: str) -> int | None:
        """The parameter id of a quantity, if it is known."""
        if quantity == "conductivity" and quantity not in self.parameters:
            return CONDUCTIVITY[self.conductivity]
        return dict(self.parameters).get(quantity, PARAMETERS.get(quantity))  # type: ignore[call-overload,no-any-return]

    def poll(self, kind: LineKind) -> Conversation:
        from edge_agent.station.modbus import Slave

        slave = Slave(kind, self.address)
        if self.wake_s:
            yield slave.say(Block(3, FIRST, 1), self.wake_s)
        found = yield from slave.read_all(Block(3, block_of(self.parameter(q) or 1), SIZE) for q in self.values)
        return answer_of(
            self._value(quantity, words)
            if isinstance(words, list)
            else (Value(quantity, None, Status.FAULT), str(words))
            for quantity, words in zip(self.values, found, strict=True)
        )

    def _value(self, quantity: str, words: list[int]) -> tuple[Value, str]:
        """What a block means, and what is to be said against it."""
        none = Value(quantity, None, Status.FAULT)
        raw, quality, unit, parameter, sentinel = read_block(words)
        if parameter != self.parameter(quantity):
            return none, f"its registers hold parameter {parameter}, not {self.parameter(quantity)}"
        if quality in GONE or (raw == sentinel and (quality not in self.measuring or sentinel != 0)):
            return none, f"the sensor is off line or in error (quality {quality})"
        name = self.units.get(quantity) or UNITS.get(unit, "")  # type: ignore[call-overload]
        if name not in units_for(quantity):
            return none, f"unit {unit} is not known here; say under `units` what the sonde is set to"
        if quality in self.measuring:
            value = converted(quantity, raw, name)
            return value, "" if value.value is not None else f"gives no number ({words[0]:04x} {words[1]:04x})"
        if quality in self.calibrating:
            return converted(quantity, raw, name, Status.CALIBRATING), ""
        value = converted(quantity, raw, name, Status.FAULT)
        return value, f"quality {quality} is not known to be good; see the manual, then `measuring` or `calibrating`"

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        from edge_agent.station.modbus import RefusedError, Slave

        slave = Slave(kind, address)
        yield slave.say(Block(3, FIRST, 1), 2)
        there: list[str] = []
        for quantity, parameter in sorted((PARAMETERS | {"conductivity": CONDUCTIVITY["specific"]}).items()):
            try:
                words = yield from slave.read(block_of(parameter), SIZE)
            except RefusedError:
                continue
            _, quality, unit, named, _ = read_block(words)
            if named == parameter and UNITS.get(unit) in units_for(quantity) and quality not in GONE:
                there.append(quantity)
        if not there:
            return None
        return Recognised(
            options={"address": address, "values": there}, why="blocks of 7 registers name their parameters"
        )

    def mistakes(self) -> Iterator[Mistake]:
        yield from doubled(self.values)
        for i, quantity in enumerate(self.values):
            if self.parameter(quantity) is None:
                yield ("values", i), f"the parameter id of {quantity} is not known here", "give it under `parameters`"
        for quantity, unit in self.units.items():
            if unit not in units_for(quantity):
                hint = f"give one of: {', '.join(units_for(quantity))}"
                yield ("units", quantity), f"{quantity} cannot be given in {unit}", hint


def block_of(parameter: int) -> int:
    """The first register of a parameter's block."""
    return FIRST + SIZE * (parameter - 1)


def read_block(words: list[int]) -> tuple[float, int, int, int, float]:
    """Value, quality, unit, parameter and off-line value of a block's 7 registers."""
    return number("float32", words[:2]), words[2], words[3], words[4], number("float32", words[5:7])
