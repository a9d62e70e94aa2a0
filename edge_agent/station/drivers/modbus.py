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
          turbidity:        {function: 4, address: 9, type: uint16, mask: 0x0FFF, missing: [4095]}
        status: {function: 3, address: 100, measuring: [0], calibrating: [1, 2]}      # anything else is a fault
        before:                                                                       # where it must be told to measure
          - {function: 6, address: 1, values: [15], wait_s: 2}

Addresses are those on the wire, from 0 (a manual's "40001" is function 3, address 0; "30001" function 4, address 0).
Types and orders of bytes: `station/registers.py`. A value is raw * scale + offset in `unit`, then converted to the
quantity's own unit.

Registers that touch are read in one request of at most `max_registers`; a gap is never read across, since many
instruments refuse registers that they do not have. Where such a request is refused or not answered, its values are
asked for one by one: one wrong address costs no other value, and the complaint names it.

Never believed: what is no number, `missing`, and numbers so large or so small that the order of their bytes must be
another one. A value far outside of what its quantity can be on the island is kept, status fault.

Frames: `station/modbus.py`; golden bytes: tests/golden/wire/modbus.txt.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME, units_for
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Ask, Conversation, Pause, Value, answer_of
from edge_agent.station.register_map import Register, StatusRegister, Write
from edge_agent.station.registers import Block, joined
from edge_agent.station.sensor import LineKind, Mistake, Sensor, Speed

if TYPE_CHECKING:
    from edge_agent.station.modbus import Slave


class Modbus(Sensor, frozen=True, kw_only=True, dict=True, tag="modbus"):
    """Any Modbus instrument, RTU or TCP by the kind of its line."""

    address: Annotated[
        int, msgspec.Meta(ge=0, le=255, description="Slave address (unit); on TCP often 1, sometimes 255 or 0.")
    ] = 1
    registers: Annotated[
        dict[str, Register], msgspec.Meta(min_length=1, max_length=64, description="Quantity: where it stands.")
    ]
    status: Annotated[
        StatusRegister | None, msgspec.Meta(description="A register that says what the instrument is doing.")
    ] = None
    before: Annotated[
        tuple[Write, ...], msgspec.Meta(max_length=8, description="What is written before the values are read.")
    ] = ()
    wake: Annotated[
        bool, msgspec.Meta(description="It sleeps and does not answer what wakes it: read once for that, then wait.")
    ] = False
    wake_s: Annotated[float, msgspec.Meta(ge=0, le=60, description="Seconds that it needs to wake.")] = 2.0
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

    @cached_property
    def _polls(self) -> Iterator[int]:
        return itertools.count()

    def poll(self, kind: LineKind) -> Conversation:
        from edge_agent.station.modbus import Slave

        slave = Slave(kind, self.address)
        nth = next(self._polls)
        if self.wake:
            first = next(iter(self.registers.values()))
            yield slave.say(Block(first.function, first.address, first.width), self.wake_s)
        for write in self.before:
            if nth % write.every == 0:
                yield from slave.write(write.address, write.values, write.function)
                yield Pause(seconds=write.wait_s)
        known = yield from self._read(slave)
        return answer_of(self._value(quantity, register, known) for quantity, register in self.registers.items())

    def _read(self, slave: Slave) -> Generator[Ask | Pause, bytes, Known]:
        """Read every register of the map; what is refused together is asked for one by one."""
        blocks = self.blocks()
        known: Known = {}
        found = dict(zip(blocks, (yield from slave.read_all(blocks)), strict=True))
        again = []
        for block, words in found.items():
            parts = [part for part in self._parts() if _holds(block, part)]
            if isinstance(words, list):
                known |= {(block.function, block.address + i): word for i, word in enumerate(words)}
            elif len(parts) > 1 and _may_be_partly_there(words):
                again += parts
            else:
                known |= {(block.function, block.address + i): words for i in range(block.count)}
        for part, words in zip(again, (yield from slave.read_all(again)), strict=True):
            for i in range(part.count):
                known[part.function, part.address + i] = words[i] if isinstance(words, list) else words
        return known

    def _value(self, quantity: str, register: Register, known: Known) -> tuple[Value, str]:
        """What its registers mean, and what is to be said against it."""
        none = Value(quantity, None, Status.FAULT)
        words: list[int] = []
        for i in range(register.width):
            word = known[register.function, register.address + i]
            if not isinstance(word, int):
                return none, str(word)
            words.append(word)
        status = Status.MEASURING
        if source := register.status or self.status:
            code = known[source.function, source.address]
            if not isinstance(code, int):  # a value whose status is unknown is not believed
                return none, f"its status: {code}"
            status = source.status(code)
        value = register.value(quantity, words, status)
        where, said = f"register {register.address}", " ".join(f"{word:04x}" for word in words)
        if value.value is None:
            return value, f"{where} holds no number ({said})"
        if value.status > status:
            unit = BY_NAME[quantity].unit
            return (
                value,
                f"{where} gives {value.value:.6g} {unit} ({said}); are type, word_order, byte_order, unit right?",
            )
        return value, ""

    def _parts(self) -> list[Block]:
        """What must be read whole: every value, every status."""
        statuses = [self.status, *(r.status for r in self.registers.values())]
        parts = {Block(r.function, r.address, r.width) for r in self.registers.values()}
        return sorted(parts | {Block(s.function, s.address, 1) for s in statuses if s is not None})

    def blocks(self) -> list[Block]:
        """The fewest requests that read no register that the file does not name and split no value."""
        return list(joined(self._parts(), self.max_registers))

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
            if register.mask is not None and not register.type.startswith("uint"):
                yield (
                    (*path, "mask"),
                    f"{register.type} is not a row of bits",
                    "give an unsigned type, such as uint16",
                )
            if register.scale == 0 or not math.isfinite(register.scale):
                yield (
                    (*path, "scale"),
                    f"a scale of {register.scale} leaves nothing of the value",
                    "give what one count is worth",
                )
        for i, write in enumerate(self.before):
            if write.function == 6 and len(write.values) > 1:
                yield ("before", i, "function"), "function 6 writes one register alone", "give function: 16"
            if write.address + len(write.values) > 65_536:
                yield ("before", i, "address"), "what is written ends beyond 65535", "check the address"


Known = dict[tuple[int, int], int | FrameError | Silence]
"""Function and register: what it holds, or why that is not known."""


def _may_be_partly_there(refusal: FrameError | Silence) -> bool:
    """Whether what was refused together may be given one by one."""
    return isinstance(refusal, Silence) or getattr(refusal, "code", 0) in (2, 3, 4)


def _holds(block: Block, part: Block) -> bool:
    end = block.address + block.count
    return block.function == part.function and block.address <= part.address < end
