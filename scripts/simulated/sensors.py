"""Plantower, Nova, Sensirion, Atlas: sensors that speak by themselves or in short commands, on simulated lines."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from edge_agent.station.drivers import sps30
from edge_agent.station.drivers.atlas_ezo import AtlasEzo
from scripts.simulated.pty import SimulatedLine

Measure = Callable[[str], float]
"""Gives what the sensor measures now, in the quantity's own unit."""


class DustSensor:
    """Sends a frame every `every_s` seconds unless it was told to sleep or to wait for questions."""

    def __init__(self, line: SimulatedLine, measure: Measure, every_s: float = 1.0) -> None:
        self._line, self._measure, self._every_s = line, measure, every_s
        self._asleep = self._passive = False
        line.hears = self._command

    async def run(self) -> None:
        while True:
            if not self._asleep and not self._passive:
                self._line.say(self.frame())
            await asyncio.sleep(self._every_s)

    def frame(self) -> bytes:
        """The frame that the sensor would send now."""
        raise NotImplementedError

    def _command(self, data: bytes) -> None:
        raise NotImplementedError


class PlantowerPms5003(DustSensor):
    """Streams until it is told to be passive, then answers when it is asked."""

    def frame(self) -> bytes:
        """The frame that the sensor would send now."""
        dust = [min(65_535, max(0, round(self._measure(q)))) for q in ("pm1", "pm2_5", "pm10")]
        body = struct.pack(
            ">2sH13H", b"BM", 28, *dust, *dust, *(90 * dust[1], 30 * dust[1], 9 * dust[1], 4, 1, 0), 0x9700
        )
        return body + struct.pack(">H", sum(body))

    def _command(self, data: bytes) -> None:
        for command in (data[i : i + 7] for i in range(0, len(data), 7)):  # several may come together
            if command.startswith(b"BM\xe4"):
                self._asleep = command[4] == 0
            elif command.startswith(b"BM\xe1"):
                self._passive = command[4] == 0
            elif command.startswith(b"BM\xe2") and not self._asleep:
                self._line.say(self.frame())


class NovaSds011(DustSensor):
    """Streams unless it was told to wait for queries, and answers them."""

    def frame(self) -> bytes:
        """The frame that the sensor would send now."""
        dust = [min(9999, max(0, round(10 * self._measure(q)))) for q in ("pm2_5", "pm10")]
        return self._framed(0xC0, struct.pack("<2H", *dust))

    def _framed(self, kind: int, body: bytes) -> bytes:
        body += b"\x58\xd9"
        return bytes((0xAA, kind)) + body + bytes((sum(body) & 0xFF, 0xAB))

    def _command(self, data: bytes) -> None:
        for begin in range(0, len(data), 19):  # several may come together
            self._obey(data[begin : begin + 19])

    def _obey(self, data: bytes) -> None:
        if len(data) != 19 or not data.startswith(b"\xaa\xb4") or data[17] != sum(data[2:17]) & 0xFF:
            return
        if data[2] == 6 and data[3] == 1:
            self._asleep = data[4] == 0
            self._line.say(self._framed(0xC5, data[2:6]))
        elif data[2] == 2 and not self._asleep:
            self._passive = data[4] == 1 if data[3] == 1 else self._passive
            self._line.say(self._framed(0xC5, bytes((2, data[3], self._passive, 0))))
        elif data[2] == 4 and not self._asleep:
            self._line.say(self.frame())


class SensirionSps30:
    """Stands still until measuring is begun; then there is a reading every `every_s` seconds, which is given once."""

    def __init__(self, line: SimulatedLine, measure: Measure, every_s: float = 1.0) -> None:
        self._line, self._measure, self._every_s = line, measure, every_s
        self._measuring = self._new = False
        self._heard = bytearray()
        line.hears = self._hears

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            self._new = self._measuring

    def _hears(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\x7e", 1)) >= 0:
            if held := sps30.content(bytes(self._heard[: end + 1])):
                self._command(held[1], held[3:])
                end += 1
            del self._heard[:end]

    def _command(self, command: int, data: bytes) -> None:
        if command in (sps30.BEGIN, sps30.END, sps30.READ):
            allowed = self._measuring == (command != sps30.BEGIN)
            self._say(command, 0 if allowed else sps30.NOT_IN_THIS_STATE, self._reading() if command == 3 else b"")
            if allowed and command != sps30.READ:
                self._measuring = command == sps30.BEGIN
                self._new = False
        elif command == sps30.STATUS:
            self._say(command, 0, bytes(5))
        else:
            self._say(command, 2)

    def _reading(self) -> bytes:
        if not self._new:
            return b""
        self._new = False
        pm1, pm2_5, pm10 = (self._measure(q) for q in ("pm1", "pm2_5", "pm10"))
        return struct.pack(">10f", pm1, pm2_5, (pm2_5 + pm10) / 2, pm10, *[7 * pm1] * 5, 0.6)

    def _say(self, command: int, state: int, data: bytes = b"") -> None:
        self._line.say(sps30.framed(bytes((0, command, state, len(data))) + data))


class AtlasScientificEzo:
    """Sends a value every second, as from the factory, until `C,0`; answers `R` and `T,`."""

    FORMAT = {"ph": "{:.3f}", "orp": "{:.1f}", "water_temperature": "{:.3f}", "dissolved_oxygen": "{:.2f}"}

    def __init__(self, line: SimulatedLine, measure: Measure, sensor: AtlasEzo, takes_s: float = 0.2) -> None:
        self._line, self._measure, self._sensor, self._takes_s = line, measure, sensor, takes_s
        self._continuous = True
        self._heard = bytearray()
        self._commands: asyncio.Queue[str] = asyncio.Queue()
        line.hears = self._hears

    async def run(self) -> None:
        while True:
            try:
                command = await asyncio.wait_for(self._commands.get(), 1 if self._continuous else None)
            except TimeoutError:
                self._line.say(self._value())
                continue
            if command == "R":
                await asyncio.sleep(self._takes_s)
                self._line.say(self._value())
            elif command.startswith("C,"):
                self._continuous = command != "C,0"
            elif not command.startswith("T,"):  # the temperature of the water is heard, and changes nothing here
                self._line.say(b"*ER\r")
                continue
            self._line.say(b"*OK\r")

    def _value(self) -> bytes:
        values = (self.FORMAT.get(q, "{:.1f}").format(self._measure(q)) for q in self._sensor.values)
        return ",".join(values).encode() + b"\r"

    def _hears(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r")) >= 0:
            self._commands.put_nowait(self._heard[:end].decode("ascii", "replace").upper())
            del self._heard[: end + 1]
