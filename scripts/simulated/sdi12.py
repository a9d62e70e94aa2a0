"""An SDI-12 instrument behind a transparent adapter, on a simulated line."""

from __future__ import annotations

import asyncio

from edge_agent.contract.quantities import BY_NAME, conversion
from edge_agent.station.drivers.sdi12 import Position, Sdi12
from edge_agent.station.drivers.wxt530 import crc
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import Measure

IDENTITY = "14PLAYED  LEVEL 100"
"""Version of the protocol, maker, model, version of the model."""
ON_A_PAGE = 3
"""Values; an answer to aD0! holds 35 characters of them, the rest stands in aD1!, ..."""


class Sdi12Instrument:
    """Measures when it is told to with aM!, aMC!, aC! or aCC!, and gives what it measured page by page."""

    def __init__(self, line: SimulatedLine, measure: Measure, sensor: Sdi12, takes_s: int = 1) -> None:
        self._line, self._measure, self._sensor, self._takes_s = line, measure, sensor, takes_s
        self._heard = bytearray()
        self._ordered: asyncio.Queue[None] = asyncio.Queue()
        self._with_crc = False
        self._values: list[str] = []
        line.hears = self._hears

    async def run(self) -> None:
        while True:
            await self._ordered.get()
            await asyncio.sleep(self._takes_s)
            self._say("")  # the service request

    def _hears(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"!")) >= 0:
            self._command(self._heard[:end].decode("ascii", "replace"))
            del self._heard[: end + 1]

    def _command(self, command: str) -> None:
        address, order = command[:1], command[1:]
        if command == "?":
            self._say("")
        elif address != self._sensor.address:
            return
        elif order == "I":
            self._say(IDENTITY)
        elif order[:1] in ("M", "C"):
            self._with_crc = order[1:2] == "C"
            self._values = self._measured()
            digits = 1 if order.startswith("M") else 2
            self._say(f"{self._takes_s:03}{len(self._values):0{digits}}")
            if order.startswith("M"):
                self._ordered.put_nowait(None)
        elif order[:1] == "R":
            self._with_crc = order[1:2] == "C"
            self._say("".join(self._measured()), with_crc=self._with_crc)
        elif order[:1] == "D" and order[1:].isdigit():
            first = ON_A_PAGE * int(order[1:])
            self._say("".join(self._values[first : first + ON_A_PAGE]), with_crc=self._with_crc)

    def _measured(self) -> list[str]:
        values = ["+0"] * max(where.position for where in self._sensor.values.values())
        for quantity, where in self._sensor.values.items():
            values[where.position - 1] = f"{_raw(where, quantity, self._measure(quantity)):+.3f}"
        return values

    def _say(self, text: str, *, with_crc: bool = False) -> None:
        said = f"{self._sensor.address}{text}".encode()
        self._line.say(said + (crc(said) if with_crc else b"") + b"\r\n")


def _raw(where: Position, quantity: str, value: float) -> float:
    """What the instrument says for a value of the quantity's own unit; the reverse of what the driver does."""
    factor, offset = conversion(quantity, where.unit or BY_NAME[quantity].unit)
    return ((value - offset) / factor - where.offset) / where.scale
