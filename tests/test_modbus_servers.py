"""Drivers against pymodbus's own servers, over TCP and RTU; registers are laid out here, by the makers' documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from frames_of_slaves import answer, big, little, swapped
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from transcripts import sensor

from edge_agent.contract.events import Status
from edge_agent.errors import Silence
from edge_agent.station.conversation import Answer
from edge_agent.station.port import Port
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import Line, SerialLine, TcpLine
from scripts.simulated.pty import SimulatedLine

LIMIT, SHORT = 3, 0.3
Layout = dict[int, tuple[int, ...]]
"""First address: registers."""

TROLL: Layout = {
    5450: (*big(28.5), 0, 1, 1, *big(-999)),
    5562: (*big(8.125), 0, 145, 17, *big(-999)),
    5583: (*big(6.5), 0, 117, 20, *big(-999)),
    5618: (*big(-999), 7, 194, 25, *big(-999)),
}
EXO: Layout = {
    0: (60, 0, 0),
    128: (212, 18, 1, 223, *[0] * 28),
    256: (0, 0, 0, 2, *[1] * 28),
    384: (*swapped(6.5), *swapped(8.125), *swapped(28.75), *[0] * 58),
}
COD: Layout = {
    0x1200: little(18.5),
    0x2500: (0,),
    0x2600: (*little(27.5), *little(48.25), 0),
    0x2E00: (0,),
    0x3100: (0,),
}
SONDE: Layout = {
    0x0800: (0,),
    0x2601: tuple(word for value in (6.5, 2.75, 50.5, 8.125, 28.75, -123.5, 1.5, 0) for word in little(value)),
}


class Server:
    """A slave; `asked` are function codes and addresses in the order in which they came."""

    def __init__(self, layout: Layout, slave: int = 1) -> None:
        self.asked: list[tuple[int, int]] = []

        async def note(function: int, _start: int, address: int, *_: Any) -> None:
            self.asked.append((function, address))

        holding = [
            SimData(address=first + i, values=word, datatype=DataType.REGISTERS)
            for first, words in sorted(layout.items())
            for i, word in enumerate(words)
        ]
        bits = [SimData(address=0, values=[False] * 16, datatype=DataType.BITS)]
        empty = [SimData(address=65_535, values=0, datatype=DataType.REGISTERS)]
        self.device = SimDevice(id=slave, simdata=(bits, bits, holding, empty), action=note)


@asynccontextmanager
async def serving(server: Server, kind: str, folder: Path) -> AsyncIterator[Line]:
    """Run pymodbus's server; RTU goes over two pseudo-terminals, joined byte by byte."""
    async with AsyncExitStack() as stack:
        if kind == "tcp":
            tcp = ModbusTcpServer([server.device], address=("127.0.0.1", 0))
            await tcp.serve_forever(background=True)
            stack.push_async_callback(tcp.shutdown)
            host, port = tcp.transport.sockets[0].getsockname()
            yield TcpLine(host=host, port=port, timeout_s=LIMIT)
            return
        line = await stack.enter_async_context(SimulatedLine(folder / "line"))
        back = await stack.enter_async_context(SimulatedLine(folder / "back"))
        line.hears, back.hears = back.say, line.say
        rtu = ModbusSerialServer([server.device], framer=FramerType.RTU, port=str(back.path), baudrate=9600)
        await rtu.serve_forever(background=True)
        try:
            yield SerialLine(port=str(line.path), timeout_s=LIMIT)
        finally:
            await rtu.shutdown()
            await asyncio.sleep(0)


async def read(instrument: Sensor, layout: Layout, kind: str, folder: Path) -> tuple[Answer, list[tuple[int, int]]]:
    server = Server(layout)
    async with serving(server, kind, folder) as line, Port(line) as port:
        first = await port.converse(instrument.poll(port.kind))
        del server.asked[:]
        assert await port.converse(instrument.poll(port.kind)) == first
        return first, server.asked


both = pytest.mark.parametrize("kind", ["tcp", "serial"])


@both
async def test_aqua_troll(kind: str, tmp_path: Path) -> None:
    values = ["turbidity", "water_temperature", "ph", "dissolved_oxygen", "tss"]
    sonde = sensor(driver="aqua_troll", values=values, wake_s=0.05)
    found, asked = await read(sonde, TROLL, kind, tmp_path)
    assert found.values == (
        ("turbidity", None, Status.FAULT),
        ("water_temperature", 28.5, Status.MEASURING),
        ("ph", 8.125, Status.MEASURING),
        ("dissolved_oxygen", 6.5, Status.MEASURING),
        ("tss", None, Status.FAULT),
    )
    assert "turbidity: the sensor is off line" in found.complaint
    assert "tss: refuses function 3, registers 5660 to 5666" in found.complaint
    assert asked[0] == (3, 5450), "the read that wakes it"


