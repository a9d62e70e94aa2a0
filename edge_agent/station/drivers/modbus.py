"""Any Modbus instrument, RTU on a serial line and TCP on a network line, by the register map in its file.

    sensors:
      multi:
        driver: modbus
        line: bus
        address: 1
        registers:
          ph:               {function: 3, address: 0, type: uint16, scale: 0.01}
          conductivity:     {function: 3, address: 1, type: float32, unit: mS/cm}
          dissolved_oxygen: {function: 3, address: 3, type: float32, word_order: little, byte_order: little}
        status: {function: 3, address: 100, measuring: [0], calibrating: [1, 2]}      # anything else is a fault

Addresses are those on the wire, from 0 (a manual's "40001" is function 3, address 0; "30001" function 4, address 0).
A value of several registers, in the words of the manuals:

    type      big words, big bytes   little words, big bytes    little words, little bytes
    float32   41 DC | 00 00          00 00 | 41 DC              00 00 | DC 41     all are 27.5
              (ABCD)                 (CDAB: YSI, Hamilton)      (DCBA: Yosemitech)

A value is raw * scale + offset in `unit`, then converted to the quantity's own unit. Registers that touch are read
in one request of at most `max_registers`; a gap is never read across, since many instruments refuse registers that
they do not have. Frames: `station/modbus.py`; golden bytes: tests/golden/wire/modbus.txt.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME, conversion, units_for
from edge_agent.contract.strict import meant
from edge_agent.station.conversation import Answer, Conversation, Value
from edge_agent.station.sensor import LineKind, Mistake, Sensor, Speed

TYPES: dict[str, tuple[str, int]] = {
    "int16": (">h", 1),
    "uint16": (">H", 1),
    "int32": (">i", 2),
    "uint32": (">I", 2),
    "float32": (">f", 2),
    "float64": (">d", 4),
}
"""Type: how struct reads it once its bytes are in order, how many registers it takes."""

BEYOND = 1e12
"""No instrument means a larger value; it is a register that holds something else."""

Function = Annotated[Literal[3, 4], msgspec.Meta(description="3 reads holding registers, 4 input registers.")]
Address = Annotated[int, msgspec.Meta(ge=0, le=65_535, description="Register on the wire, from 0.")]
Order = Literal["big", "little"]
Codes = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=65_535)], ...], msgspec.Meta(max_length=64)]


class StatusRegister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A register that says what the instrument is doing; a value in neither list is a fault."""

    function: Function = 3
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
    type: Literal["int16", "uint16", "int32", "uint32", "float32", "float64"] = "uint16"
    word_order: Annotated[
        Order, msgspec.Meta(description="Which register comes first: the high one (big) or the low.")
    ] = "big"
    byte_order: Annotated[
        Order, msgspec.Meta(description="Order of the two bytes in a register; big is the standard.")
    ] = "big"
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
        words = registers if self.word_order == "big" else registers[::-1]
        data = b"".join(word.to_bytes(2, self.byte_order) for word in words)
        return float(struct.unpack(TYPES[self.type][0], data)[0])

    def value(self, quantity: str, registers: list[int], status: Status) -> Value:
        """Give the value in the quantity's own unit; none, and FAULT, where the registers hold no number."""
        raw = self.raw(registers)
        if not math.isfinite(raw) or raw in self.missing:
            return Value(quantity, None, Status.FAULT)
        factor, offset = conversion(quantity, self.unit or BY_NAME[quantity].unit)
        value = (raw * self.scale + self.offset) * factor + offset
        if not abs(value) <= BEYOND:
            return Value(quantity, None, Status.FAULT)
        return Value(quantity, value, status)


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Registers that one request reads."""

    function: int
    address: int
    count: int


class Modbus(Sensor, frozen=True, kw_only=True, tag="modbus"):
    """Any Modbus instrument, RTU or TCP by the kind of its line."""

    address: Annotated[
        int, msgspec.Meta(ge=0, le=247, description="Slave address (unit); on TCP often 1, sometimes 0 or 255.")
    ] = 1
    registers: Annotated[
        dict[str, Register], msgspec.Meta(min_length=1, max_length=64, description="Quantity: where it stands.")
    ]
    status: Annotated[
        StatusRegister | None, msgspec.Meta(description="A register that says what the instrument is doing.")
    ] = None
    max_registers: Annotated[
        int, msgspec.Meta(ge=4, le=125, description="How many registers the instrument gives in one answer.")
    ] = 125

    kinds: ClassVar[frozenset[LineKind]] = frozenset({"serial", "tcp"})
    shares: ClassVar[bool] = True
    modbus: ClassVar[bool] = True
    speeds: ClassVar[tuple[Speed, ...]] = (
        *(Speed(9600), Speed(19200, "8E1"), Speed(19200), Speed(9600, "8E1"), Speed(9600, "8N2")),
        *(Speed(4800), Speed(38400), Speed(115200)),
    )

    @property
    def gives(self) -> tuple[str, ...]:
        return tuple(self.registers)

    def poll(self, kind: LineKind) -> Conversation:
        from edge_agent.station.modbus import RefusedError, Request

        known: dict[tuple[int, int], int] = {}
        refusals = []
        for transaction, block in enumerate(self.blocks(), start=1):
            request = Request(
                tcp=kind == "tcp",
                slave=self.address,
                function=block.function,
                address=block.address,
                count=block.count,
                transaction=transaction,
            )
            frame = yield request.ask()
            try:
                words = request.registers(frame)
            except RefusedError as refusal:  # the other blocks may be there
                refusals.append(str(refusal))
                continue
            for i, word in enumerate(words):
                known[block.function, block.address + i] = word
        values = tuple(self._value(quantity, register, known) for quantity, register in self.registers.items())
        empty = [value.quantity for value in values if value.value is None]
        complaint = "; ".join(refusals) or (f"gives no number for {', '.join(empty)}" if empty else "")
        return Answer(values=values, complaint=complaint)

    def _value(self, quantity: str, register: Register, known: dict[tuple[int, int], int]) -> Value:
        source = register.status or self.status
        try:
            words = [known[register.function, register.address + i] for i in range(register.width)]
            status = source.status(known[source.function, source.address]) if source else Status.MEASURING
        except KeyError:  # refused; a value whose status is unknown is not believed
            return Value(quantity, None, Status.FAULT)
        return register.value(quantity, words, status)

    def blocks(self) -> list[Block]:
        """The fewest requests that read no register that the file does not name and split no value."""
        spans = {(r.function, r.address, r.width) for r in self.registers.values()}
        statuses = [self.status, *(r.status for r in self.registers.values())]
        spans |= {(s.function, s.address, 1) for s in statuses if s is not None}
        return list(_joined(sorted(spans), self.max_registers))

    def mistakes(self) -> Iterator[Mistake]:
        for quantity, register in self.registers.items():
            path = ("registers", quantity)
            if quantity not in BY_NAME:
                yield path, f"{quantity} is not a quantity", meant(quantity, BY_NAME)
            elif register.unit and register.unit not in units_for(quantity):
                yield (
                    (*path, "unit"),
                    f"{quantity} cannot be given in {register.unit}",
                    f"give one of: {', '.join(units_for(quantity))}",
                )
            if register.address + register.width > 65_536:
                yield (
                    (*path, "address"),
                    f"{register.type} at {register.address} ends beyond 65535",
                    "check the address",
                )
            if register.scale == 0 or not math.isfinite(register.scale):
                yield (
                    (*path, "scale"),
                    f"a scale of {register.scale} leaves nothing of the value",
                    "give what one count is worth",
                )


def _joined(spans: Iterable[tuple[int, int, int]], most: int) -> Iterator[Block]:
    function = first = end = -1
    for next_function, address, width in spans:
        joins = next_function == function and address <= end
        if joins and max(end, address + width) - first <= most:
            end = max(end, address + width)
            continue
        if function >= 0:
            yield Block(function=function, address=first, count=end - first)
        function, first, end = next_function, address, address + width
    if function >= 0:
        yield Block(function=function, address=first, count=end - first)
