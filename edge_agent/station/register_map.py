"""The words of a register map in a station's file: where a value stands, what a status means, what is written."""

from __future__ import annotations

import struct
from typing import Annotated, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME
from edge_agent.station.conversation import Value, converted
from edge_agent.station.registers import TYPES, Order, Type, number

Function = Annotated[Literal[3, 4], msgspec.Meta(description="3 reads holding registers, 4 input registers.")]
Address = Annotated[int, msgspec.Meta(ge=0, le=65_535, description="Register on the wire, from 0.")]
Word = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Codes = Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)]


class StatusRegister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A register, or a bit, that says what the instrument is doing; a value in neither list is a fault."""

    function: Annotated[
        Literal[1, 2, 3, 4], msgspec.Meta(description="3 and 4 read a register, 1 a coil, 2 a discrete input (0 or 1).")
    ] = 3
    address: Address
    mask: Annotated[int, msgspec.Meta(ge=1, le=65_535, description="Bits that count; the others are cleared.")] = 65_535
    measuring: Annotated[Codes, msgspec.Meta(description="Register values that mean: measuring.")] = (0,)
    calibrating: Annotated[Codes, msgspec.Meta(description="Register values that mean: calibrating or cleaning.")] = ()

    def status(self, register: int) -> Status:
        """What the register's value means."""
        code = register & self.mask
        if code in self.measuring:
            return Status.MEASURING
        return Status.CALIBRATING if code in self.calibrating else Status.FAULT


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a quantity stands and how it is read."""

    function: Function = 3
    address: Address
    type: Annotated[
        Type, msgspec.Meta(description="8 bits are the lower byte; byte_order: little takes the upper.")
    ] = "uint16"
    word_order: Annotated[
        Order, msgspec.Meta(description="Which register comes first: the high one (big) or the low.")
    ] = "big"
    byte_order: Annotated[
        Order, msgspec.Meta(description="Order of the two bytes in a register; big is the standard.")
    ] = "big"
    mask: (
        Annotated[
            int,
            msgspec.Meta(ge=1, le=2**32 - 1, description="Bits of an unsigned number that count; moved to the lowest."),
        ]
        | None
    ) = None
    scale: Annotated[float, msgspec.Meta(description="What one raw count is worth, in `unit`.")] = 1.0
    offset: Annotated[float, msgspec.Meta(description="Added after scaling, in `unit`.")] = 0.0
    unit: Annotated[str, msgspec.Meta(description="Unit of the scaled value; empty: the quantity's own.")] = ""
    missing: Annotated[
        tuple[float, ...],
        msgspec.Meta(
            max_length=16, description="Raw values by which the instrument says that it has none, such as -9999."
        ),
    ] = ()
    status: Annotated[
        StatusRegister | None, msgspec.Meta(description="Status of this value alone; else the sensor's `status`.")
    ] = None

    @property
    def width(self) -> int:
        """Registers that the value takes."""
        return TYPES[self.type][1]

    def raw(self, registers: list[int]) -> float:
        """Read the value from its own registers; may be NaN."""
        raw = number(self.type, registers, self.word_order, self.byte_order)
        if self.mask is None:
            return raw
        lowest = (self.mask & -self.mask).bit_length() - 1
        return (int(raw) & self.mask) >> lowest

    def value(self, quantity: str, registers: list[int], status: Status) -> Value:
        """Give the value in the quantity's own unit; none, and FAULT, where the registers hold no number."""
        raw = self.raw(registers)
        if raw in map(self._as_read, self.missing) or converted(quantity, raw).value is None:
            return Value(quantity, None, Status.FAULT)
        return _plausible(converted(quantity, raw * self.scale + self.offset, self.unit, status))

    def _as_read(self, missing: float) -> float:
        """A sentinel as it comes back from the registers: -9999.9 is no float32."""
        if self.type != "float32" or not abs(missing) < 3e38:
            return missing
        return float(struct.unpack("f", struct.pack("f", missing))[0])


class Write(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written before a poll: to start a measurement, to wipe."""

    function: Annotated[
        Literal[6, 16], msgspec.Meta(description="6 writes one register, 16 several (or one).")
    ] = 6  # fmt: skip
    address: Address
    values: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=32, description="What is written.")]
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=600, description="Seconds to wait after it.")] = 0.0
    every: Annotated[
        int, msgspec.Meta(ge=1, le=10_000, description="Only before every so many polls, the first among them.")
    ] = 1


def _plausible(value: Value) -> Value:
    """Mark a value as a fault that is farther outside of what its quantity can be than that range is wide."""
    known = BY_NAME[value.quantity]
    width = known.high - known.low
    if value.value is None or known.low - width <= value.value <= known.high + width:
        return value
    return value._replace(status=Status.FAULT)
