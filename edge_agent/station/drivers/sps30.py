"""Sensirion SPS30 dust sensor: a laser and a fan. Serial 115200 8N1, 3.3 V (pin SEL left open). Frames are SHDLC:

    to it      7e  address 00  command  length         data  check  7e
    from it    7e  address 00  command  state  length  data  check  7e

`check` is ff less the lowest 8 bits of the sum of what stands between 7e and it. In all of that four bytes never
appear: 7e is sent as 7d 5e, 7d as 7d 5d, 11 as 7d 31, 13 as 7d 33.

    00  01 03   begin to measure, numbers as floats (01 05: as u16); laser and fan run
    01          end measuring; laser and fan stop
    03          read: 10 big-endian floats, anew every second; no data where nothing is new
                    PM1, PM2.5, PM4, PM10 µg/m3; particles up to 0.5, 1, 2.5, 4, 10 µm in 1 cm3; typical size µm
    d2  00      tell the device status: u32 of which bit 21 fan too fast or slow, 5 laser failed, 4 fan blocked; u8

    state       lowest 7 bits: 0 done, else an error, 43 "not in this state"; highest bit: see the device status

After power-up it stands still: the first read is refused (43), measuring is begun, and `warm_up_s` later it is read.
With `sleep: true` it measures only from `warm_up_s` before each poll; the first 8 s, in clean air 30 s, are not to be
believed. PM4 and the counts of particles are not used. Source: Sensirion's data sheet D1; frames checked against
captures of a real sensor (tests/golden/wire/sps30.txt).
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from functools import partial
from typing import Annotated, ClassVar

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Pause, Value, lacking, measured
from edge_agent.station.drivers.pms5003 import sleeping
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, Speed

BEGIN, END, READ, STATUS = 0x00, 0x01, 0x03, 0xD2
NOT_IN_THIS_STATE = 0x43
ERRORS = {
    0x01: "wrong length of data",
    0x02: "unknown command",
    0x03: "no right to this command",
    0x04: "parameter out of range",
    0x28: "internal argument out of range",
    NOT_IN_THIS_STATE: "not allowed in its state",
}
FAILURES = {21: "the fan runs too fast or too slow", 5: "the laser has failed", 4: "the fan is blocked or broken"}
LAYOUT = {40: ">10f", 20: ">10H"}
"""What a reading's data hold, by their length."""

FIRST_S = 1.2
"""So long after the beginning, or after the last new values, new values are there."""
TRIES = 4
MAX_SIZE = 2 * (5 + 255) + 2

_ESCAPES = {0x5E: 0x7E, 0x5D: 0x7D, 0x31: 0x11, 0x33: 0x13}
_ESCAPED = {value: bytes((0x7D, key)) for key, value in _ESCAPES.items()}


def check(content: bytes) -> int:
    """The check byte of what stands between the first 7e and it."""
    return 0xFF - (sum(content) & 0xFF)


def framed(content: bytes) -> bytes:
    """A frame as it goes over the line; `content` is everything but the check."""
    stuffed = b"".join(_ESCAPED.get(byte, bytes((byte,))) for byte in (*content, check(content)))
    return b"\x7e" + stuffed + b"\x7e"


def content(frame: bytes) -> bytes:
    """What a frame holds between its ends, without the check; nothing where the frame is not sound."""
    plain = bytearray()
    stuffed = iter(frame[1:-1])
    for byte in stuffed:
        meant = _ESCAPES.get(next(stuffed, -1)) if byte == 0x7D else byte
        if meant is None:
            return b""
        plain.append(meant)
    held = bytes(plain[:-1])
    return held if plain and plain[-1] == check(held) else b""


def find(buffer: bytes, *, command: int) -> tuple[int, bytes | None]:
    """Find an answer to the command; bind `command` to make it a `Find`."""
    start = buffer.find(b"\x7e")
    if start < 0:
        return len(buffer), None
    end = buffer.find(b"\x7e", start + 1)
    if end < 0:
        return (start if len(buffer) - start < MAX_SIZE else start + 1), None
    frame = buffer[start : end + 1]
    held = content(frame)
    if len(held) < 4 or held[:2] != bytes((0, command)) or len(held) != 4 + held[3]:
        return end, None  # its end may be the beginning of the next
    return end + 1, frame


