"""Vaisala WXT520 and WXT530 weather transmitters (WXT531 to 536), ASCII polled: wind by ultrasound, pressure,
temperature, humidity, rain by an impact plate. Serial 19200 8N1 (RS-232, RS-485), lines end with CR LF.

    0R0     all that the transmitter is set to send -> 0R0,Dm=051D,Sm=0.1M,Ta=27.9C,Ua=39.4P,Pa=1003.2H,Rc=0.00M
    0r0Kld  the same with a CRC on both sides       -> 0r0,Dm=...,Rc=0.00M and three characters of CRC
    ?       the address, where one stands alone     -> 0
    0TX,... a message of the transmitter: `Unknown cmd error`, `Start-up`, ...; 0tX where a CRC is used

`0` is the address. A field is a key, a number, and a letter for its unit; the unit is the transmitter's setting:

    Dm  mean wind direction    D degrees            Ta  air temperature   C, F
    Sm  mean wind speed        M m/s, K km/h,       Ua  humidity          P %
                               S mph, N knots       Pa  air pressure      H hPa, P Pa, B bar, M mmHg, I inHg
    Rc  rain since the reset   M mm, I inches       #   instead of the unit: the value is invalid

Rc must only be reset by itself or at a limit (`0RU,Z=M` or `Z=L`), never after each message (`Z=A`). Other fields are
not used, but have to be whole. The CRC is CRC-16 as in SDI-12: polynomial A001, beginning with 0, six bits to a
character, 40 added.

Without the CRC nothing tells a 3 from a 2 that was a 3 on the way. What can be told is told: a line is believed only if
it begins with the question, ends with CR LF, and each of its fields is whole, in a known unit and there once; and a
value only if an instrument can say it. Take `crc: true` where it can be had. Source: Vaisala's user guides M210906EN,
M211840EN; lines of real transmitters in tests/golden/wire/wxt530.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError
from edge_agent.station.conversation import Answer, Ask, Conversation, Value, lacking, measured
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, Speed, doubled

Given = Literal["wind_speed", "wind_direction", "air_temperature", "humidity", "pressure", "rain"]

KEYS: dict[str, tuple[str, float, float]] = {
    "Sm": ("wind_speed", 0, 75),
    "Dm": ("wind_direction", 0, 360),
    "Ta": ("air_temperature", -60, 80),
    "Ua": ("humidity", 0, 100),
    "Pa": ("pressure", 500, 1200),
    "Rc": ("rain", 0, 100_000),
}
"""What is used of the answer: quantity, and what the transmitter can say, in the quantity's unit."""

UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "Sm": {"M": (1, 0), "K": (1 / 3.6, 0), "S": (0.44704, 0), "N": (1852 / 3600, 0)},
    "Dm": {"D": (1, 0)},
    "Ta": {"C": (1, 0), "F": (5 / 9, -160 / 9)},
    "Ua": {"P": (1, 0)},
    "Pa": {"H": (1, 0), "P": (0.01, 0), "B": (1000, 0), "M": (1.333224, 0), "I": (33.86389, 0)},
    "Rc": {"M": (1, 0), "I": (25.4, 0)},
}
"""Factor and offset into the quantity's unit."""

NUMBER = re.compile(r"([+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?)([A-Z#])")
FIELD = re.compile(r"([A-Z][a-z])=([^,=]{0,40})")
INCHES = re.compile(r"[0-9]+\.[0-9]{3}")
"""Rain in inches has three decimals, in mm two; their letters are one bit apart. With a CRC that is of no matter."""

MAX_LINE = 512


def crc(text: bytes) -> bytes:
    """The three characters that stand behind `text`."""
    value = 0
    for byte in text:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return bytes((0x40 | value >> 12, 0x40 | value >> 6 & 0x3F, 0x40 | value & 0x3F))


