"""From publish to receipt: packs through a real broker and a collector that has one core."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import psutil
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collector.credentials import enrol
from collector.state import password_file
from edge_agent.contract.events import Reading, Readings, Stored
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.topics import down, up
from scripts.benchmarks.figure import Figure, Line
from scripts.stage import Stage

BOXES = [f"air-{n:02}" for n in range(1, 17)]
PACKS = 300
"""For each box, of one sample each."""
WINDOW = 8
START_S = 20.0
NOW = 1_795_000_000_000

_stored = msgspec.msgpack.Decoder(Stored).decode


class _Box:
    """A box that keeps its window full and takes the time from publish to receipt."""

    def __init__(self, device: str, port: int, password: str) -> None:
        self.waits: list[float] = []
        self.done = threading.Event()
        self._device = device
        self._sent: dict[int, float] = {}
        self._next = 1
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device)
        self.client.username_pw_set(device, password)
        self.client.on_message = self._receipt
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(down(device, "stored"))
        self.client.loop_start()

    def start(self) -> None:
        for _ in range(WINDOW):
            self._send()

    def _send(self) -> None:
        number = self._next
        self._next += 1
        values = tuple(Reading(q, 100 + number % 50) for q in (2, 3, 12, 13, 14, 9))
        pack = encode_pack(1, "readings", [(number, Readings(at=NOW + number * 60_000, readings=values))])
        self._sent[number] = time.perf_counter()
        self.client.publish(up(self._device, "readings"), pack)

    def _receipt(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        number = _stored(bytes(message.payload)).runs[0]
        self.waits.append(time.perf_counter() - self._sent.pop(number))
        if self._next <= PACKS:
            self._send()
        elif not self._sent:
            self.done.set()


def measure() -> Figure:
    """Send packs of one sample from sixteen boxes, each with a full window."""
    return asyncio.run(_measure())


async def _measure() -> Figure:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stage = Stage(Path(folder))
        passwords = {device: enrol(password_file(stage.settings), device) for device in BOXES}
        async with stage.collector() as pid:
            psutil.Process(pid).cpu_affinity([max(os.sched_getaffinity(0))])
            await asyncio.sleep(4)
            return await asyncio.to_thread(_exchange, stage.mqtt_port, passwords)


def _exchange(port: int, passwords: dict[str, str]) -> Figure:
    boxes = [_Box(device, port, password) for device, password in passwords.items()]
    time.sleep(1)
    started = time.perf_counter()
    for box in boxes:
        box.start()
    for box in boxes:
        if not box.done.wait(120):
            raise TimeoutError("not every receipt came within two minutes")
    spent = time.perf_counter() - started
    for box in boxes:
        box.client.disconnect()
        box.client.loop_stop()
    waits = sorted(wait for box in boxes for wait in box.waits)
    return Figure(
        title="Packs with receipts: broker, collector, store and ledger on one core",
        lines=[
            Line(
                name="packs of one event, each with a receipt", value=len(waits) / spent, unit="packs/s", at_least=200
            ),
            Line(name="  publish to receipt, median", value=1000 * waits[len(waits) // 2], unit="ms"),
            Line(name="  95 % within", value=1000 * waits[len(waits) * 95 // 100], unit="ms"),
        ],
        note=f"Embedded broker and DuckDB; {len(BOXES)} boxes, {WINDOW} packs under way each.",
    )
