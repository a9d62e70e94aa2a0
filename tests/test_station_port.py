"""Lines on real pseudo-terminals and sockets: noise, silence, damage, unplugging, two sensors on one bus."""

from __future__ import annotations

import asyncio
import os
import socket
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from transcripts import read, sensor

from edge_agent.errors import FrameError, LineError, Silence
from edge_agent.station.conversation import Answer
from edge_agent.station.drivers.atlas_ezo import AtlasEzo
from edge_agent.station.drivers.modbus import Modbus
from edge_agent.station.port import Port
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import SerialLine, TcpLine
from scripts.simulated import modbus
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import AtlasScientificEzo, NovaSds011, PlantowerPms5003

LIMIT, SHORT = 3, 0.3
"""Seconds for what must answer, and for what will not."""
VALUES = {"pm1": 4.0, "pm2_5": 11.0, "pm10": 19.0, "ph": 8.123, "conductivity": 50_500.0, "orp": -123.0}

PMS5003 = sensor(driver="pms5003")
SDS011 = sensor(driver="sds011")
EZO = sensor(driver="atlas_ezo", values=["ph"])
PROBE = sensor(
    driver="modbus",
    address=3,
    registers={
        "ph": {"address": 10, "type": "float32", "word_order": "little"},
        "conductivity": {"function": 4, "address": 0, "type": "int32", "unit": "mS/cm", "scale": 0.001},
        "orp": {"address": 12, "type": "int16"},
    },
    status={"address": 90, "measuring": [5]},
)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SimulatedLine]:
    async with SimulatedLine(tmp_path / "line") as simulated:
        yield simulated


@asynccontextmanager
async def playing(played: Sensor, line: SimulatedLine) -> AsyncIterator[None]:
    """Play the sensor on the line."""
    measure = VALUES.__getitem__
    if isinstance(played, Modbus):
        async with modbus.rtu({"probe": (played, measure)}, line, line.path.parent, "probe"):
            yield
        return
    run: Callable[[], Awaitable[None]]
    if isinstance(played, AtlasEzo):
        run = AtlasScientificEzo(line, measure, played, takes_s=0.02).run
    elif played is SDS011:
        run = NovaSds011(line, measure, every_s=0.05).run
    else:
        run = PlantowerPms5003(line, measure, every_s=0.05).run
    task = asyncio.ensure_future(run())
    try:
        yield
    finally:
        task.cancel()


def port(line: SimulatedLine, heard: Callable[[int], None] = lambda _: None, **options: object) -> Port:
    return Port(SerialLine(port=str(line.path), timeout_s=LIMIT, **options), noise=heard)  # type: ignore[arg-type]


def correct(answer: Answer) -> bool:
    return all(value.value == pytest.approx(VALUES[value.quantity]) for value in answer.values) and bool(answer.values)


every_driver = pytest.mark.parametrize(
    "played", [PMS5003, SDS011, EZO, PROBE], ids=lambda s: str(s.__struct_config__.tag)
)


@every_driver
async def test_a_sensor_is_read_again_and_again(played: Sensor, line: SimulatedLine) -> None:
    noise: list[int] = []
    async with playing(played, line), port(line, noise.append) as opened:
        for _ in range(3):
            assert correct(await opened.converse(played.poll("serial")))
    assert noise == []


@every_driver
@pytest.mark.parametrize("form", ["8E1", "8N2", "7O1"])
async def test_other_formats_can_be_set(played: Sensor, line: SimulatedLine, form: str) -> None:
    async with playing(played, line), port(line, format=form, baud=19200) as opened:
        assert correct(await opened.converse(played.poll("serial")))


@every_driver
async def test_noise_is_passed_over_and_counted(played: Sensor, line: SimulatedLine) -> None:
    noise: list[int] = []
    line.noise = b"\x00\xff\x42\xaa\x03" * 9 + b"\r"
    async with playing(played, line), port(line, noise.append) as opened:
        if played is EZO:  # a line without a checksum can only be refused
            with pytest.raises(FrameError):
                await opened.converse(played.poll("serial"), SHORT)
            return
        assert correct(await opened.converse(played.poll("serial")))
    assert sum(noise) >= 46


