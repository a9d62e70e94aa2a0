"""Modbus instruments on pymodbus's own servers; registers are filled by the same map that the station reads them by."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.contract.quantities import BY_NAME, conversion
from edge_agent.station.drivers.modbus import TYPES, Modbus, Register
from scripts.simulated.pty import SimulatedLine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scripts.simulated.sensors import Measure

Instruments = Mapping[str, tuple[Modbus, "Measure"]]
"""Sensor name: its options and what it measures; all on one line."""

NOWHERE = 65_535
"""A register that stands where a block of pymodbus's may not be empty."""


def words(register: Register, quantity: str, value: float) -> list[int]:
    """Give the registers that hold a value of the quantity's own unit; the reverse of what the driver does."""
    factor, offset = conversion(quantity, register.unit or BY_NAME[quantity].unit)
    raw = ((value - offset) / factor - register.offset) / register.scale
    code, width = TYPES[register.type]
    if not register.type.startswith("float"):
        bits = 16 * width
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if register.type.startswith("int") else (0, 2**bits - 1)
        raw = low if math.isnan(raw) else min(max(round(raw), low), high)
    data = struct.pack(code, raw)
    found = [int.from_bytes(data[i : i + 2], register.byte_order) for i in range(0, len(data), 2)]
    return found if register.word_order == "big" else found[::-1]


def device(sensor: Modbus, measure: Measure) -> SimDevice:
    """Make a slave whose registers are measured anew whenever they are read."""

    def fill(function: int, put: Callable[[int, int], None]) -> None:
        for status in (sensor.status, *(r.status for r in sensor.registers.values())):
            if status is not None and status.function == function:
                put(status.address, (status.measuring or (0,))[0])
        for quantity, register in sensor.registers.items():
            if register.function == function:
                for i, word in enumerate(words(register, quantity, measure(quantity))):
                    put(register.address + i, word)

    def block(function: int) -> list[SimData]:
        there: dict[int, int] = {}
        fill(function, there.__setitem__)
        return [
            SimData(address=address, values=word, datatype=DataType.REGISTERS)
            for address, word in sorted(there.items() or {NOWHERE: 0}.items())
        ]

    async def measured(function: int, start: int, *asked: Any) -> None:
        registers: list[int] = asked[2]  # after address and count

        def put(at: int, word: int) -> None:
            registers[at - start] = word

        fill(function, put)

    bits = [SimData(address=0, values=[False] * 16, datatype=DataType.BITS)]
    return SimDevice(id=sensor.address, simdata=(bits, bits, block(3), block(4)), action=measured)


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
        slaves = {sensor.address for sensor, _ in instruments.values()}

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
