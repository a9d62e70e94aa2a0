"""What hostapd says, by ubus and on its control socket: real sockets, real programs, and hostapd itself."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.access_point import clients, leases, traffic
from edge_agent.access_point.clients import Client
from edge_agent.access_point.settings import SocketSettings, UbusSettings
from edge_agent.errors import FrameError, LineError, Silence
from scripts.simulated_access_point import Radio

GOLDEN = Path(__file__).parent / "golden" / "access_point"


def golden(name: str) -> str:
    return (GOLDEN / name).read_text()


def test_ubus_with_every_key_and_with_few() -> None:
    assert clients.from_ubus(golden("ubus_counted.json").encode()) == [
        Client(mac="20:a6:0c:b2:da:10", rx=181204, tx=3055187, signal=-52)
    ]
    assert clients.from_ubus(golden("ubus_bare.json").encode()) == [
        Client(mac="20:a6:0c:b2:da:10"),
        Client(mac="98:3b:8f:98:b1:fb"),
    ]


def test_the_control_socket_s_form_with_counters_and_without() -> None:
    assert clients.from_control(golden("hostapd_counted.txt")) == [
        Client(mac="20:a6:0c:b2:da:10", rx=181204, tx=3055187, signal=-52),
        Client(mac="98:3b:8f:98:b1:fb", rx=812, tx=1904, signal=None),  # 0 dBm: not measured yet
    ]
    assert clients.from_control(golden("hostapd_bare.txt")) == [Client(mac="12:34:56:78:9a:bc")]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[]",
        b'{"clients":[]}',
        b'{"clients":{"x":{}}}',
        b'{"clients":{"20:a6:0c:b2:da:10":{"signal":"x"}}}',
    ],
)
def test_what_ubus_never_says_is_refused(answer: bytes) -> None:
    with pytest.raises(FrameError):
        clients.from_ubus(answer)


@given(st.text(max_size=80) | st.text("0123456789abcdef:=\nrx_bytesignal", max_size=80))
def test_no_answer_breaks_the_parsers(text: str) -> None:
    for parse in (lambda t: clients.from_ubus(t.encode()), clients.from_control, traffic.parse):
        with contextlib.suppress(FrameError):
            parse(text)
    leases.count_valid(text, 0)


# asking it


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:  # short: a socket's path has at most 107 characters
        yield Path(name)


@contextlib.asynccontextmanager
async def hostapd(path: Path, answer: Callable[[bytes], bytes | None]) -> AsyncIterator[list[bytes]]:
    """A control socket whose answers a function gives; None is silence. Gives the questions."""
    questions: list[bytes] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as control:
        control.bind(str(path))

        def serve() -> None:
            question, address = control.recvfrom(4096)
            questions.append(question)
            if (said := answer(question)) is not None:
                control.sendto(said, address)

        loop.add_reader(control, serve)
        try:
            yield questions
        finally:
            loop.remove_reader(control)


async def test_a_walk_asks_from_client_to_client(folder: Path) -> None:
    radio = Radio(Random(1), 3)
    async with hostapd(folder / "wlan0", lambda question: radio.answer(question.decode()).encode()) as questions:
        found = await clients.ask(SocketSettings(folder=str(folder)), "wlan0", 2)
    macs = list(radio.guests)
    assert [client.mac for client in found] == macs
    assert questions == [b"STA-FIRST", *(f"STA-NEXT {mac}".encode() for mac in macs)]


async def test_a_client_that_leaves_during_the_walk_hides_nobody(folder: Path) -> None:
    radio = Radio(Random(1), 4)
    second, third = list(radio.guests)[1:3]

    def answer(question: bytes) -> bytes:
        if question.endswith(second.encode()) and second in radio.guests:
            radio.leave(second)
        return radio.answer(question.decode()).encode()

    async with hostapd(folder / "wlan0", answer):
        found = {client.mac for client in await clients.ask(SocketSettings(folder=str(folder)), "wlan0", 2)}
    assert third in found
    assert found == {*radio.guests, second}


@pytest.mark.parametrize(
    "answer", [b"FAIL\n", b"UNKNOWN COMMAND\n", b"\xff\xfe", golden("hostapd_counted.txt").encode()]
)
async def test_answers_that_are_none_are_refused(folder: Path, answer: bytes) -> None:
    async with hostapd(folder / "wlan0", lambda _: answer):
        with pytest.raises(FrameError):
            await clients.ask(SocketSettings(folder=str(folder)), "wlan0", 2)


async def test_a_list_without_end_is_given_up(folder: Path) -> None:
    count = iter(range(10**6))

    def answer(_: bytes) -> bytes:
        return f"02:00:00:{(n := next(count)) >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}\naid=1\n".encode()

    async with hostapd(folder / "wlan0", answer):
        with pytest.raises(FrameError, match="512 before"):
            await clients.ask(SocketSettings(folder=str(folder)), "wlan0", 20)


async def test_silence_and_absence(folder: Path) -> None:
    async with hostapd(folder / "wlan0", lambda _: None):
        with pytest.raises(Silence, match="wlan0"):
            await clients.ask(SocketSettings(folder=str(folder)), "wlan0", 0.1)
    with pytest.raises(LineError, match="refused"):  # hostapd died and left its socket
        await clients.ask(SocketSettings(folder=str(folder)), "wlan0", 2)
    with pytest.raises(LineError, match="No such file"):
        await clients.ask(SocketSettings(folder=str(folder)), "wlan1", 2)
    with pytest.raises(LineError, match="too long"):
        await clients.ask(SocketSettings(folder="/" + "x" * 150), "wlan1", 2)


HOSTAPD = shutil.which("hostapd", path="/usr/sbin:/usr/bin:/sbin")


@pytest.mark.skipif(HOSTAPD is None, reason="Debian's hostapd is not installed")
async def test_the_real_hostapd_is_understood(folder: Path) -> None:
    """Without a radio it has no counters, but its socket, its walk and its bytes are the real ones."""
    control, macs = folder / "control", ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"]
    (folder / "conf").write_text(f"interface=lo\ndriver=none\nctrl_interface={control}\nssid=x\nhw_mode=g\nchannel=1\n")
    process = subprocess.Popen([str(HOSTAPD), folder / "conf"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not (control / "lo").exists():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        how = SocketSettings(folder=str(control))
        assert await clients.ask(how, "lo", 5) == []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control_socket:
            control_socket.bind("")
            control_socket.connect(str(control / "lo"))
            control_socket.settimeout(5)
            for mac in macs:
                control_socket.send(f"NEW_STA {mac}".encode())
                assert control_socket.recv(100) == b"OK\n"
        assert sorted(await clients.ask(how, "lo", 5), key=lambda c: c.mac) == [Client(mac=mac) for mac in macs]
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def ubus(tmp_path: Path) -> Callable[[str], UbusSettings]:
    """Makes a program that stands for `ubus`."""

    def make(script: str) -> UbusSettings:
        program = tmp_path / "ubus"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return UbusSettings(command=str(program))

    return make


async def test_the_ubus_program_is_called_as_openwrt_s_is(ubus: Callable[[str], UbusSettings]) -> None:
    how = ubus(f'[ "$*" = "call hostapd.wlan0 get_clients" ] && exec cat {GOLDEN}/ubus_counted.json\n'
               'echo "Command failed: Not found" >&2; exit 4')  # fmt: skip
    assert [client.tx for client in await clients.ask(how, "wlan0", 5)] == [3055187]
    with pytest.raises(LineError, match="Not found"):
        await clients.ask(how, "wlan9", 5)


async def test_a_ubus_that_hangs_floods_or_is_absent(ubus: Callable[[str], UbusSettings], tmp_path: Path) -> None:
    hanging = ubus(f"echo $$ >{tmp_path}/pid; exec sleep 60")
    with pytest.raises(Silence):
        await clients.ask(hanging, "wlan0", 0.5)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()  # no process is left behind
    with pytest.raises(FrameError, match="more than"):
        await clients.ask(ubus("exec cat /dev/zero"), "wlan0", 20)
    with pytest.raises(LineError, match="cannot be run"):
        await clients.ask(UbusSettings(command=str(tmp_path / "absent")), "wlan0", 5)
