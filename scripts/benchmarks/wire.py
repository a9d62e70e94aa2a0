"""Bytes on the wire for each reading: an agent behind a link of its own, Mosquitto with TLS at the other end.

The agent runs in a network namespace, and what is counted is every byte that passes the interface of that namespace in
either direction, with IP, TCP, TLS and MQTT: packs, acknowledgements, receipts, heartbeats, pings; without Ethernet,
which other links do not have. It takes root, `ip netns` and Mosquitto. Connecting is measured by itself.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collector.authority import Authority
from edge_agent.config import load
from edge_agent.contract.events import Stored
from edge_agent.contract.packs import decode_pack
from edge_agent.contract.topics import Topic, down
from scripts.benchmarks.figure import Figure, Line
from scripts.simulated import simulate

SETTLE_S, MEASURED_S = 20.0, 300.0
ETHERNET_BYTES = 14
PORT = 18883
FLEET = Path(__file__).parent.parent.parent / "firmware_configs"
REGISTERS = {
    "ph": (0, "pH"),
    "turbidity": (4, "NTU"),
    "conductivity": (8, "mS/cm"),
    "dissolved_oxygen": (12, "mg/L"),
    "salinity": (16, "PSU"),
    "orp": (20, "mV"),
}
"""Address and unit."""


class Case(NamedTuple):
    """A station that is watched."""

    name: str
    quantities: int
    every_s: int


CASES = (Case("six quantities a minute", 6, 60), Case("one quantity a second", 1, 1), Case("six a second", 6, 1))


def measure() -> Figure:
    """Run the stations side by side, each behind a link of its own."""
    found = asyncio.run(_watch())
    lines = []
    for case, (bytes_, packets, readings, connecting, memory) in zip(CASES, found, strict=True):
        due = 0.9 * case.quantities * MEASURED_S / case.every_s
        lines += [
            Line(name=f"{case.name}: a reading", value=bytes_ / readings, unit="B", at_most=100),
            Line(name="  readings", value=readings, unit="", at_least=due),
            Line(name="  packets a minute", value=packets * 60 / MEASURED_S, unit=""),
            Line(name="  connecting, once", value=connecting, unit="B"),
            Line(name="  resident, with TLS", value=memory, unit="MiB", at_most=30),
        ]
    return Figure(title="Bytes on the wire", lines=lines, note=f"Each over {MEASURED_S:g} s; both directions.")


async def _watch() -> list[tuple[int, int, int, int, float]]:
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        async with AsyncExitStack() as stack:
            stations = [
                await stack.enter_async_context(_station(Path(folder), number, case))
                for number, case in enumerate(CASES)
            ]
            await asyncio.sleep(SETTLE_S)
            before = [(*_passed(link), len(centre.times)) for link, centre, _ in stations]
            await asyncio.sleep(MEASURED_S)
            result = []
            for (link, centre, agent), (connecting, packets, heard), case in zip(stations, before, CASES, strict=True):
                bytes_, all_packets = _passed(link)
                samples = len(centre.times) - heard
                memory = psutil.Process(agent).memory_info().rss / 2**20
                counted = max(1, samples) * case.quantities
                result.append((bytes_ - connecting, all_packets - packets, counted, connecting, memory))
            return result


class _Centre:
    """Hears the readings of one broker and answers with receipts."""

    def __init__(self, host: str, ca: Path) -> None:
        self.times: list[int] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="collector")
        self._client.tls_set(str(ca))
        self._client.on_connect = lambda client, *_: client.subscribe("v1/up/#", qos=1)
        self._client.on_message = lambda _c, _u, message: self._hear(message)
        self._client.connect(host, PORT)
        self._client.loop_start()

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        topic = Topic.parse(message.topic)
        if topic.kind == "status":
            return
        pack = decode_pack(topic.kind, bytes(message.payload))
        self.times += (at for block in pack.blocks for at in block.at)
        receipt = msgspec.msgpack.encode(Stored(outbox=pack.outbox, runs=pack.runs))
        self._client.publish(down(topic.device, "stored"), receipt, qos=0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@asynccontextmanager
async def _station(folder: Path, number: int, case: Case) -> AsyncIterator[tuple[str, _Centre, int]]:
    """Give the link of a station, what hears it, and the agent's process id."""
    home = folder / str(number)
    home.mkdir()
    sensor = {"driver": "modbus", "line": "bus", "every_s": case.every_s}
    sensor["registers"] = {
        name: {"address": address, "type": "float32", "unit": unit}
        for name, (address, unit) in islice(REGISTERS.items(), case.quantities)
    }
    lines = {"bus": {"kind": "serial", "port": "/dev/null"}}
    station = {"medium": "wastewater", "lines": lines, "sensors": {"probe": sensor}}
    host = f"{_network(number)}.1"
    certificate, key = Authority(home / "authority").issue("broker", days=2, addresses=[host])
    ca = home / "authority" / "ca.pem"
    sets = [f"state={home / 'state'}", f"broker.host={host}", f"broker.port={PORT}", f"broker.tls.ca={ca}"]
    sets += ["broker.password_file=null", "station=null", f"station={msgspec.json.encode(station).decode()}"]
    file = FLEET / "devices" / "waste-01.yaml"
    async with AsyncExitStack() as stack:
        namespace, link = stack.enter_context(_link(number, host))
        stack.enter_context(_mosquitto(home, host, certificate, key))
        centre = _Centre(host, ca)
        stack.callback(centre.close)
        config = load(file, sets)
        assert config.station is not None
        places = await stack.enter_async_context(simulate(config.station, seed=str(number)))
        sets.append(f"station.lines.bus.port={places['bus']}")
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "edge_agent", "run", str(file)]
        command += [word for each in sets for word in ("--set", each)]
        yield link, centre, stack.enter_context(_process(command, home / "agent.log"))


