"""Sensors that speak by themselves or in short commands: Plantower, Nova, Atlas. Each speaks on a simulated line."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from edge_agent.station.drivers.atlas_ezo import AtlasEzo
from scripts.simulated.pty import SimulatedLine

Measure = Callable[[str], float]
"""Gives what the sensor measures now, in the quantity's own unit."""


class DustSensor:
    """Sends a frame every `every_s` seconds unless it was told to sleep."""

    def __init__(self, line: SimulatedLine, measure: Measure, every_s: float = 1.0) -> None:
        self._line, self._measure, self._every_s = line, measure, every_s
        self._asleep = False
        line.hears = self._command

    async def run(self) -> None:
        while True:
            if not self._asleep:
                self._line.say(self.frame())
            await asyncio.sleep(self._every_s)

    def frame(self) -> bytes:
        """The frame that the sensor would send now."""
        raise NotImplementedError

    def _command(self, data: bytes) -> None:
        raise NotImplementedError


class PlantowerPms5003(DustSensor):
    """Only streams; hears no more than sleep and wake."""

    def frame(self) -> bytes:
        """The frame that the sensor would send now."""
        dust = [min(65_535, max(0, round(self._measure(q)))) for q in ("pm1", "pm2_5", "pm10")]
        body = struct.pack(
            ">2sH13H", b"BM", 28, *dust, *dust, *(90 * dust[1], 30 * dust[1], 9 * dust[1], 4, 1, 0), 0x9700
        )
        return body + struct.pack(">H", sum(body))

    def _command(self, data: bytes) -> None:
        if data.startswith(b"BM\xe4"):
            self._asleep = data[4] == 0


class NovaSds011(DustSensor):
    """Streams, and answers queries besides."""

    def frame(self) -> bytes:
        """The frame that the sensor would send now."""
        dust = [min(9999, max(0, round(10 * self._measure(q)))) for q in ("pm2_5", "pm10")]
        return self._framed(0xC0, struct.pack("<2H", *dust))

    def _framed(self, kind: int, body: bytes) -> bytes:
        body += b"\x58\xd9"
        return bytes((0xAA, kind)) + body + bytes((sum(body) & 0xFF, 0xAB))

    def _command(self, data: bytes) -> None:
        if len(data) != 19 or not data.startswith(b"\xaa\xb4") or data[17] != sum(data[2:17]) & 0xFF:
            return
        if data[2] == 6 and data[3] == 1:
            self._asleep = data[4] == 0
            self._line.say(self._framed(0xC5, data[2:6]))
        elif data[2] == 4 and not self._asleep:
            self._line.say(self.frame())


class AtlasScientificEzo:
    """Sends a value every second, as from the factory, until `C,0`; answers `R`."""

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
            else:
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
