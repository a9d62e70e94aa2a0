"""One reading of a sensor with everything that was said on the line, for somebody who stands beside it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME
from edge_agent.errors import EdgeError, FrameError, LineError
from edge_agent.station.conversation import Answer, Value
from edge_agent.station.drivers.modbus import Modbus
from edge_agent.station.port import Port
from edge_agent.station.registers import TYPES
from edge_agent.station.sensor import LineKind, Sensor
from edge_agent.station.settings import Line, stored_as
from edge_agent.station.transcript import Transcript, replay
from edge_agent.station.unknown_registers import ORDERS, shown


class Reading(msgspec.Struct, kw_only=True):
    """What one poll gave."""

    sensor: Sensor
    kind: LineKind
    transcript: Transcript
    seconds: float
    answer: Answer | None
    error: str
    """Why there is no answer; empty where there is one."""

    @property
    def failed(self) -> bool:
        """Whether there is anything that should not be so."""
        if self.answer is None:
            return True
        return bool(self.answer.complaint) or any(self.doubt(value) for value in self.answer.values)

    def doubt(self, value: Value) -> str:
        """What is wrong with a value of this reading; empty where nothing is."""
        fault = "the instrument says fault · máy báo lỗi" if value.status == Status.FAULT else ""
        return self._nonsense(value) or fault

    def _nonsense(self, value: Value) -> str:
        known = BY_NAME[stored_as(self.sensor, value.quantity)]
        if value.value is None:
            return "no value · không có giá trị"
        if not known.low <= value.value <= known.high:
            return f"outside {known.low:g} to {known.high:g} {known.unit} · ngoài khoảng hợp lý"
        if 0 < abs(value.value) < 10 ** -(known.decimals + 3):
            return "hardly a number that was measured; another byte order? · thứ tự byte sai?"
        return ""

    def suggestions(self) -> Iterator[str]:
        """Other types and orders of bytes by which a Modbus value that is nonsense would be sane."""
        if self.answer is None or not isinstance(self.sensor, Modbus):
            return
        for value in self.answer.values:
            if self._nonsense(value):
                yield from _other_ways(self.sensor, self.kind, self.transcript.heard, value.quantity)


async def read(line: Line, sensor: Sensor) -> Reading:
    """Poll a sensor once, whatever comes of it."""
    transcript = Transcript()
    answer, error = None, ""
    began = asyncio.get_running_loop().time()
    async with Port(line, trace=transcript.add) as port:
        try:
            answer = await port.converse(sensor.poll(port.kind), sensor.timeout_s)
        except (LineError, FrameError) as trouble:
            error = str(trouble)
    seconds = asyncio.get_running_loop().time() - began
    return Reading(
        sensor=sensor, kind=port.kind, transcript=transcript, seconds=seconds, answer=answer, error=error
    )  # fmt: skip


def _other_ways(sensor: Modbus, kind: LineKind, heard: bytes, quantity: str) -> Iterator[str]:
    """Carry the poll again over what was heard, with the register read in every other way."""
    register = sensor.registers[quantity]
    known = BY_NAME[stored_as(sensor, quantity)]
    usual = ("float32", "int16", "uint16", "int32", "uint32", "float64")
    types = [type_ for type_ in usual if TYPES[type_][1] == register.width]
    for type_ in sorted(types, key=lambda type_: type_ != register.type):
        for word_order, byte_order in ORDERS:
            other = msgspec.structs.replace(register, type=type_, word_order=word_order, byte_order=byte_order)
            if other == register or (register.width == 1 and word_order == "little"):
                continue
            changed = msgspec.structs.replace(sensor, registers=sensor.registers | {quantity: other})
            try:
                values = replay(changed.poll(kind), heard).values
            except EdgeError:
                continue
            value = next(value.value for value in values if value.quantity == quantity)
            if value and not math.isclose(value, 0, abs_tol=1e-4) and known.low <= value <= known.high:
                words = f"type: {type_}, word_order: {word_order}, byte_order: {byte_order}"
                yield f"{quantity}: {{{words}}} would give {shown(value)} {known.unit} · thử đổi thứ tự byte"
