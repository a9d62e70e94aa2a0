"""YSI EXO sonde behind its Modbus adapter (signal output adapter, DCP 2.0).

RS-485 or RS-232, 9600 8N1, address 1 as from the factory. Holding registers, counted from 0:

    0          seconds between the adapter's own samples
    1          write 1: take a sample now
    2          write 1: wipe now
    128-159    which parameter each of 32 places holds, by its code; 0 ends the list
    256-287    status of each place: 0 value available, 1 not set, 2 not available
    384-447    value of each place: float32, low word first

    °C 1  °F 2  K 3   conductivity mS/cm 4, µS/cm 5   specific 6, 7   nLF 237, 238   TDS g/L 10, mg/L 110   salinity 12
    pH 18   ORP 19   depth 22   NTU 37, FNU 223   NH4-N 48   NO3-N 106   TSS mg/L 190, g/L 191   chlorophyll 193
    oxygen % 211, mg/L 212

Which parameter stands in which place is up to who set the adapter up, and changes with the probes: so the codes are
read at every poll, before and after the values, and a poll during which they changed gives none.

Source: the Modbus driver of Meadow.Foundation (Wilderness Labs) and the Python package ysi_exo, which agree; no capture
of a real sonde was at hand; see tests/golden/wire/ysi_exo.txt.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError
from edge_agent.station.conversation import Conversation, Pause, Value, answer_of, converted
from edge_agent.station.registers import number
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, doubled

SAMPLE, WIPE, CODES, STATUSES, VALUES = 1, 2, 128, 256, 384
PLACES = 32

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
    "chlorophyll_a",
    "ammonium",
    "nitrate",
    "water_level",
]

PARAMETERS: dict[str, dict[int, str]] = {
    "water_temperature": {1: "°C", 2: "°F", 3: "K"},
    "ph": {18: "pH"},
    "salinity": {12: "PSU"},
    "tds": {110: "mg/L", 10: "g/L"},
    "orp": {19: "mV"},
    "dissolved_oxygen": {212: "mg/L"},
    "dissolved_oxygen_saturation": {211: "%"},
    "turbidity": {37: "NTU", 223: "NTU"},
    "tss": {190: "mg/L", 191: "g/L"},
    "chlorophyll_a": {193: "µg/L"},
    "ammonium": {48: "mg/L"},
    "nitrate": {106: "mg/L"},
    "water_level": {22: "m"},
}
"""Quantity: the codes that mean it, best first, and their units. 223 is FNU, as NTU but of infrared light; ammonium and
nitrate are in mg/L of nitrogen; the water level is the sonde's depth."""

CONDUCTIVITY: dict[str, dict[int, str]] = {
    "specific": {7: "µS/cm", 6: "mS/cm"},
    "actual": {5: "µS/cm", 4: "mS/cm"},
    "nlf": {238: "µS/cm", 237: "mS/cm"},
}


class YsiExo(Sensor, frozen=True, kw_only=True, dict=True, tag="ysi_exo"):
    """YSI EXO1, EXO2 or EXO3 behind its Modbus adapter."""

    address: Annotated[int, msgspec.Meta(ge=0, le=255, description="Modbus address of the adapter.")] = 1
    values: Annotated[
        tuple[Given, ...],
        msgspec.Meta(
            min_length=1, max_length=14, description="What is stored of what the probes measure, in any order."
        ),
    ]
    conductivity: Annotated[
        Literal["specific", "actual", "nlf"],
        msgspec.Meta(description="Which conductivity is stored: referred to 25 °C (specific, or nlf), or as it is."),
    ] = "specific"
    sample_s: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=120, description="Seconds from ordering a sample to reading it; 0: the adapter samples by itself."
        ),
    ] = 0.0
    wipe_every: Annotated[
        int, msgspec.Meta(ge=0, le=10_000, description="Wipe before every so many polls; 0: the sonde wipes by itself.")
    ] = 0
    wipe_s: Annotated[
        float, msgspec.Meta(ge=0, le=600, description="Seconds that a wipe takes; the values are read after it.")
    ] = 60.0

    kinds: ClassVar[frozenset[LineKind]] = frozenset({"serial", "tcp"})
    shares: ClassVar[bool] = True
    modbus: ClassVar[bool] = True

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values

    @cached_property
    def _polls(self) -> Iterator[int]:
        return itertools.count()

    def poll(self, kind: LineKind) -> Conversation:
        from edge_agent.station.modbus import Slave

        slave = Slave(kind, self.address)
        refusals = []
        if self.wipe_every and next(self._polls) % self.wipe_every == 0:
            refusals.append((yield from slave.order(WIPE, [1])))
            yield Pause(seconds=self.wipe_s)
        if self.sample_s:
            refusals.append((yield from slave.order(SAMPLE, [1])))
            yield Pause(seconds=self.sample_s)
        codes = yield from slave.read(CODES, PLACES)
        statuses = yield from slave.read(STATUSES, PLACES)
        words = yield from slave.read(VALUES, 2 * PLACES)
        if codes != (yield from slave.read(CODES, PLACES)):
            raise FrameError("the adapter's parameters were changed while it was read")
        return answer_of((self._value(quantity, codes, statuses, words) for quantity in self.values), refusals)

    def _value(self, quantity: str, codes: list[int], statuses: list[int], words: list[int]) -> tuple[Value, str]:
        """What the places mean for a quantity, and what is to be said against it."""
        none = Value(quantity, None, Status.FAULT)
        units = self._units(quantity)
        place = next((codes.index(code) for code in units if code in _listed(codes)), None)
        if place is None:
            there = ", ".join(map(str, _listed(codes))) or "none"
            return none, f"no place holds code {' or '.join(map(str, units))}; the adapter is set to: {there}"
        if (status := statuses[place]) != 0:
            meaning = {1: "not set", 2: "not available; is its probe plugged in?"}.get(status, "unknown")
            return none, f"status {status}, {meaning}"
        low, high = words[2 * place : 2 * place + 2]
        value = converted(quantity, number("float32", (low, high), "little"), units[codes[place]])
        return value, "" if value.value is not None else f"gives no number ({low:04x} {high:04x})"

    def _units(self, quantity: str) -> dict[int, str]:
        return CONDUCTIVITY[self.conductivity] if quantity == "conductivity" else PARAMETERS[quantity]

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        from edge_agent.station.modbus import Slave

        slave = Slave(kind, address)
        codes = yield from slave.read(CODES, PLACES)
        statuses = yield from slave.read(STATUSES, PLACES)
        listed = _listed(codes)
        known = PARAMETERS | {"conductivity": CONDUCTIVITY["specific"]}
        there = [quantity for quantity, units in known.items() if any(code in listed for code in units)]
        if not there or len(set(listed)) != len(listed) or any(status > 2 for status in statuses):
            return None
        return Recognised(
            options={"address": address, "values": there},
            why=f"lists the parameter codes {', '.join(map(str, listed))}",
        )

    def mistakes(self) -> Iterator[Mistake]:
        yield from doubled(self.values)
        if self.wipe_every and self.every_s <= self.wipe_s + self.sample_s:
            least = int(self.wipe_s + self.sample_s) + 1
            yield (
                ("every_s",),
                f"{self.every_s} s leave no time for a wipe",
                f"give at least {least}, or a shorter wipe_s",
            )


def _listed(codes: list[int]) -> list[int]:
    """The codes up to the 0 that ends them."""
    return codes[: codes.index(0)] if 0 in codes else codes