class Wxt530(Sensor, frozen=True, kw_only=True, tag="wxt530"):
    """Vaisala WXT520, WXT530: wind_speed, wind_direction, air_temperature, humidity, pressure, rain."""

    address: Annotated[
        str, msgspec.Meta(pattern="^[0-9A-Za-z]$", title="one digit or letter", description="0 from the factory.")
    ] = "0"
    crc: Annotated[
        bool, msgspec.Meta(description="Ask with a CRC, so that a damaged line is never believed; all models can.")
    ] = False
    values: Annotated[
        tuple[Given, ...],
        msgspec.Meta(min_length=1, description="What is read; fewer for models that measure less."),
    ] = get_args(Given)

    shares: ClassVar[bool] = True
    speeds: ClassVar[tuple[Speed, ...]] = (Speed(19200), Speed(9600), Speed(4800))

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values

    @property
    def _question(self) -> bytes:
        return f"{self.address}{'r' if self.crc else 'R'}0".encode()

    def poll(self, kind: LineKind) -> Conversation:
        question = self._question
        sum_ = crc(question) if self.crc else b""
        line = yield Ask(send=question + sum_ + b"\r\n", find=self.find)
        fields = self._fields(line) or {}
        found = {KEYS[key][0]: _value(key, *field) for key, field in fields.items() if key in KEYS}
        values = tuple(found.get(q, Value(q, None, Status.FAULT)) for q in self.values)
        absent = ", ".join(q for q in self.values if q not in found)
        invalid = {KEYS[key][0] for key, (_, unit) in fields.items() if key in KEYS and unit == "#"}
        complaints = (
            f"sends no {absent}; is it set to (0WU, 0TU, 0RU)?" if absent else "",
            f"says that its {', '.join(q for q in self.values if q in invalid)} is invalid"
            if invalid & set(self.values)
            else "",
            lacking(v for v in values if v.quantity in found.keys() - invalid),
        )
        return Answer(values=values, complaint="; ".join(filter(None, complaints)))

    def find(self, buffer: bytes) -> tuple[int, bytes | None]:
        """Find the answer, from the address to CR LF. Raises FrameError where the transmitter tells its trouble."""
        end = buffer.find(b"\r\n") + 2
        if end < 2:
            return max(0, len(buffer) - MAX_LINE), None
        start = buffer.rfind(self._question + b",", 0, end)
        if start >= 0:
            return end, buffer[start:end] if self._fields(buffer[start:end]) is not None else None
        told = buffer.rfind(self._question[:1] + (b"tX," if self.crc else b"TX,"), 0, end)
        if told >= 0 and re.search(b"error|chksum", buffer[told:end]):
            raise FrameError(f"it answers {buffer[told : end - 2].decode('ascii', 'replace')}")
        return end, None

    def _fields(self, line: bytes) -> dict[str, tuple[str, str]] | None:
        """Number and unit by key, of the keys that are used; None where any part of the line is not as it must be."""
        text = line[:-2]
        if self.crc:
            text, sum_ = text[:-3], text[-3:]
            if crc(text) != sum_:
                return None
        if not text.isascii() or not text.decode("ascii").isprintable():
            return None
        fields: dict[str, tuple[str, str]] = {}
        for part in text.decode("ascii").split(",")[1:]:
            field = FIELD.fullmatch(part)
            if field is None or field[1] in fields:
                return None
            number = NUMBER.fullmatch(field[2])
            if field[1] in KEYS and (number is None or not self._whole(field[1], *number.groups())):
                return None
            fields[field[1]] = (number[1], number[2]) if number else ("", "")
        return fields

    def _whole(self, key: str, number: str, unit: str) -> bool:
        """Tell whether the unit is one of the key's, and the number is as it is written in that unit."""
        if unit == "#":
            return True
        as_written = self.crc or key != "Rc" or (unit == "I") == bool(INCHES.fullmatch(number))
        return unit in UNITS[key] and as_written

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        # what other sensors were sent before ends with the first CR LF
        own = (yield Ask(send=b"\r\n?\r\n", find=_address)).decode("ascii")[0]
        sensor = cls(line="a", address=own)
        line = yield Ask(send=sensor._question + b"\r\n", find=sensor.find)
        sent = [KEYS[key][0] for key in sensor._fields(line) or {} if key in KEYS]
        options = {"address": own} | ({"values": sent} if len(sent) < len(KEYS) else {})
        return Recognised(options=options, why=f"answers {own}R0") if sent else None

    def mistakes(self) -> Iterator[Mistake]:
        yield from doubled(self.values)


def _value(key: str, number: str, unit: str) -> Value:
    quantity, low, high = KEYS[key]
    if unit == "#":
        return Value(quantity, None, Status.FAULT)
    factor, offset = UNITS[key][unit]
    return measured(quantity, float(number) * factor + offset, low=low, high=high)


def _address(buffer: bytes) -> tuple[int, bytes | None]:
    """Find a line that is an address and nothing else."""
    found = re.search(rb"(?<![ -~])[0-9A-Za-z]\r\n", buffer)
    return (found.end(), found.group()) if found else (max(0, len(buffer) - 3), None)