def ask(command: int, data: bytes = b"") -> Generator[Ask | Pause, bytes, tuple[int, bytes]]:
    """Give a command; returns the state and the data of the answer."""
    frame = yield Ask(send=framed(bytes((0, command, len(data))) + data), find=partial(find, command=command))
    held = content(frame)
    return held[2], held[4:]


class Sps30(Sensor, frozen=True, kw_only=True, tag="sps30"):
    """Sensirion SPS30: pm1, pm2_5, pm10."""

    sleep: Annotated[
        bool, msgspec.Meta(description="Let laser and fan stand between polls; needs warm_up_s of 10 to 30.")
    ] = False

    speeds: ClassVar[tuple[Speed, ...]] = (Speed(115200),)

    @property
    def gives(self) -> tuple[str, ...]:
        return ("pm1", "pm2_5", "pm10")

    @property
    def wakes(self) -> bool:
        return self.sleep

    @property
    def waits(self) -> bool:
        return True

    def poll(self, kind: LineKind) -> Conversation:
        if not self.sleep:
            return (yield from self._read())
        yield from self._begin()
        try:
            answer = yield from self._read()
        except (Silence, FrameError):
            yield Pause(send=framed(bytes((0, END, 0))))
            raise
        yield Pause(send=framed(bytes((0, END, 0))))
        return answer

    def _begin(self) -> Generator[Ask | Pause, bytes, None]:
        """Begin to measure, or go on; returns when values can be read."""
        yield from ask(BEGIN, b"\x01\x03")
        yield Pause(seconds=max(FIRST_S, self.warm_up_s))

    def _read(self) -> Conversation:
        state, data = yield from ask(READ)
        if state & 0x7F == NOT_IN_THIS_STATE:
            yield from self._begin()
            state, data = yield from ask(READ)
        tries = 1
        while not (state & 0x7F or data) and tries < TRIES:
            yield Pause(seconds=FIRST_S)
            state, data = yield from ask(READ)
            tries += 1
        if state & 0x7F:
            error = ERRORS.get(state & 0x7F, "not in the data sheet")
            return self._none(f"refuses to be read: error {state & 0x7F:02x}, {error}")
        if not data:
            return self._none(f"has nothing new for {(TRIES - 1) * FIRST_S:.0f} s")
        if len(data) not in LAYOUT:
            raise FrameError(f"{len(data)} bytes of values: {data.hex(' ')}")
        failures = (yield from self._failures()) if state & 0x80 else ""
        pm1, pm2_5, _, pm10 = struct.unpack(LAYOUT[len(data)], data)[:4]
        values = tuple(
            measured(quantity, value, low=0, high=10_000, status=Status.FAULT if failures else Status.MEASURING)
            for quantity, value in zip(self.gives, (pm1, pm2_5, pm10), strict=True)
        )
        return Answer(values=values, complaint=failures or lacking(values))

    def _failures(self) -> Generator[Ask | Pause, bytes, str]:
        """What the device status says is wrong."""
        try:
            _, data = yield from ask(STATUS, b"\0")
        except (Silence, FrameError):
            data = b""
        bits = int.from_bytes(data[:4], "big")
        return "; ".join(text for bit, text in FAILURES.items() if bits >> bit & 1) or "says that something has failed"

    def _none(self, complaint: str) -> Answer:
        return Answer(values=tuple(Value(q, None, Status.FAULT) for q in self.gives), complaint=complaint)

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        yield from ask(READ)
        return Recognised(why="answers SHDLC frames")

    def mistakes(self) -> Iterator[Mistake]:
        yield from sleeping(sleep=self.sleep, warm_up_s=self.warm_up_s, every_s=self.every_s)