@every_driver
async def test_wrong_checksums_give_no_value(played: Sensor, line: SimulatedLine) -> None:
    line.corrupt = True
    async with playing(played, line), port(line) as opened:
        with pytest.raises(FrameError):
            await opened.converse(played.poll("serial"), SHORT)
        line.corrupt = False
        assert correct(await opened.converse(played.poll("serial")))


@every_driver
async def test_silence_ends_at_the_limit_and_the_sensor_may_come_back(played: Sensor, line: SimulatedLine) -> None:
    line.silent = True
    async with playing(played, line), port(line) as opened:
        with pytest.raises(Silence, match="no answer within"):
            await opened.converse(played.poll("serial"), SHORT)
        line.silent = False
        assert correct(await opened.converse(played.poll("serial")))


@every_driver
async def test_an_unplugged_line_fails_and_works_when_plugged_in_again(played: Sensor, line: SimulatedLine) -> None:
    async with playing(played, line), port(line) as opened:
        assert correct(await opened.converse(played.poll("serial")))
        line.unplug()
        for _ in range(3):
            with pytest.raises(LineError) as failed:
                await opened.converse(played.poll("serial"))
            assert not isinstance(failed.value, Silence)
        assert "cannot open" in str(failed.value)
        line.plug()
        assert correct(await opened.converse(played.poll("serial")))


async def test_a_line_pulled_out_while_waiting_fails_at_once(line: SimulatedLine) -> None:
    async with port(line) as opened:
        asyncio.get_running_loop().call_later(0.05, line.unplug)
        with pytest.raises(LineError, match=r"receive|closed"):
            await opened.converse(PMS5003.poll("serial"), timeout_s=30)


async def test_what_came_before_the_question_is_no_answer(line: SimulatedLine) -> None:
    heard = {t.name: t.heard for t in read()}
    async with port(line) as opened:
        line.hears = lambda _: line.say(heard["sds011-2"])
        assert (await opened.converse(SDS011.poll("serial"))).values[0].value == 0.9
        line.say(heard["sds011-1"])
        assert (await opened.converse(SDS011.poll("serial"))).values[0].value == 0.9


async def test_an_answer_given_twice_is_not_taken_for_the_next_one(line: SimulatedLine) -> None:
    two = sensor(driver="modbus", registers={"ph": {"address": 0, "scale": 0.01}, "orp": {"address": 9}})
    twice, once = bytes.fromhex("01 03 02 03 2c b9 69") * 2, bytes.fromhex("01 03 02 01 90 b9 b8")
    answers = iter([twice, once])
    line.hears = lambda _: line.say(next(answers))
    async with port(line) as opened:
        answer = await opened.converse(two.poll("serial"))
    assert [v.value for v in answer.values] == [pytest.approx(8.12), 400]


async def test_a_line_that_babbles_is_given_up_at_the_limit(line: SimulatedLine) -> None:
    async def babble() -> None:
        while True:
            line.say(b"\xaa\xc0\x55" * 40)
            await asyncio.sleep(0)

    task = asyncio.ensure_future(babble())
    async with port(line) as opened:
        with pytest.raises(FrameError, match="no sound frame"):
            await opened.converse(SDS011.poll("serial"), SHORT)
    task.cancel()


async def test_a_port_that_takes_no_bytes_is_an_error_and_not_a_wait(line: SimulatedLine) -> None:
    held = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    termios.tcflow(held, termios.TCOOFF)
    async with playing(SDS011, line), port(line) as opened:
        with pytest.raises(LineError, match="takes no bytes"):
            await opened.converse(SDS011.poll("serial"), timeout_s=30)
        termios.tcflow(held, termios.TCOON)
        assert correct(await opened.converse(SDS011.poll("serial")))
    os.close(held)


