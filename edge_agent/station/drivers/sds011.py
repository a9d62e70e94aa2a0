"""Nova SDS011 dust sensor (also SDS018, SDS021): a laser and a fan. Serial 9600 8N1. Numbers little-endian.

It answers a query with one frame, and as it comes from the factory also sends one every second by itself. 10 bytes:

    offset  bytes
    0       aa
    1       c0         c0 a measurement, c5 the answer to a command
    2       u16        PM2.5, 0.1 µg/m3
    4       u16        PM10, 0.1 µg/m3
    6       id id      the sensor's number
    8       sum        of the bytes 2 to 7, lowest 8 bits
    9       ab

Commands are 19 bytes: aa b4, thirteen bytes of command, ff ff (any sensor), sum of the bytes 2 to 16, ab. All but the
query are answered with aa c5 and the first four bytes of the command, the setting in the third.

    04                   query
    06 01 00 / 06 01 01  sleep / work; after waking the first 10 to 30 s are not to be believed
    02 00                tell the mode: 0 sends by itself, 1 sends when queried
    02 01 01             send only when queried; kept without power, so it is set only where it is not set already

The laser lives about 8000 hours (eleven months without a break): with `sleep: true` it runs only `warm_up_s` seconds
before each poll. A sensor that is found silent may have been left asleep by other settings: it is woken for the next
poll. Source: Nova's control protocol V1.3; frames checked against captures of a real sensor
(tests/golden/wire/sds011.txt).
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from typing import Annotated, ClassVar

import msgspec

from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Pause, lacking, marked, measured
from edge_agent.station.drivers.pms5003 import sleeping
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor

SIZE = 10


def command(*body: int) -> bytes:
    """Give the 19 bytes of a command to whatever sensor listens."""
    filled = bytes(body).ljust(13, b"\0") + b"\xff\xff"
    return b"\xaa\xb4" + filled + bytes((sum(filled) & 0xFF, 0xAB))


QUERY = command(0x04)
SLEEP = command(0x06, 0x01, 0x00)
WAKE = command(0x06, 0x01, 0x01)
TELL_MODE = command(0x02, 0x00)
WHEN_QUERIED = command(0x02, 0x01, 0x01)


def sound(frame: bytes) -> bool:
    """Tell whether a frame's sum and its last byte are right."""
    return frame[8] == sum(frame[2:8]) & 0xFF and frame[9] == 0xAB


measurement = marked(b"\xaa\xc0", SIZE, sound)
mode = marked(b"\xaa\xc5\x02", SIZE, sound)


class Sds011(Sensor, frozen=True, kw_only=True, tag="sds011"):
    """Nova SDS011, SDS018 or SDS021: pm2_5, pm10."""

    passive: Annotated[
        bool, msgspec.Meta(description="Keep the sensor from sending by itself; every value is then asked for.")
    ] = False
    sleep: Annotated[
        bool, msgspec.Meta(description="Let laser and fan sleep between polls; needs warm_up_s of 10 to 30.")
    ] = False

    speaks: ClassVar[bool] = True

    @property
    def gives(self) -> tuple[str, ...]:
        return ("pm2_5", "pm10")

    @property
    def wakes(self) -> bool:
        return self.sleep

    def poll(self, kind: LineKind) -> Conversation:
        if self.sleep:
            yield Pause(send=WAKE, seconds=self.warm_up_s)
        try:
            if self.passive:
                yield from self._hush()
            frame = yield Ask(send=QUERY, find=measurement, slack=SIZE - 1)
        except (Silence, FrameError):
            yield Pause(send=SLEEP if self.sleep else WAKE)
            raise
        if self.sleep:
            yield Pause(send=SLEEP)
        pm2_5, pm10 = struct.unpack("<2H", frame[2:6])
        values = (
            measured("pm2_5", pm2_5 / 10, low=0, high=999.9),
            measured("pm10", pm10 / 10, low=0, high=1999.9),
        )
        return Answer(values=values, complaint=lacking(values))

    def _hush(self) -> Generator[Ask | Pause, bytes, None]:
        """Make the sensor send only when it is queried, unless it does so already."""
        said = yield Ask(send=TELL_MODE, find=mode, slack=2 * SIZE)
        if said[4] != 1:
            yield Ask(send=WHEN_QUERIED, find=mode, slack=2 * SIZE)

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        yield Ask(send=QUERY, find=measurement)
        return Recognised(why="gives frames of 10 bytes, aa c0, with a right sum")

    def mistakes(self) -> Iterator[Mistake]:
        yield from sleeping(sleep=self.sleep, warm_up_s=self.warm_up_s, every_s=self.every_s)
