"""SDI-12 instruments behind a transparent adapter from RS-232 or USB, which makes the break and turns the line round.

Serial at the adapter's speed (often 9600 8N1; on the wire 1200 7E1 behind it). ASCII; `0` is the address:

    0MC!     measure, answer with a CRC     -> 00053 CR LF       3 values will be ready within 5 s
                                            -> 0 CR LF           service request: they are ready
    0D0!     send what you have             -> 0+3.14-2.718OqZ CR LF    the rest with 0D1! ... 0D9!
    0CC!     the same, but others may be asked meanwhile, and no service request: the whole time is waited
    0RC0!    what it measures all the time  -> as 0D0!

    M C R may have a digit: M1 ... M9. Without CRC the commands are 0M!, 0C!, 0R0!.

The CRC is a CRC-16 (polynomial A001, beginning with 0) over everything before it, six bits to a character, 40 added.
Without it nothing tells a 3 from a 2 that was a 3 on the way: `crc: false` is for instruments older than SDI-12 1.3.
An answer counts only if it has as many values as were announced. The echo that some adapters give is passed over.
Instruments that are asked with M need the line alone until they are done; where there are several, take C.

Source: SDI-12 Support Group, specification 1.4; CRC vectors of tests/golden/wire/sdi12.txt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Iterator
from typing import Annotated, ClassVar

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME, units_for
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Find, Pause, Value, converted
from edge_agent.station.drivers.wxt530 import crc
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, Speed

MAX_LINE = 96
"""No answer is longer (75 characters of values, address, CRC, CR LF), nor its echo."""
NO_TEXT = re.compile(rb"[^ -\x7f]")
"""Bytes that stand in no answer. A character of the CRC may be 7f."""
NUMBER = re.compile(r"[+-](?:[0-9]{1,7}(?:\.[0-9]{0,7})?|\.[0-9]{1,7})(?![0-9.])")


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the instrument's values a quantity is, and what it is in."""

    position: Annotated[int, msgspec.Meta(ge=1, le=99, description="Which value, counted from 1, as in its manual.")]
    unit: Annotated[str, msgspec.Meta(description="Unit of the scaled value; empty: the quantity's own.")] = ""
    scale: Annotated[float, msgspec.Meta(description="What 1 of the instrument is worth, in `unit`.")] = 1.0
    offset: Annotated[float, msgspec.Meta(description="Added after scaling, in `unit`.")] = 0.0
    missing: Annotated[
        tuple[float, ...],
        msgspec.Meta(max_length=16, description="By which the instrument says that it has none, such as -9999."),
    ] = ()


