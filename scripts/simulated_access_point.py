"""Plays an access point: hostapd's control sockets, the kernel's interface counters, dnsmasq's leases.

    python -m scripts.simulated_access_point FOLDER    until Ctrl-C; prints the settings that make an agent look there

The sockets speak what hostapd 2.10 speaks to `hostapd_cli all_sta`: PING, STA-FIRST, STA-NEXT <mac>. Guests come, use
some bytes, and go; their addresses are random ones as phones make them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

LEASE_S = 3600
HEADINGS = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n"
)


class Guest:
    """One associated device."""

    def __init__(self, random: Random, mac: str) -> None:
        self.mac = mac
        self.greed = random.uniform(2_000, 400_000)
        """Bytes a second that it takes when it takes some."""
        self.signal = random.randint(-82, -41)
        self.rx = self.tx = self.seconds = 0

    def step(self, random: Random, seconds: float) -> tuple[int, int]:
        """Use some bytes; returns what was received from it and sent to it."""
        self.seconds += round(seconds)
        self.signal = min(-35, max(-90, self.signal + random.randint(-2, 2)))
        tx = int(self.greed * seconds * random.random()) if random.random() < 0.7 else 0
        rx = tx // random.randint(5, 30) + random.randint(0, 2_000)
        self.rx += rx
        self.tx += tx
        return rx, tx

    def station(self, aid: int) -> str:
        """What hostapd says of it."""
        return (
            f"{self.mac}\nflags=[AUTH][ASSOC][AUTHORIZED][WMM]\naid={aid}\ncapability=0x431\nlisten_interval=10\n"
            f"supported_rates=8c 12 98 24 b0 48 60 6c\ntimeout_next=NULLFUNC POLL\n"
            f"rx_packets={self.rx // 700}\ntx_packets={self.tx // 1300}\nrx_bytes={self.rx}\ntx_bytes={self.tx}\n"
            f"inactive_msec=40\nsignal={self.signal}\nconnected_time={self.seconds}\n"
        )


class Radio:
    """One wireless interface: its guests and its counters."""

    def __init__(self, random: Random, guests: int) -> None:
        self._random = random
        self._usual = guests
        self.guests: dict[str, Guest] = {}
        self.rx = self.tx = 0
        for _ in range(guests):
            self.arrive()

    def arrive(self) -> Guest:
        """Let a guest associate."""
        octets = [self._random.randrange(256) for _ in range(6)]
        octets[0] = octets[0] & 0xFC | 0x02  # locally administered, as phones make their random addresses
        guest = Guest(self._random, ":".join(f"{octet:02x}" for octet in octets))
        self.guests[guest.mac] = guest
        return guest

    def leave(self, mac: str) -> None:
        """Let a guest go."""
        del self.guests[mac]

    def step(self, seconds: float) -> None:
        """Let some seconds pass."""
        for guest in self.guests.values():
            rx, tx = guest.step(self._random, seconds)
            self.rx += rx + 300
            self.tx += tx + 700  # beacons and the like count too
        if self.guests and self._random.random() < 0.05 * seconds:
            self.leave(self._random.choice(list(self.guests)))
        if len(self.guests) < 2 * self._usual and self._random.random() < 0.05 * seconds:
            self.arrive()

    def answer(self, question: str) -> str:
        """What hostapd answers on the control socket."""
        command, _, mac = question.partition(" ")
        macs = list(self.guests)
        if command == "PING":
            return "PONG\n"
        if command == "STA-FIRST":
            following = macs[:1]
        elif command == "STA-NEXT":
            if mac not in self.guests:
                return "FAIL\n"
            following = macs[macs.index(mac) + 1 :][:1]
        else:
            return "UNKNOWN COMMAND\n"
        return "".join(self.guests[each].station(macs.index(each) + 1) for each in following)


def counters_text(radios: dict[str, Radio]) -> str:
    """The text of /proc/net/dev."""
    lines = [
        f"{name:>6}: {radio.rx} {radio.rx // 700} 0 0 0 0 0 0 {radio.tx} {radio.tx // 1300} 0 0 0 0 0 0\n"
        for name, radio in radios.items()
    ]
    return HEADINGS + "".join(lines)


def leases_text(radios: dict[str, Radio], now_s: int) -> str:
    """dnsmasq's leases: every guest has one."""
    macs = [mac for radio in radios.values() for mac in radio.guests]
    lines = [f"{now_s + LEASE_S} {mac} 10.40.{i // 250}.{i % 250 + 2} * 01:{mac}\n" for i, mac in enumerate(macs)]
    return "".join(lines)


def write_files(folder: Path, radios: dict[str, Radio]) -> None:
    """Write counters and leases, each in one move so that no reader sees half a file."""
    for name, text in (("net_dev", counters_text(radios)), ("dhcp.leases", leases_text(radios, int(time.time())))):
        new = folder / f"{name}.new"
        new.write_text(text)
        new.replace(folder / name)


@contextlib.contextmanager
def _listening(path: Path, radio: Radio) -> Iterator[None]:
    """Answer on a control socket while the loop runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as control:
        control.bind(str(path))
        loop = asyncio.get_running_loop()

        def answer() -> None:
            with contextlib.suppress(OSError):  # who asked is gone already
                question, address = control.recvfrom(4096)
                control.sendto(radio.answer(question.decode(errors="replace")).encode(), address)

        loop.add_reader(control, answer)
        try:
            yield
        finally:
            loop.remove_reader(control)
            path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def simulate_access_point(
    folder: Path, interfaces: tuple[str, ...] = ("wlan0", "wlan1"), guests: int = 6, seed: int = 1
) -> AsyncIterator[list[str]]:
    """Play an access point; gives the settings that make an agent look there. Files stand in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    radios = {name: Radio(random, guests) for name in interfaces}
    write_files(folder, radios)
    with contextlib.ExitStack() as stack:
        # a socket's path may have 107 characters, and the folder may stand deep
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hostapd-")))
        for name, radio in radios.items():
            stack.enter_context(_listening(sockets / name, radio))
        moving = asyncio.create_task(_move(folder, radios), name="simulated access point")
        try:
            yield [
                f"access_point.interfaces=[{', '.join(interfaces)}]",
                f"access_point.hostapd={{by: socket, folder: {sockets}}}",
                f"access_point.traffic={folder / 'net_dev'}",
                f"access_point.leases={folder / 'dhcp.leases'}",
            ]
        finally:
            moving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await moving


async def _move(folder: Path, radios: dict[str, Radio], every_s: float = 1.0) -> None:
    while True:
        await asyncio.sleep(every_s)
        for radio in radios.values():
            radio.step(every_s)
        write_files(folder, radios)


async def _play(folder: Path) -> None:
    async with simulate_access_point(folder) as settings:
        for setting in settings:
            print(f"--set '{setting}'")
        await asyncio.Event().wait()


def main() -> None:
    """Play until interrupted."""
    parser = argparse.ArgumentParser(description="Plays an access point for an agent on this machine.")
    parser.add_argument("folder", type=Path, help="where counters and leases are written")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_play(parser.parse_args().folder))


if __name__ == "__main__":
    main()
