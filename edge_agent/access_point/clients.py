"""Associated clients, asked of hostapd by OpenWrt's bus or on its control socket.

    ubus call hostapd.wlan0 get_clients    {"freq": .., "clients": {"<mac>": {"bytes": {"rx": .., "tx": ..}, ..}, ..}}
    control socket (UNIX datagrams)        STA-FIRST, then STA-NEXT <mac> until the answer is empty:
                                           the MAC address, then key=value lines

Counters are the access point's: rx came from the client. Older builds give no counters and no signal.
"""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import msgspec

from edge_agent.access_point.settings import SocketSettings, UbusSettings
from edge_agent.errors import FrameError, LineError, Silence

MAX_ANSWER = 512 * 1024
MAX_CLIENTS = 512
"""No radio serves more."""
MAX_WALKS = 3

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One associated device as hostapd knows it."""

    mac: str
    """Lower case, with colons."""
    rx: int = 0
    """Bytes from the client since it associated; 0 where the driver does not count."""
    tx: int = 0
    signal: int | None = None
    """dBm."""


class _Bytes(msgspec.Struct, frozen=True):
    rx: int = 0
    tx: int = 0


class _UbusClient(msgspec.Struct, frozen=True):
    bytes: _Bytes = _Bytes()
    signal: int | None = None


class _UbusAnswer(msgspec.Struct, frozen=True):
    clients: dict[str, _UbusClient]


_decode_ubus = msgspec.json.Decoder(_UbusAnswer).decode


async def ask(how: UbusSettings | SocketSettings, interface: str, timeout_s: float) -> list[Client]:
    """The clients of an interface.

    Raises LineError where hostapd cannot be asked, Silence where it does not answer in time, FrameError where its
    answer is not understood.
    """
    try:
        async with asyncio.timeout(timeout_s):
            if isinstance(how, UbusSettings):
                return from_ubus(await _call_ubus(how.command, interface))
            return await _walk_socket(Path(how.folder) / interface)
    except TimeoutError:
        raise Silence(f"hostapd did not answer for {interface} within {timeout_s:g} s") from None


def from_ubus(answer: bytes) -> list[Client]:
    """Parse what `get_clients` printed. Raises FrameError."""
    try:
        clients = _decode_ubus(answer).clients
    except msgspec.MsgspecError as error:
        raise FrameError(f"ubus: not an answer of get_clients: {error}") from error
    if len(clients) > MAX_CLIENTS:
        raise FrameError(f"ubus: {len(clients)} clients of one radio")
    return [
        Client(mac=_mac(mac), rx=client.bytes.rx, tx=client.bytes.tx, signal=_dbm(client.signal))
        for mac, client in clients.items()
    ]


def from_control(answer: str) -> list[Client]:
    """Parse one station or several, as `STA-FIRST` or `hostapd_cli all_sta` give them. Raises FrameError."""
    stations: list[tuple[str, dict[str, str]]] = []
    for line in answer.splitlines():
        key, equals, value = line.partition("=")
        if not equals:
            stations.append((_mac(line.strip()), {}))
        elif not stations:
            raise FrameError(f"hostapd: {line[:40]!r} stands before any station")
        else:
            stations[-1][1][key] = value
    return [
        Client(
            mac=mac,
            rx=_number(values.get("rx_bytes")) or 0,
            tx=_number(values.get("tx_bytes")) or 0,
            signal=_dbm(_number(values.get("signal"))),
        )
        for mac, values in stations
    ]


def _mac(text: str) -> str:
    if _MAC.fullmatch(text.lower()) is None:
        raise FrameError(f"hostapd: {text[:40]!r} is not a MAC address")
    return text.lower()


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if re.fullmatch(r"-?[0-9]{1,20}", text) is None:
        raise FrameError(f"hostapd: {text[:40]!r} is not a number")
    return int(text)


def _dbm(signal: int | None) -> int | None:
    # 0 is what drivers say that have not measured yet
    return signal if signal is not None and -128 < signal < 0 else None


async def _call_ubus(command: str, interface: str) -> bytes:
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            command, "call", f"hostapd.{interface}", "get_clients", stdout=pipe, stderr=pipe, limit=MAX_ANSWER
        )
    except OSError as error:
        cure = "where there is no ubus, set hostapd: {by: socket}"
        raise LineError(f"{command} cannot be run: {error.strerror}; {cure}") from error
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        answer = await process.stdout.read(MAX_ANSWER)
        while more := await process.stdout.read(MAX_ANSWER):
            answer += more
            if len(answer) > MAX_ANSWER:
                raise FrameError(f"ubus: more than {MAX_ANSWER // 1024} KiB for {interface}")
        complaint = (await process.stderr.read(400)).decode(errors="replace").strip()
        if await process.wait() != 0:
            raise LineError(f"{command} call hostapd.{interface}: {complaint or f'exit {process.returncode}'}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return answer


async def _walk_socket(path: Path) -> list[Client]:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as control:
        control.bind("")  # an abstract address of the kernel's choice: hostapd answers to it, no file is left behind
        try:
            control.connect(str(path))
            return await _walk(loop, control)
        except OSError as error:
            raise LineError(f"hostapd cannot be asked on {path}: {error.strerror or error}") from error


async def _walk(loop: asyncio.AbstractEventLoop, control: socket.socket) -> list[Client]:
    found: dict[str, Client] = {}
    question, walks = b"STA-FIRST", 1
    while True:
        await loop.sock_sendall(control, question)
        answer = (await loop.sock_recv(control, 65_536)).decode(errors="replace")
        if answer == "FAIL\n" and question != b"STA-FIRST" and walks < MAX_WALKS:
            question, walks = b"STA-FIRST", walks + 1  # the client that we asked from has just left: walk again
            continue
        if not answer or (answer == "FAIL\n" and found):
            return list(found.values())
        clients = from_control(answer)
        if len(clients) != 1 or len(found) >= MAX_CLIENTS:
            raise FrameError(f"hostapd: {len(clients)} stations in one answer, {len(found)} before")
        found[clients[0].mac] = clients[0]
        question = f"STA-NEXT {clients[0].mac}".encode()
