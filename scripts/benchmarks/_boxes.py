"""Many boxes on one connection, for measuring a collector: prepared packs, windows, and the time to each receipt.

A process of its own, as whoever measures must not take from what is measured:

    python -m scripts.benchmarks._boxes < plan.json

It says "ready" in a line when all is prepared, and at the end what it was told, as JSON.
MQTT is spoken by hand here, for a client library would cost more than the collector does.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence

import msgspec

from edge_agent.contract.events import Readings, Stored
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.topics import down, up
from scripts.benchmarks._island import MORNING, samples

USER = "all-boxes"
"""Speaks for every box, which no real user may."""
ENDLESS_S = 1e9
LAST_S = 15.0
"""How long the last receipts are waited for."""
TICK_S = 0.01

_stored = msgspec.msgpack.Decoder(Stored).decode


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the boxes send."""

    port: int
    password: str
    """Of USER at the broker."""
    devices: Sequence[str]
    outbox: int
    start: int
    """Time of the first sample (ms); the others follow by the minute."""
    samples: int
    """In each pack, of six quantities."""
    packs: int
    """For each box at most."""
    seconds: float
    """No pack is sent later."""
    window: int = 1
    """Packs of each box under way."""
    packs_per_s: float = 0
    """Of all boxes together, whatever the receipts do; 0: as fast as the windows allow."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    sent: int
    receipts: int
    """Of all that were sent, also those that came late."""
    packs_per_s: float
    """Receipts a second while packs were sent."""
    median_s: float
    """From publish to receipt."""
    p99_s: float
    """So long at most for 99 of 100 that were sent; endless if more had none."""


def main() -> None:
    """Play what is on standard input."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    boxes = _Boxes(plan)
    print("ready", flush=True)
    print(msgspec.json.encode(boxes.play()).decode())


class _Boxes:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._packs = list(_packs(plan))
        self._topics = {device: _text(up(device, "readings")) for device in plan.devices}
        self._device_of = {_text(down(device, "stored")): device for device in plan.devices}
        self._next = dict.fromkeys(plan.devices, 0)
        self._sent_at: dict[tuple[str, int], float] = {}
        self._waits: list[float] = []
        self._out, self._come = bytearray(), bytearray()
        self._socket = socket.create_connection(("127.0.0.1", plan.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._greet()

    def play(self) -> Told:
        """Send everything, and wait for the last receipts."""
        seconds = self._by_rate() if self._plan.packs_per_s else self._by_window()
        in_time = len(self._waits)
        deadline = time.perf_counter() + LAST_S
        while self._sent_at and time.perf_counter() < deadline:
            self._take()
        waits = sorted(self._waits) + [ENDLESS_S] * len(self._sent_at)
        return Told(
            sent=len(waits),
            receipts=len(self._waits),
            packs_per_s=in_time / max(seconds, TICK_S),
            median_s=waits[len(waits) // 2],
            p99_s=waits[len(waits) * 99 // 100],
        )

    def _by_window(self) -> float:
        """Each receipt lets its box send the next pack; gives the seconds until the last one."""
        began = last = time.perf_counter()
        for device in self._plan.devices:
            for _ in range(self._plan.window):
                self._send(device)
        self._flush()
        while self._sent_at and time.perf_counter() < began + self._plan.seconds:
            for device in self._take():
                last = time.perf_counter()
                self._send(device)
            self._flush()
        return last - began

    def _by_rate(self) -> float:
        """One box after the other, whatever the receipts do."""
        began, sent = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < self._plan.seconds:
            due = int(spent * self._plan.packs_per_s)
            for i in range(sent, due):
                self._send(self._plan.devices[i % len(self._plan.devices)])
            sent = due
            self._flush()
            self._take()
        return spent

    def _send(self, device: str) -> None:
        i = self._next[device]
        if i < len(self._packs):
            self._next[device] = i + 1
            self._sent_at[device, i * self._plan.samples + 1] = time.perf_counter()
            self._out += _packet(0x30, self._topics[device] + self._packs[i])

    def _flush(self) -> None:
        self._socket.sendall(self._out)
        self._out.clear()

    def _take(self) -> list[str]:
        """Take what comes within a tick; gives the box of every receipt."""
        if not select.select([self._socket], [], [], TICK_S)[0]:
            return []
        self._come += self._receive()
        now, devices = time.perf_counter(), list[str]()
        for body in _bodies(self._come):
            size = 2 + int.from_bytes(body[:2], "big")
            device = self._device_of[body[:size]]
            sent_at = self._sent_at.pop((device, _stored(body[size:]).runs[0]), None)
            if sent_at is not None:
                self._waits.append(now - sent_at)
                devices.append(device)
        return devices

    def _greet(self) -> None:
        login = _text("boxes") + _text(USER) + _text(self._plan.password)
        self._socket.sendall(_packet(0x10, _text("MQTT") + b"\x04\xc2\x00\x00" + login))
        self._socket.sendall(_packet(0x82, b"\x00\x01" + _text("v1/down/+/stored") + b"\x00"))
        while len(self._come) < 9:  # CONNACK, SUBACK
            self._come += self._receive()
        del self._come[:9]

    def _receive(self) -> bytes:
        got = self._socket.recv(1 << 18)
        if not got:
            raise ConnectionError("the broker has closed the connection")
        return got


def _packs(plan: Plan) -> Iterator[bytes]:
    """What every box sends: the same values, each its own pack, as the numbers rise."""
    given = samples(plan.packs * plan.samples)
    for first in range(0, len(given), plan.samples):
        part = given[first : first + plan.samples]
        numbered = [
            (first + i + 1, Readings(at=plan.start + sample.at - MORNING, readings=sample.readings))
            for i, sample in enumerate(part)
        ]
        yield encode_pack(plan.outbox, "readings", numbered)


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _packet(kind: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes((kind, *length)) + body


def _bodies(come: bytearray) -> Iterator[bytes]:
    """Take every whole packet out of what has come; gives what is behind its length."""
    begin = 0
    while True:
        size, shift, at = 0, 0, begin + 1
        while at < len(come):
            size |= (come[at] & 127) << shift
            shift += 7
            at += 1
            if come[at - 1] < 128:
                break
        else:
            break
        if at + size > len(come):
            break
        yield bytes(come[at : at + size])
        begin = at + size
    del come[:begin]


if __name__ == "__main__":
    main()