def _network(number: int) -> str:
    """The first three parts of a station's addresses; those of two runs at once differ."""
    run = os.getpid()
    return f"10.{170 + run % 80}.{run // 80 % 80 * len(CASES) + number}"


@contextmanager
def _link(number: int, host: str) -> Iterator[tuple[str, str]]:
    """Make a network namespace with a link of its own; give its name and that of the link on this side."""
    namespace = f"wire-{os.getpid()}-{number}"
    ours, its = (f"w{os.getpid()}-{number}{end}" for end in "ab")
    with ExitStack() as undo:
        _ip("netns", "add", namespace)
        undo.callback(_ip, "netns", "del", namespace)
        _ip("link", "add", ours, "type", "veth", "peer", "name", its, "netns", namespace)
        # nor do the kernels look for IPv6 neighbours, as they do on Ethernet
        _ip("link", "set", ours, "addrgenmode", "none")
        _ip("-n", namespace, "link", "set", its, "addrgenmode", "none")
        _ip("addr", "add", f"{host}/24", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", namespace, "addr", "add", f"{host[:-1]}2/24", "dev", its)
        for link in ("lo", its):
            _ip("-n", namespace, "link", "set", link, "up")
        # no questions for addresses, which a radio link does not ask either
        macs = [
            subprocess.run([*ip, "cat", f"/sys/class/net/{link}/address"], check=True, capture_output=True, text=True)
            for ip, link in (([], ours), (["ip", "netns", "exec", namespace], its))
        ]
        (our_mac, its_mac) = (found.stdout.strip() for found in macs)
        _ip("neigh", "replace", f"{host[:-1]}2", "lladdr", its_mac, "dev", ours, "nud", "permanent")
        _ip("-n", namespace, "neigh", "replace", host, "lladdr", our_mac, "dev", its, "nud", "permanent")
        yield namespace, ours


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def _mosquitto(home: Path, host: str, certificate: Path, key: Path) -> Iterator[None]:
    file = home / "mosquitto.conf"
    file.write_text(
        f"user root\nlistener {PORT} {host}\nallow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n"
        "set_tcp_nodelay true\n"
    )
    with _process(["/usr/sbin/mosquitto", "-c", str(file)], home / "mosquitto.log"):
        time.sleep(1)
        yield


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[int]:
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield child.pid
    finally:
        ended = child.poll()
        child.terminate()
        child.wait(20)
    if ended is not None:
        raise RuntimeError(f"{command[0]} ended with {ended}:\n{log.read_text(errors='replace')[-2000:]}")


def _passed(link: str) -> tuple[int, int]:
    """Bytes and packets that passed a link, in both directions together."""
    folder = Path("/sys/class/net") / link / "statistics"
    counted = [int((folder / f"{way}_{what}").read_text()) for what in ("bytes", "packets") for way in ("rx", "tx")]
    packets = counted[2] + counted[3]
    return counted[0] + counted[1] - packets * ETHERNET_BYTES, packets
