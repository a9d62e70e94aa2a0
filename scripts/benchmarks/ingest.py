"""What one core of a collector takes in: from Mosquitto over quality, a real store and the ledger to the receipt."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS

from edge_agent.contract.packs import decode_pack, encode_pack
from edge_agent.contract.quantities import BY_NUMBER
from scripts.benchmarks._boxes import Told
from scripts.benchmarks._island import samples
from scripts.benchmarks._played import FULL, Boxes, told
from scripts.benchmarks.figure import Figure, Line
from scripts.benchmarks.store import one_core
from scripts.load_generator.centre import Centre
from scripts.load_generator.fleet import make_fleet

STORES = {"victoria-metrics": "VictoriaMetrics", "influxdb": "InfluxDB 1.6.7"}
BOXES = 10_000
RETURNING, PACKS, WINDOW = 400, 40, 4
"""Boxes with a backlog, full packs that each has, and the half of a box's window that the backlog gets."""
CUT_OFF, LONG = 120, 1400
"""Boxes that were cut off for days, and the samples in a pack that they come back with."""
LIVE = 3000
"""Boxes that send a sample each and wait for its receipt: as many as make 3,000 packs a second at one a second."""
HALF_LOAD = 1500.0
"""Packs a second: half of what is to be reached."""
SECONDS = 12.0
PEER_PACKS = 1500
LOOK_S = 0.2


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent, and what it cost the collector meanwhile."""

    told: Told
    cpu_s: float
    """Of the processor."""
    memory_mb: float
    """At most."""


def measure() -> Figure:
    """Measure with each store, some figures with one of them only."""
    lines: list[Line] = []
    for store, name in STORES.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, _collector(Path(folder), store) as collector:
            lines += _throughput(name, collector)
            if store == "victoria-metrics":
                lines += (*_at_ease(collector), _peer(collector))
            lines.append(_cut_off(name, collector))
    return Figure(
        title="Ingest: Mosquitto, collector on one core, store, ledger, receipt",
        lines=lines,
        note=f"A fleet of {BOXES:,} boxes, played over one connection by a process off the collector's core; the "
        "default tests of quality.",
    )


def _throughput(store: str, collector: Collector) -> Sequence[Line]:
    full = collector.play(RETURNING, samples=60, packs=PACKS, window=WINDOW, seconds=SECONDS)
    live = collector.play(LIVE, samples=1, packs=60, window=1, seconds=SECONDS)
    rate, singles = full.told.packs_per_s * FULL, live.told.packs_per_s
    return (
        Line(name=f"{store}: 60 samples of six a pack", value=rate, unit="readings/s", at_least=300_000),
        Line(name="  for each CPU second", value=full.told.receipts * FULL / full.cpu_s, unit="readings"),
        Line(name=f"{store}: one sample of six a pack", value=singles, unit="packs/s", at_least=3000),
        Line(name="  for each CPU second", value=live.told.receipts / live.cpu_s, unit="packs"),
        Line(name="  memory", value=max(full.memory_mb, live.memory_mb), unit="MB", at_most=300),
    )


def _at_ease(collector: Collector) -> Sequence[Line]:
    half = collector.play(LIVE, samples=1, packs=60, packs_per_s=HALF_LOAD, seconds=SECONDS)
    island = collector.play(BOXES, samples=1, packs=1, packs_per_s=BOXES / 60, seconds=2 * SECONDS)
    return (
        Line(name="half load: publish to receipt, median", value=1000 * half.told.median_s, unit="ms"),
        Line(name="  99 % within", value=1000 * half.told.p99_s, unit="ms", at_most=1000),
        Line(
            name=f"{BOXES:,} boxes, a pack a minute each",
            value=100 * island.cpu_s / (2 * SECONDS),
            unit="% of a core",
            at_most=20,
        ),
        Line(name="  99 % of receipts within", value=1000 * island.told.p99_s, unit="ms", at_most=1000),
        Line(name="  memory", value=island.memory_mb, unit="MB", at_most=300),
    )


def _cut_off(store: str, collector: Collector) -> Line:
    """The largest packs, last, for they leave the store work that would be measured with what comes after."""
    back = collector.play(CUT_OFF, samples=LONG, packs=2, window=2, seconds=SECONDS)
    name = f"{store}: memory, packs of {LONG:,} samples"
    return Line(name=name, value=back.memory_mb, unit="MB", at_most=300)


def _peer(collector: Collector) -> Line:
    """What a plain script does: each pack decoded, made a Point and written; no quality, ledger, receipt or flush."""
    packs = [encode_pack(1, "readings", [(i + 1, sample)]) for i, sample in enumerate(samples(PEER_PACKS))]
    with InfluxDBClient(url=collector.store_url, token="none", org="none") as client, one_core():
        write = client.write_api(write_options=SYNCHRONOUS).write
        began = time.perf_counter()
        for pack in packs:
            (block,) = decode_pack("readings", pack).blocks
            for sample in block.samples():
                point = Point("peer").tag("station", "air-01").time(sample.at * 1_000_000)
                for reading in sample.readings:
                    quantity = BY_NUMBER[reading.quantity]
                    point.field(quantity.name, None if reading.ticks is None else quantity.value(reading.ticks))
                write("none", "none", point)
        rate = len(packs) / (time.perf_counter() - began)
    return Line(name="peer: influxdb-client, sample by sample", value=rate, unit="packs/s", compare="no receipts")


@contextmanager
def _collector(folder: Path, store: str) -> Iterator[Collector]:
    devices = list(make_fleet(folder / "fleet", BOXES, {"air": 1}))
    centre = Centre(folder, folder / "fleet", store)
    boxes = Boxes(centre, devices)
    with centre:
        yield Collector(centre, store, boxes)


class Collector:
    """A collector on a core of its own: everything else keeps off it."""

    def __init__(self, centre: Centre, store: str, boxes: Boxes) -> None:
        self._process = psutil.Process(centre.processes["collector"].pid)
        self._boxes = boxes
        self.store_url = f"http://127.0.0.1:{centre.ports[store]}"
        cores = os.sched_getaffinity(0)
        own = {max(cores)}
        self._others = cores - own or cores
        for name, child in centre.processes.items():
            for thread in psutil.Process(child.pid).threads():
                os.sched_setaffinity(thread.id, own if name == "collector" else self._others)

    def play(
        self, boxes: int, *, samples: int, packs: int, seconds: float, window: int = 1, packs_per_s: float = 0
    ) -> Cost:
        """Let so many boxes send; see Plan."""
        memory = 0.0
        sent = self._boxes.play(
            boxes, samples=samples, packs=packs, seconds=seconds, window=window, packs_per_s=packs_per_s
        )
        with sent as played:
            os.sched_setaffinity(played.pid, self._others)
            before = self._spent_s()
            while played.poll() is None:
                memory = max(memory, self._process.memory_info().rss / 1e6)
                time.sleep(LOOK_S)
            spent = self._spent_s() - before
            return Cost(told=told(played), cpu_s=spent, memory_mb=memory)

    def _spent_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