@both
async def test_exo(kind: str, tmp_path: Path) -> None:
    sonde = sensor(driver="ysi_exo", values=["ph", "turbidity", "water_temperature", "dissolved_oxygen"], sample_s=0.05)
    found, asked = await read(sonde, EXO, kind, tmp_path)
    assert found.values == (
        ("ph", 8.125, Status.MEASURING),
        ("turbidity", None, Status.FAULT),
        ("water_temperature", 28.75, Status.MEASURING),
        ("dissolved_oxygen", 6.5, Status.MEASURING),
    )
    assert asked[0] == (16, 1), "a sample is ordered"


@both
async def test_yosemitech(kind: str, tmp_path: Path) -> None:
    probe = sensor(driver="yosemitech", model="cod", warm_up_s=0)
    found, asked = await read(probe, COD, kind, tmp_path)
    assert found == Answer(values=found.values), (
        "pymodbus refuses a read of no register; a read of one starts it as well"
    )
    assert [(v.quantity, v.value) for v in found.values] == [
        ("water_temperature", 27.5),
        ("cod", 48.25),
        ("turbidity", 18.5),
    ]
    assert (3, 0x2500) in asked


@both
async def test_yosemitech_sonde(kind: str, tmp_path: Path) -> None:
    found, _ = await read(sensor(driver="yosemitech", model="sonde"), SONDE, kind, tmp_path)
    assert {v.quantity: v.value for v in found.values} == {
        "dissolved_oxygen": 6.5,
        "turbidity": 2.75,
        "conductivity": 50_500,
        "ph": 8.125,
        "water_temperature": 28.75,
        "orp": -123.5,
        "chlorophyll_a": 1.5,
    }


@both
async def test_a_map_that_points_outside(kind: str, tmp_path: Path) -> None:
    probe = sensor(
        driver="modbus",
        registers={
            "orp": {"address": 99, "type": "int16"},
            "ph": {"address": 100, "scale": 0.01},
            "turbidity": {"address": 101, "type": "float32"},
            "flow": {"function": 4, "address": 0},
        },
        before=[{"address": 200, "values": [7]}, {"function": 16, "address": 200, "values": [8, 9]}],
    )
    layout: Layout = {100: (812, *big(2.75)), 200: (0, 0)}
    found, asked = await read(probe, layout, kind, tmp_path)
    assert [(v.quantity, v.value) for v in found.values] == [
        ("orp", None),
        ("ph", pytest.approx(8.12)),
        ("turbidity", 2.75),
        ("flow", None),
    ]
    assert "orp: refuses function 3, register 99: code 2" in found.complaint
    assert "flow: refuses function 4, register 0" in found.complaint
    assert list(dict.fromkeys(asked))[:2] == [(6, 200), (16, 200)]


@pytest.mark.parametrize("late_s", [[0.3, 0.15], [0.3, 0.3]], ids=["the first", "both"])
async def test_a_late_answer_is_not_taken_for_that_of_the_next_question(late_s: list[float], tmp_path: Path) -> None:
    """Both questions are for one register, so that nothing but the time tells their answers apart."""
    line = SimulatedLine(tmp_path / "line")

    def hears(data: bytes) -> None:
        asyncio.get_running_loop().call_later(late_s.pop(0), line.say, answer(data[3]))

    line.hears = hears
    probe = sensor(driver="modbus", registers={"ph": {"address": 7}, "orp": {"address": 200}})
    async with line, Port(SerialLine(port=str(line.path), timeout_s=0.2)) as port:
        if late_s[1] > 0.2:
            with pytest.raises(Silence):
                await port.converse(probe.poll("serial"))
        else:
            assert [v.value for v in (await port.converse(probe.poll("serial"))).values] == [None, 200]


async def test_a_probe_at_another_address_keeps_silent(tmp_path: Path) -> None:
    line = SimulatedLine(tmp_path / "line")
    line.hears = lambda data: line.say(answer(0, slave=9)) if data[0] == 9 else None
    async with line, Port(SerialLine(port=str(line.path), timeout_s=LIMIT)) as port:
        ninth = sensor(driver="modbus", address=9, registers={"orp": {"address": 0}})
        assert (await port.converse(ninth.poll("serial"))).values[0].value == 0
        first = sensor(driver="modbus", address=1, registers={"orp": {"address": 0}})
        with pytest.raises(Silence):
            await port.converse(first.poll("serial"), SHORT)