async def test_two_sensors_on_a_bus_and_one_is_dead(line: SimulatedLine) -> None:
    dead = sensor(driver="modbus", address=9, registers={"ph": {"address": 10}})
    async with playing(PROBE, line), port(line) as opened:
        for _ in range(2):
            assert correct(await opened.converse(PROBE.poll("serial")))
            with pytest.raises(Silence):
                await opened.converse(dead.poll("serial"), SHORT)


async def test_cancelling_leaves_the_line_usable(line: SimulatedLine) -> None:
    async with port(line) as opened:
        waiting = asyncio.ensure_future(opened.converse(SDS011.poll("serial"), timeout_s=30))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with playing(SDS011, line):
            assert correct(await opened.converse(SDS011.poll("serial")))


async def test_a_port_in_use_is_refused_and_freed_at_the_end(line: SimulatedLine) -> None:
    async with playing(SDS011, line):
        async with port(line) as first, port(line) as second:
            await first.converse(SDS011.poll("serial"))
            with pytest.raises(LineError, match="cannot open"):
                await second.converse(SDS011.poll("serial"))
        before = len(list(Path("/proc/self/fd").iterdir()))
        async with port(line) as third:
            await third.converse(SDS011.poll("serial"))
        assert len(list(Path("/proc/self/fd").iterdir())) == before


# --- TCP ---


async def test_modbus_over_tcp_and_a_restart_of_the_server() -> None:
    async with modbus.tcp({"probe": (PROBE, VALUES.__getitem__)}) as (host, number):  # type: ignore[dict-item]
        opened = Port(TcpLine(host=host, port=number, timeout_s=LIMIT))
        async with opened:
            for _ in range(3):
                assert correct(await opened.converse(PROBE.poll("tcp")))


@asynccontextmanager
async def served(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[TcpLine]:
    """A TCP server that answers each request with these bytes; None closes the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await reader.read(300)) and (said := answer(request)) is not None:
            writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield TcpLine(host="127.0.0.1", port=server.sockets[0].getsockname()[1], timeout_s=LIMIT)


FLOW = sensor(driver="modbus", registers={"flow": {"address": 0, "type": "float32"}})
GOOD = bytes.fromhex("00 01 00 00 00 07 01 03 04 41 dc 00 00")


@pytest.mark.parametrize(
    ("said", "error"),
    [(b"", Silence), (None, LineError), (b"HTTP/1.1 400 Bad Request\r\n", FrameError), (GOOD[:-1], FrameError)],
)
async def test_a_bad_tcp_answer_is_an_error_and_the_next_one_is_believed(said: bytes | None, error: type) -> None:
    answers = iter([said, GOOD])
    async with served(lambda _: next(answers)) as at, Port(at) as opened:
        with pytest.raises(error):
            await opened.converse(FLOW.poll("tcp"), SHORT)
        assert (await opened.converse(FLOW.poll("tcp"))).values[0].value == 27.5


async def test_a_late_tcp_answer_never_meets_the_next_question() -> None:
    """The answer to the first question comes after the second was asked, under the same transaction number."""
    asked: list[asyncio.StreamWriter] = []
    other = bytes.fromhex("00 01 00 00 00 07 01 03 04 42 c8 00 00")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        await reader.read(300)
        if len(asked) == 2:
            asked[0].write(other)
            writer.write(GOOD)

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        at = TcpLine(host="127.0.0.1", port=server.sockets[0].getsockname()[1], timeout_s=LIMIT)
        async with Port(at) as opened:
            with pytest.raises(Silence):
                await opened.converse(FLOW.poll("tcp"), SHORT)
            assert (await opened.converse(FLOW.poll("tcp"))).values[0].value == 27.5


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = TcpLine(host="127.0.0.1", port=free.getsockname()[1], timeout_s=LIMIT)
    async with Port(at) as opened:
        with pytest.raises(LineError, match="cannot connect to"):
            await opened.converse(FLOW.poll("tcp"))
