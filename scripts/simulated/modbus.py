"""Modbus instruments on pymodbus's own servers; registers hold what `slaves.py` says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.station.sensor import Sensor
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.slaves import registers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scripts.simulated.sensors import Measure

Instruments = Mapping[str, tuple[Sensor, "Measure"]]
"""Sensor name: its options and what it measures; all on one line."""

NOWHERE = 65_535
"""A register that stands where a block of pymodbus's may not be empty."""


def device(sensor: Sensor, measure: Measure) -> SimDevice:
    """Make a slave whose registers are measured anew whenever they are read."""

    def block(function: int) -> list[SimData]:
        return [
            SimData(address=address, values=word, datatype=DataType.REGISTERS)
            for address, word in sorted(registers(sensor, function, measure).items() or {NOWHERE: 0}.items())
        ]

    async def measured(function: int, start: int, *asked: Any) -> None:
        held: list[int] = asked[2]  # after address and count
        for address, word in registers(sensor, function, measure).items():
            held[address - start] = word

    bits = [SimData(address=0, values=[False] * 16, datatype=DataType.BITS)]
    return SimDevice(id=sensor.address, simdata=(bits, bits, block(3), block(4)), action=measured)  # type: ignore[attr-defined]


@asynccontextmanager
async def tcp(instruments: Instruments) -> AsyncIterator[tuple[str, int]]:
    """Serve the instruments on a free loopback port; gives host and port."""
    server = ModbusTcpServer([device(*each) for each in instruments.values()], address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        host, port = server.transport.sockets[0].getsockname()
        yield host, port
    finally:
        await server.shutdown()


@asynccontextmanager
async def rtu(instruments: Instruments, line: SimulatedLine, folder: Path, name: str) -> AsyncIterator[SimulatedLine]:
    """Serve the instruments on a simulated line.

    pymodbus's server opens a serial port of its own: a second pseudo-terminal, joined with the line byte by byte.
    A slave that is not there keeps silent, as on a real bus.
    """
    async with AsyncExitStack() as stack:
        back = await stack.enter_async_context(SimulatedLine(folder / f".{name}-server"))
        back.hears = line.say
        slaves = {sensor.address for sensor, _ in instruments.values()}  # type: ignore[attr-defined]

        def hears(data: bytes) -> None:
            # 3.16.1 answers "device failure" for slaves that it does not have, ignore_missing_devices or not
            if data[0] in slaves:
                back.say(data)

        line.hears = hears
        server = ModbusSerialServer(
            [device(*each) for each in instruments.values()],
            framer=FramerType.RTU,
            port=str(back.path),
            baudrate=9600,
        )
        await server.serve_forever(background=True)
        stack.push_async_callback(_shutdown, server.shutdown)
        yield line


async def _shutdown(shutdown: Callable[[], Awaitable[None]]) -> None:
    await shutdown()
    await asyncio.sleep(0)  # its transport closes in the next turn of the loop
