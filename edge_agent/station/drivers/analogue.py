"""4-20 mA transmitters on a Modbus analogue input module.

    sensors:
      tank:
        driver: analogue
        line: bus
        address: 3
        channels:
          water_level: {function: 4, address: 0, scale: 0.001, at_4_ma: 0, at_20_ma: 5, unit: m}

A channel's register holds a count; current = count * scale + offset in mA, as the module's manual says:

    counts                   scale           offset
    0-20000 for 0-20 mA      0.001           0
    4000-20000 for 4-20 mA   0.001           0
    0-4095 for 4-20 mA       0.00390720      4          16 / 4095
    0-65535 for 0-20 mA      0.000305180     0          20 / 65535

What a current means follows NAMUR NE 43:

    below 3.6 mA    fault: wire broken, no power, transmitter in error    no value, status fault
    3.6 to 3.8      the transmitter is at its lower end                   the value of 3.8 mA, and a complaint
    3.8 to 20.5     measuring                                             the value, also a little outside 4 to 20
    20.5 to 21      the transmitter is at its upper end                   the value of 20.5 mA, and a complaint
    above 21        fault: transmitter in error, short circuit            no value, status fault

At its ends a transmitter says only that what it measures lies beyond them. Such a value is kept as one that was
measured, since an effluent beyond the upper end must not vanish from the records; it is never made larger than can be
known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME, units_for
from edge_agent.station.conversation import Conversation, Value, answer_of, converted
from edge_agent.station.registers import TYPES, Block, Order, number
from edge_agent.station.sensor import LineKind, Mistake, Sensor

BROKEN_MA, LOWEST_MA, HIGHEST_MA, FAILED_MA = 3.6, 3.8, 20.5, 21.0


class Channel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input of the module, and what its transmitter measures."""

    function: Annotated[
        Literal[3, 4],
        msgspec.Meta(description="3 reads holding registers, 4 input registers; see the module's manual."),
    ] = 4
    address: Annotated[int, msgspec.Meta(ge=0, le=65_535, description="Register on the wire, from 0.")]
    type: Literal["uint16", "int16", "int32", "uint32", "float32"] = "uint16"
    word_order: Annotated[
        Order, msgspec.Meta(description="Which register comes first: the high one (big) or the low.")
    ] = "big"
    scale: Annotated[float, msgspec.Meta(gt=0, description="mA for one count of the register.")]
    offset: Annotated[float, msgspec.Meta(description="mA at count 0.")] = 0.0
    at_4_ma: Annotated[float, msgspec.Meta(description="What the transmitter means by 4 mA, in `unit`.")]
    at_20_ma: Annotated[float, msgspec.Meta(description="What the transmitter means by 20 mA, in `unit`.")]
    unit: Annotated[str, msgspec.Meta(description="Unit of the two; empty: the quantity's own.")] = ""

    @property
    def width(self) -> int:
        """Registers that the count takes."""
        return TYPES[self.type][1]

    def value(self, quantity: str, registers: list[int]) -> tuple[Value, str]:
        """What the registers mean, and what is to be said against it."""
        current = round(number(self.type, registers, self.word_order) * self.scale + self.offset, 6)
        if not BROKEN_MA <= current <= FAILED_MA:  # NaN as well
            why = (
                "is the wire whole, has the transmitter power?"
                if current < BROKEN_MA
                else "the transmitter is in error"
            )
            return Value(quantity, None, Status.FAULT), f"{current:.2f} mA; {why} · đứt dây hoặc thiết bị lỗi"
        known = min(max(current, LOWEST_MA), HIGHEST_MA)
        value = converted(
            quantity, self.at_4_ma + (known - 4) / 16 * (self.at_20_ma - self.at_4_ma), self.unit
        )  # fmt: skip
        return value, "" if known == current else f"{current:.2f} mA is beyond what the transmitter can measure"


class Analogue(Sensor, frozen=True, kw_only=True, tag="analogue"):
    """4-20 mA transmitters on a Modbus analogue input module."""

    address: Annotated[int, msgspec.Meta(ge=0, le=255, description="Modbus address of the module.")] = 1
    channels: Annotated[
        dict[str, Channel], msgspec.Meta(min_length=1, max_length=16, description="Quantity: its input.")
    ]

    kinds: ClassVar[frozenset[LineKind]] = frozenset({"serial", "tcp"})
    shares: ClassVar[bool] = True
    modbus: ClassVar[bool] = True

    @property
    def gives(self) -> tuple[str, ...]:
        return tuple(self.channels)

    def poll(self, kind: LineKind) -> Conversation:
        from edge_agent.station.modbus import Slave

        blocks = [Block(channel.function, channel.address, channel.width) for channel in self.channels.values()]
        found = yield from Slave(kind, self.address).read_all(blocks)
        return answer_of(
            channel.value(quantity, words)
            if isinstance(words, list)
            else (Value(quantity, None, Status.FAULT), str(words))
            for (quantity, channel), words in zip(self.channels.items(), found, strict=True)
        )

    def mistakes(self) -> Iterator[Mistake]:
        for quantity, channel in self.channels.items():
            path = ("channels", quantity)
            if quantity not in BY_NAME:
                yield path, f"{quantity} is not a quantity", meant(quantity, BY_NAME)
            elif channel.unit and channel.unit not in units_for(quantity):
                hint = f"give one of: {', '.join(units_for(quantity))}"
                yield (*path, "unit"), f"{quantity} cannot be given in {channel.unit}", hint
            if channel.at_4_ma == channel.at_20_ma or not math.isfinite(channel.at_20_ma - channel.at_4_ma):
                yield (*path, "at_20_ma"), "4 mA and 20 mA mean the same", "give the transmitter's range"
            if channel.address + channel.width > 65_536:
                yield (*path, "address"), f"{channel.type} at {channel.address} ends beyond 65535", "check the address"
