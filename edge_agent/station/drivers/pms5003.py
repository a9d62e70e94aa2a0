"""Plantower dust sensors PMS1003, PMS5003, PMS7003, PMSA003: a laser and a fan, particles counted by scattering.

Serial 9600 8N1, 3.3 V. As it comes from the factory it sends a frame about once a second (2.3 s while the air is
steady) without being asked. 32 bytes, numbers big-endian:

    offset  bytes
    0       42 4d          "BM"
    2       00 1c          28 bytes follow
    4       u16 u16 u16    PM1, PM2.5, PM10 for factory calibration (not used)
    10      u16 u16 u16    PM1, PM2.5, PM10 in ambient air, µg/m3
    16      6 x u16        particles in 0.1 L over 0.3, 0.5, 1, 2.5, 5, 10 µm (not used)
    28      version        97 for the PMS5003; reserved in the PMS1003
    29      error          0, or a code of the sensor's own
    30      u16            sum of the 30 bytes before

Commands, 7 bytes, sum of the first five at the end. Some models answer some of them with 8 bytes (42 4d 00 04 ...),
which are passed over.

    42 4d e1 00 00 01 70   passive: send only when asked        42 4d e1 00 01 01 71   active: send by itself
    42 4d e2 00 00 01 71   passive: send one frame
    42 4d e4 00 00 01 73   sleep: laser and fan off             42 4d e4 00 01 01 74   wake

After waking the first 10 to 30 s are not to be believed; with `sleep: true` the laser runs only `warm_up_s` seconds
before each poll. A sensor forgets its mode without power, so `passive: true` says it at every poll. One that is found
silent may have been left asleep or passive by other settings: it is woken and made to speak for the next poll.

Source: Plantower's data manual V2.3; frames checked against captures of a real sensor (tests/golden/wire/pms5003.txt).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Annotated, ClassVar

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Pause, lacking, marked, measured
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor

SIZE = 32
PASSIVE = bytes.fromhex("424de100000170")
ACTIVE = bytes.fromhex("424de100010171")
READ = bytes.fromhex("424de200000171")
SLEEP = bytes.fromhex("424de400000173")
WAKE = bytes.fromhex("424de400010174")

SETTLE_S = 0.2
"""So long a frame may still be under way after the sensor was told to be passive."""


def sound(frame: bytes) -> bool:
    """Tell whether the sum at the end of a frame is right."""
    return sum(frame[:-2]) == int.from_bytes(frame[-2:], "big")


find = marked(bytes.fromhex("424d001c"), SIZE, sound)


class Pms5003(Sensor, frozen=True, kw_only=True, tag="pms5003"):
    """Plantower PMS1003, PMS5003, PMS7003 or PMSA003: pm1, pm2_5, pm10."""

    timeout_s: Annotated[
        float,
        msgspec.Meta(ge=0.05, le=60, description="Seconds to wait for a frame; in steady air one comes every 2.3 s."),
    ] = 3.0
    passive: Annotated[
        bool, msgspec.Meta(description="Ask for each frame instead of listening; needs the sensor's RX to be wired.")
    ] = False
    sleep: Annotated[
        bool, msgspec.Meta(description="Let laser and fan sleep between polls; needs warm_up_s of 10 to 30.")
    ] = False

    speaks: ClassVar[bool] = True

    @property
    def gives(self) -> tuple[str, ...]:
        return ("pm1", "pm2_5", "pm10")

    @property
    def wakes(self) -> bool:
        return self.sleep

    def poll(self, kind: LineKind) -> Conversation:
        if self.sleep:
            yield Pause(send=WAKE, seconds=self.warm_up_s)
        if self.passive:
            yield Pause(send=PASSIVE, seconds=SETTLE_S)
        try:
            frame = yield Ask(send=READ if self.passive else b"", find=find, slack=SIZE - 1)
        except (Silence, FrameError):
            yield Pause(send=WAKE)
            if not self.passive:
                yield Pause(send=ACTIVE)
            if self.sleep:
                yield Pause(send=SLEEP)
            raise
        if self.sleep:
            yield Pause(send=SLEEP)
        return self._meant(frame)

    def _meant(self, frame: bytes) -> Answer:
        error = frame[29]
        values = tuple(
            measured(quantity, value, low=0, high=10_000, status=Status.FAULT if error else Status.MEASURING)
            for quantity, value in zip(self.gives, struct.unpack(">3H", frame[10:16]), strict=True)
        )
        return Answer(values=values, complaint=f"the sensor reports error {error}" if error else lacking(values))

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        yield Ask(find=find)
        return Recognised(why="sends frames of 32 bytes, 42 4d 00 1c, with a right sum")

    def mistakes(self) -> Iterator[Mistake]:
        yield from sleeping(sleep=self.sleep, warm_up_s=self.warm_up_s, every_s=self.every_s)


def sleeping(*, sleep: bool, warm_up_s: int, every_s: int) -> Iterator[Mistake]:
    """What is wrong with the options of a laser that sleeps between polls."""
    if sleep and warm_up_s < 10:
        yield ("warm_up_s",), f"{warm_up_s} s are too few for a sensor that sleeps", "give 10 to 30"
    if sleep and every_s < warm_up_s + 10:
        yield ("every_s",), f"{every_s} s leave no time to sleep", f"give at least {warm_up_s + 10}, or sleep: false"