class Sdi12(Sensor, frozen=True, kw_only=True, tag="sdi12"):
    """Any SDI-12 instrument behind a transparent adapter."""

    address: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]$", description="Address: a digit or a letter.")] = "0"
    values: Annotated[
        dict[str, Position],
        msgspec.Meta(min_length=1, max_length=32, description="Quantity: which of the values it is, unit, scale."),
    ]
    command: Annotated[
        str,
        msgspec.Meta(
            pattern="^([MC][1-9]?|R[0-9])$",
            description="How it is asked: M waits for it, C leaves the line to others, R0 to R9 ask for what is ready.",
        ),
    ] = "M"
    crc: Annotated[
        bool, msgspec.Meta(description="Ask with a CRC; false only for instruments older than SDI-12 1.3.")
    ] = True
    max_wait_s: Annotated[
        int, msgspec.Meta(ge=0, le=999, description="A measurement that takes longer than this is not waited for.")
    ] = 60

    shares: ClassVar[bool] = True
    speeds: ClassVar[tuple[Speed, ...]] = (Speed(9600), Speed(1200, "7E1"), Speed(19200), Speed(57600), Speed(115200))

    @property
    def gives(self) -> tuple[str, ...]:
        return tuple(self.values)

    def poll(self, kind: LineKind) -> Conversation:
        command = self.command[0] + ("C" if self.crc else "") + self.command[1:]
        if self.command.startswith("R"):
            numbers = yield from self._data(command)
            return self._answer(numbers)
        seconds, expected = yield from self._measure(command)
        if seconds and self.command.startswith("C"):
            yield Pause(seconds=seconds)
        elif seconds:
            yield from self._service(seconds)
        numbers = []
        for page in range(10):
            numbers += yield from self._data(f"D{page}")
            if len(numbers) >= expected:
                break
        if len(numbers) != expected:
            raise FrameError(f"it announced {expected} values and sent {len(numbers)}")
        return self._answer(numbers)

    def _measure(self, command: str) -> Generator[Ask, bytes, tuple[int, int]]:
        """Order a measurement; gives how many seconds it takes and how many values it will give."""
        digits = 2 if self.command.startswith("C") else 1
        pattern = re.compile(rf"{self.address}(\d{{3}})(\d{{{digits}}})")
        find = answers(lambda text: bool(pattern.fullmatch(text)), behind_noise=True)
        text = yield Ask(send=f"{self.address}{command}!".encode(), find=find)
        match = pattern.fullmatch(said(text))
        assert match
        seconds, expected = int(match[1]), int(match[2])
        if not expected:
            raise FrameError(f"it measures nothing with {self.command}; is another command meant?")
        if seconds > self.max_wait_s:
            raise FrameError(f"it says that it needs {seconds} s, more than max_wait_s ({self.max_wait_s} s)")
        return seconds, expected

    def _service(self, seconds: int) -> Generator[Ask, bytes, None]:
        """Wait until the instrument says that it is done, or its time is over."""
        try:
            yield Ask(find=answers(self.address.__eq__, behind_noise=False), wait_s=seconds)
        except (Silence, FrameError):
            return  # its time is over: what it has is asked for all the same

    def _data(self, command: str) -> Generator[Ask, bytes, list[float]]:
        find = answers(self._is_data, behind_noise=self.crc)
        text = yield Ask(send=f"{self.address}{command}!".encode(), find=find)
        return [float(number) for number in NUMBER.findall(self._body(said(text)) or "")]

    def _is_data(self, text: str) -> bool:
        body = self._body(text)
        return body is not None and not NUMBER.sub("", body)

    def _body(self, text: str) -> str | None:
        """What stands between the address and the CRC; None where either is wrong."""
        if self.crc:
            if crc(text[:-3].encode()) != text[-3:].encode():
                return None
            text = text[:-3]
        return text[1:] if text[:1] == self.address else None

    def _answer(self, numbers: list[float]) -> Answer:
        values, complaints = [], []
        for quantity, where in self.values.items():
            value = Value(quantity, None, Status.FAULT)
            if where.position > len(numbers):
                complaints.append(f"{quantity}: it gives {len(numbers)} values, none at position {where.position}")
            elif (raw := numbers[where.position - 1]) in where.missing:
                complaints.append(f"{quantity}: it says that it has none ({raw:g})")
            else:
                value = converted(quantity, raw * where.scale + where.offset, where.unit)
            values.append(value)
        return Answer(values=tuple(values), complaint="; ".join(complaints))

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        at = said(
            (yield Ask(send=b"?!", find=answers(lambda text: len(text) == 1 and text.isalnum(), behind_noise=False)))
        )
        identity = re.compile(rf"{at}1\d.{{14,30}}")
        find = answers(lambda text: bool(identity.fullmatch(text)), behind_noise=False)
        text = said((yield Ask(send=f"{at}I!".encode(), find=find)))
        return Recognised(options={"address": at}, why=f"calls itself {text[3:].strip()}")

    def mistakes(self) -> Iterator[Mistake]:
        for quantity, where in self.values.items():
            path = ("values", quantity)
            if quantity not in BY_NAME:
                yield path, f"{quantity} is not a quantity", meant(quantity, BY_NAME)
            elif where.unit and where.unit not in units_for(quantity):
                hint = f"give one of: {', '.join(units_for(quantity))}"
                yield (*path, "unit"), f"{quantity} cannot be given in {where.unit}", hint
            if where.scale == 0 or not math.isfinite(where.scale):
                yield (*path, "scale"), f"a scale of {where.scale} leaves nothing of the value", "give what 1 is worth"


def said(line: bytes) -> str:
    """The text of a line that `answers` found."""
    return line[:-2].decode("ascii")


def answers(sound: Callable[[str], bool], *, behind_noise: bool) -> Find:
    """Give a `find` for a line whose text is sound; the echo of a command before it, and what is no text, are dropped.

    `behind_noise`: characters before it are dropped as well; only where the text cannot be the end of another one.
    """

    def find(buffer: bytes) -> tuple[int, bytes | None]:
        end = buffer.find(b"\r\n")
        if end < 0:
            return max(0, len(buffer) - MAX_LINE), None
        text = NO_TEXT.split(buffer[:end])[-1].rpartition(b"!")[2].decode("ascii")
        for start in range(len(text)) if behind_noise else (0,):
            if sound(text[start:]):
                return end + 2, buffer[end - len(text) + start : end + 2]
        return end + 2, None

    return find
