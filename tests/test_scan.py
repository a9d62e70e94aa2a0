"""Scanning lines that nobody knows, reading with every byte, capturing: on pseudo-terminals and sockets with simulated
instruments that speak the real protocols, each at its own baud rate alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import transcripts
from transcripts import sensor

from edge_agent.__main__ import main
from edge_agent.errors import LineError
from edge_agent.station import scan_progress
from edge_agent.station.found import Found, station_yaml
from edge_agent.station.recognising import speaker
from edge_agent.station.scan import Scan
from edge_agent.station.sensor import Sensor, Speed
from edge_agent.station.settings import SerialLine, TcpLine, driver_structs
from scripts.simulated import modbus
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import PlantowerPms5003

VALUES = {
    **{"ph": 8.12, "water_temperature": 27.53, "conductivity": 50_500.0, "salinity": 33.1, "turbidity": 3.2},
    **{"orp": -123.0, "pm1": 4.0, "pm2_5": 11.0, "pm10": 19.0, "water_level": 2.4, "dissolved_oxygen": 6.6},
}
EXO = sensor(driver="ysi_exo", address=2, values=["water_temperature", "conductivity", "salinity"])
TROLL = sensor(driver="aqua_troll", address=1, values=["ph", "water_temperature"])
UNKNOWN = sensor(
    driver="modbus",
    address=9,
    registers={
        "dissolved_oxygen": {"address": 10, "type": "float32", "word_order": "little"},
        "turbidity": {"address": 12, "type": "float32", "word_order": "little"},
    },
)
HEAD = """\
device: buoy
type: buoy
site: example
label: Phao / Buoy
position: {lat: 10.21722, lon: 103.95642}
broker: {host: localhost}
"""


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SimulatedLine]:
    async with SimulatedLine(tmp_path / "line", baud=19200) as simulated:
        yield simulated


@asynccontextmanager
async def slaves(line: SimulatedLine, *played: Sensor) -> AsyncIterator[None]:
    instruments = {str(i): (each, VALUES.__getitem__) for i, each in enumerate(played)}
    async with modbus.rtu(instruments, line, line.path.parent, "bus"):
        yield


@asynccontextmanager
async def running(run: Callable[[], object]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(run())  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()


def drivers(*tags: str) -> list[type[Sensor]]:
    return [driver for driver in driver_structs() if not tags or driver.__struct_config__.tag in tags]


def scan(line: SimulatedLine, *tags: str, **options: object) -> Scan:
    quick = {"timeout_s": 0.15, "listen_s": 0.1, "survey_s": 1.5}
    return Scan(SerialLine(port=str(line.path)), drivers(*tags), **quick | options)  # type: ignore[arg-type]


async def agent(*arguments: object) -> tuple[int, str, str]:
    """Run `edge-agent`; gives exit status, output, and what it said besides."""
    command = [sys.executable, "-m", "edge_agent", *map(str, arguments)]
    child = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    out, error = await asyncio.wait_for(child.communicate(), 25)
    return child.returncode or 0, out.decode(), error.decode()


# --- scan ---


async def test_three_kinds_of_slaves_on_one_line_and_the_yaml_reads_them(line: SimulatedLine, tmp_path: Path) -> None:
    async with slaves(line, TROLL, EXO, UNKNOWN):
        scanned = scan(line, "aqua_troll", "ysi_exo", "modbus", addresses=[1, 2, 9], bauds=[9600, 19200])
        await scanned.run()
        assert [found.name for found in scanned.found] == ["aqua-troll-1", "ysi-exo-2", "unknown-9"]
        assert {found.line.baud for found in scanned.found} == {19200}  # type: ignore[union-attr]
        exo = scanned.found[1]
        assert exo.answer is not None
        assert {v.quantity: v.value and round(v.value, 2) for v in exo.answer.values} == {
            "water_temperature": 27.53, "conductivity": 50_500, "salinity": 33.1,
        }  # fmt: skip
        assert [str(place.best) for place in scanned.found[2].places] == [
            "6.6 as float32, word_order little",
            "3.2 as float32, word_order little",
        ]

        file = tmp_path / "buoy.yaml"
        file.write_text(HEAD + station_yaml(scanned.found, "seawater"))
        status, out, _ = await agent("check", file)
        assert status == 0, out
        status, out, _ = await agent("sensors", "read", file)
        assert status == 1, "guessed names are not believed"
        assert out.count("the instrument says fault") == 2
        assert "would give" not in out, "the values are sane; only their names are guessed"
        file.write_text(re.sub(r"(?m)^ *status: .*\n", "", file.read_text()))
        status, out, error = await agent("sensors", "read", file, "--sensor=ysi-exo-2", "--sensor=unknown-9")
        assert (status, error) == (0, "")
        assert re.search(r"conductivity +50500\.0 µS/cm +measuring", out)
        assert "water_temperature is already" not in file.read_text(), "what two give is taken from one"
        assert "water_temperature" not in out


async def test_a_baud_that_is_asked_for_is_tried_though_no_driver_names_it(line: SimulatedLine) -> None:
    line.baud = 57600
    async with slaves(line, UNKNOWN):
        scanned = scan(line, "modbus", "pms5003", addresses=[9], bauds=[57600])
        await scanned.run()
    assert [(found.name, found.line.baud) for found in scanned.found] == [("unknown-9", 57600)]  # type: ignore[union-attr]
    assert not any("pms5003" in step.what for step in scanned.steps), "that sensor cannot be set"


async def test_a_scan_only_reads(line: SimulatedLine) -> None:
    """Whatever a silent line hears: Modbus requests to read, and nothing of the size and CRC of one that writes."""
    heard: list[bytes] = []
    line.baud = None
    line.hears = heard.append
    await scan(line, timeout_s=0.02, listen_s=0.01, addresses=[1, 2], bauds=[9600]).run()
    functions = {frame[1] for frame in heard if sound(frame)}
    assert functions == {3}
    assert any(b"aI" in frame or frame.endswith(b"!") for frame in heard), "the others asked too"


async def test_a_line_is_listened_to_before_anything_is_sent(line: SimulatedLine) -> None:
    steps = [step.what.split()[0] for step in scan(line).steps]
    assert steps[0] == "listens"
    assert "listens" not in steps[steps.index("asks") :]


async def test_a_sensor_that_speaks_is_found_at_its_own_speed(line: SimulatedLine, tmp_path: Path) -> None:
    line.baud = 9600
    async with running(PlantowerPms5003(line, VALUES.__getitem__, every_s=0.3).run):
        status, out, error = await agent("sensors", "scan", line.path)
        assert status == 0, error
        assert "# pms5003   9600 8N1: sends frames of 32 bytes" in out
        assert re.search(r"pm2_5 +11\.0 µg/m3 +measuring", out)
        assert re.search(r"at most \d+ s if nothing answers", error.splitlines()[0])
        file = tmp_path / "air.yaml"
        file.write_text(HEAD + out)
        assert (await agent("sensors", "read", file))[0] == 0, "the whole output is the file's part"

        line.baud = 38400
        scanned = scan(line, "pms5003", "sds011", listen_s=0.5)
        await scanned.run()
        assert scanned.found == []
        assert list(scanned.babble) == [Speed(9600)]


async def test_silence_says_the_next_step_in_both_languages(line: SimulatedLine) -> None:
    scanned = scan(line, "modbus", "ysi_exo", "wxt530", "pms5003", addresses=[1, 2], bauds=[9600, 19200])
    began = asyncio.get_running_loop().time()
    await scanned.run()
    assert scanned.found == []
    assert asyncio.get_running_loop().time() - began < scanned.seconds + 1, "it keeps its word"

    status, out, error = await agent(
        "sensors", "scan", line.path, "--driver", "modbus", "--addresses", "7", "--timeout", "0.05"
    )
    assert (status, out) == (1, "")
    assert "A and B (D+ and D-) exchanged" in error
    assert "Dây A và B" in error


async def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    status, out, error = await agent("sensors", "scan", tmp_path / "ttyUSB7")
    assert (status, out) == (1, "")
    assert "ttyUSB7: No such file or directory; is it plugged in? · chưa cắm dây?" in error


async def test_a_port_that_others_use(line: SimulatedLine) -> None:
    import serial

    with serial.Serial(str(line.path), exclusive=True), pytest.raises(LineError, match="does another program use it"):
        await scan(line, "modbus").run()


async def test_noise_hides_no_slave_and_is_none(line: SimulatedLine) -> None:
    line.noise = b"\x00\xff\x03\x42\xaa"
    async with slaves(line, EXO):
        scanned = scan(line, "ysi_exo", "modbus", addresses=[2, 3], bauds=[19200])
        await scanned.run()
    assert [found.name for found in scanned.found] == ["ysi-exo-2"]

    async def babble() -> None:
        while True:
            line.say(os.urandom(40))
            await asyncio.sleep(0.01)

    async with running(babble):
        scanned = scan(line, "modbus", "ysi_exo", "wxt530", "nmea_weather", addresses=[1, 2, 3], bauds=[19200])
        await scanned.run()
    assert scanned.found == []
    assert scanned.garbled[Speed(19200)]


async def test_an_unplugged_line_ends_the_scan_and_keeps_what_was_found(line: SimulatedLine) -> None:
    async with slaves(line, EXO):
        scanned = scan(line, "ysi_exo", "modbus", addresses=range(1, 50), bauds=[19200])
        scanned._told = lambda _: line.unplug()
        with pytest.raises(LineError):
            await scanned.run()
    assert [found.name for found in scanned.found] == ["ysi-exo-2"]


async def test_ctrl_c_gives_what_was_found_so_far(line: SimulatedLine) -> None:
    async with slaves(line, EXO):
        command = (sys.executable, "-m", "edge_agent", "sensors", "scan", line.path, "--driver", "ysi_exo", "modbus")
        child = await asyncio.create_subprocess_exec(
            *command, "--baud", "19200", "--addresses", "2-247", "--timeout", "1", stdout=-1, stderr=-1,
            # tests that run in the background of a shell have been told to ignore it, and children inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert child.stderr is not None
        while b"found ysi-exo-2" not in await asyncio.wait_for(child.stderr.readline(), 15):
            pass
        child.send_signal(signal.SIGINT)
        out, _ = await asyncio.wait_for(child.communicate(), 10)
    assert child.returncode == 130
    assert b"ysi-exo-2: {driver: ysi_exo" in out


async def test_a_slave_on_tcp_is_found_once_though_it_does_not_look_at_the_address() -> None:
    async with modbus.tcp({"a": (UNKNOWN, VALUES.__getitem__)}) as (host, port):
        status, out, error = await agent("sensors", "scan", f"{host}:{port}", "--addresses", "5-12")
    assert status == 0, error
    assert out.count("answers Modbus") == 1, "others are refused by the server, and are not there"
    assert "unknown-9   127.0.0.1" in out
    assert "6.6 as float32, word_order little" in out

    async def everywhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                asked = await reader.readexactly(12)
                count = asked[11]
                answer = bytes((asked[6], asked[7], 2 * count)) + bytes(2 * count)
                writer.write(asked[:4] + len(answer).to_bytes(2, "big") + answer)

    async with await asyncio.start_server(everywhere, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        scanned = Scan(TcpLine(host="127.0.0.1", port=port), drivers("modbus"), survey_s=0.2)
        await scanned.run()
    assert [found.name for found in scanned.found] == ["unknown-1"]


SPOKEN = [t for t in transcripts.read() if type(t.sensor).speaks and None not in t.meaning.values()]


@pytest.mark.parametrize("said", SPOKEN, ids=lambda t: t.name)
def test_what_a_speaking_sensor_said_is_recognised_as_its_own(said: transcripts.Transcript) -> None:
    known = speaker([driver for driver in drivers() if driver.speaks], b"\x00\xff" + said.heard)
    assert known is not None
    assert known[0] is type(said.sensor)


# --- the YAML ---


def test_what_cannot_stand_in_one_station_comes_as_comment() -> None:
    slow = SerialLine(port="/dev/ttyS1", baud=9600)
    fast = SerialLine(port="/dev/ttyS1", baud=19200)
    ph = sensor(driver="yosemitech", model="ph", address=3)
    found = [
        Found(line=slow, address=3, why="", driver="yosemitech", sensor=ph),
        Found(line=slow, address=4, why="", driver="yosemitech", sensor=ph),
        Found(line=fast, address=2, why="", driver="ysi_exo", sensor=EXO),
        Found(line=slow, address=7, why="", registers=3),
        Found(line=slow, address=None, why="", driver="sdi12", options={"address": "z"}, trouble="must say more"),
    ]
    text = station_yaml(found)
    assert text.count("\n    yosemitech") == 1
    for reason in ("ph is already given by yosemitech-3", "answers at another speed", "none of its 3", "must say more"):
        assert re.search(rf"(?m)^    # .*{reason}", text)
    assert "# sdi12: {driver: sdi12, line: bus, address: z}" in text
    assert station_yaml([]) == ""
    assert all(row.startswith("#") for row in station_yaml(found[3:]).splitlines())


# --- read and capture ---


@pytest.fixture
async def file(line: SimulatedLine, tmp_path: Path) -> AsyncIterator[Path]:
    """The file of a station whose map has the word order wrong, beside a sonde that is right."""
    async with slaves(line, EXO, UNKNOWN):
        file = tmp_path / "buoy.yaml"
        file.write_text(
            HEAD + f"station:\n  medium: seawater\n  lines: {{bus: {{kind: serial, port: {line.path}, baud: 19200}}}}\n"
            "  sensors:\n    sonde: {driver: ysi_exo, line: bus, address: 2, values: [salinity]}\n"
            "    probe: {driver: modbus, line: bus, address: 9,"
            " registers: {dissolved_oxygen: {address: 10, type: float32}}}\n"
            "    gone: {driver: modbus, line: bus, address: 8, timeout_s: 0.1, registers: {ph: {address: 0}}}\n"
        )
        yield file


async def test_read_shows_bytes_values_and_the_order_that_was_meant(file: Path) -> None:
    status, out, error = await agent("sensors", "read", file)
    assert status == 1
    assert "probe, gone" in error
    assert "  > 02 03 00 80 00 20 45 c9\n" in out
    assert re.search(r"salinity +33\.10 PSU +measuring\n", out)
    assert "? dissolved_oxygen: {type: float32, word_order: little, byte_order: big} would give 6.6 mg/L" in out
    assert "! no answer within 0.1 s; check power, cable, address · không trả lời" in out
    assert (await agent("sensors", "read", file, "--sensor", "sonde"))[0] == 0
    status, _, error = await agent("sensors", "read", file, "--sensor", "sond")
    assert (status, "the sensors are: sonde, probe, gone" in error) == (78, True)


async def test_a_capture_is_a_golden_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "golden" / "ysi_exo.txt"
    out.parent.mkdir()
    assert (await agent("sensors", "capture", file, "--sensor", "sonde", out))[0] == 0
    monkeypatch.setattr(transcripts, "WIRE", out.parent)
    [said] = transcripts.read()
    answer, sent = transcripts.carry(said.sensor.poll("serial"), [said.heard])
    assert sent == said.sent
    assert said.meaning == {"salinity": 33.1}
    assert [round(value.value or 0, 5) for value in answer.values] == [33.1]
    assert (await agent("sensors", "capture", file, "--sensor", "sonde", out))[0] == 78, "nothing is written over"
    assert (await agent("sensors", "capture", file, "--sensor", "gone", tmp_path / "x"))[0] == 1
    assert not (tmp_path / "x").exists()


# --- arguments, progress ---


@pytest.mark.parametrize("wrong", ["--addresses=0-300", "--addresses=a", "--timeout=0", "--driver=x"])
def test_wrong_arguments_are_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["sensors", "scan", "/dev/null", wrong])
    assert wrong.partition("=")[0] in capsys.readouterr().err


def test_the_file_to_try_a_scan_on_has_no_mistake() -> None:
    assert main(["check", "scripts/simulated/three_on_a_line.yaml"]) == 0


def test_without_rich_the_progress_is_a_line_of_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    steps = Scan(SerialLine(port="/dev/null"), drivers("modbus"), addresses=[1, 2]).steps
    with scan_progress.progress() as bar:
        begins = bar.begin(steps)
        begins(steps[len(steps) // 2])
        bar.say("found it")
    said = capsys.readouterr().err
    assert f"[##########..........]  50% {steps[len(steps) // 2].what}" in said
    assert said.endswith("\r\x1b[Kfound it\n\r\x1b[K")


def sound(frame: bytes) -> bool:
    """Whether bytes end with a CRC-16/MODBUS, computed here bit by bit."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc == 0 and len(frame) > 3
