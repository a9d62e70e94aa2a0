"""Weather stations on a simulated line: a Vaisala transmitter that is polled, and one that sends NMEA 0183."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import xor

from edge_agent.station.drivers.nmea_weather import NmeaWeather
from edge_agent.station.drivers.wxt530 import Wxt530, crc
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import Measure


class VaisalaWxt530:
    """Answers `aR0` and, with a CRC, `ar0`; `?` with its address; whatever else with an error."""

    FIELDS = {
        "wind_direction": "Dm={:03.0f}D",
        "wind_speed": "Sm={:.1f}M",
        "air_temperature": "Ta={:.1f}C",
        "humidity": "Ua={:.1f}P",
        "pressure": "Pa={:.1f}H",
        "rain": "Rc={:.2f}M",
    }

    def __init__(self, line: SimulatedLine, measure: Measure, sensor: Wxt530) -> None:
        self._line, self._measure, self._sensor = line, measure, sensor
        self._heard = bytearray()
        line.hears = self._hears

    async def run(self) -> None:
        await asyncio.Event().wait()  # it says nothing by itself

    def _hears(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r\n")) >= 0:
            self._command(bytes(self._heard[:end]))
            del self._heard[: end + 2]

    def _command(self, command: bytes) -> None:
        own = self._sensor.address.encode()
        if command == b"?":
            self._line.say(own + b"\r\n")
        elif command == own + b"R0":
            self._line.say(self._message(own + b"R0") + b"\r\n")
        elif command.startswith(own + b"r0"):
            sound = command[3:] == crc(command[:3])
            answer = self._message(own + b"r0") if sound else own + b"tX,Use chksum " + crc(own + b"r0")
            self._line.say(answer + crc(answer) + b"\r\n")
        elif command.startswith(own):
            self._line.say(own + b"TX,Unknown cmd error\r\n")

    def _message(self, question: bytes) -> bytes:
        fields = [text.format(self._measure(q)) for q, text in self.FIELDS.items() if q in self._sensor.values]
        return b",".join([question, *(field.encode() for field in fields), b"Th=28.1C", b"Vh=0.0N"])


class NmeaStation:
    """Sends MWV, and MDA where it has more than wind, every `every_s` seconds."""

    def __init__(self, line: SimulatedLine, measure: Measure, sensor: NmeaWeather, every_s: float = 1.0) -> None:
        self._line, self._measure, self._sensor, self._every_s = line, measure, sensor, every_s

    async def run(self) -> None:
        while True:
            self._line.say(b"".join(map(_sentence, self._told())))
            await asyncio.sleep(self._every_s)

    def _told(self) -> list[str]:
        said = {q: self._measure(q) for q in self._sensor.values}

        def text(quantity: str, form: str, factor: float = 1) -> str:
            return form.format(said[quantity] * factor) if quantity in said else ""

        reference = "T" if self._sensor.wind == "true" else "R"
        direction, speed = text("wind_direction", "{:.1f}"), text("wind_speed", "{:.2f}")
        wind = f"WIMWV,{direction},{reference},{speed},M,A"
        if said.keys() <= {"wind_speed", "wind_direction"}:
            return [wind]
        pressure = f"{text('pressure', '{:.4f}', 1 / 33.86389)},I,{text('pressure', '{:.4f}', 0.001)},B"
        humid = f"{text('air_temperature', '{:.2f}')},C,,,{text('humidity', '{:.1f}')},,,C"
        north = f"{direction},T,,M,,N,{speed},M" if self._sensor.wind == "mda" else ",T,,M,,N,,M"
        return [wind, f"WIMDA,{pressure},{humid},{north}"]


def _sentence(body: str) -> bytes:
    return f"${body}*{reduce(xor, body.encode()):02X}\r\n".encode()
