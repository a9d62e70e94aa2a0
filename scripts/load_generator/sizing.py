"""What 125, 10,000 and 1,000,000 boxes need, from measured costs: `python -m scripts.load_generator.sizing`.

Each cost says where it was measured. Everything beyond that size is multiplication, and says so.
"""

from __future__ import annotations

import math

import msgspec
from rich.console import Console
from rich.table import Table

from scripts.load_generator.mix import FLEET

HEARTBEATS = {"air": 0.2, "water": 0.2, "camera": 1.0, "ap": 1.0}
"""Packs a minute of every box, beside its own; as the example fleet's files say."""
PACKS_A_MINUTE = {"air": 1.0, "water": 1.0, "camera": 4.0, "ap": 1.0}
PACK_BYTES = {"air": 60, "water": 60, "camera": 12_200, "ap": 700, "health": 110}
OVERHEAD_BYTES = 160
"""Of MQTT, TCP and IP for a pack and its receipt."""
READINGS = 6
YEAR_MIN = 525_600


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Measured costs, of one core of the machine on which `scripts/load` and `scripts/bench ingest` ran."""

    collector_ms: float = 1.1
    """Processor milliseconds of the collector for a pack of one sample, at 167 a second; less in large batches."""
    collector_mb: float = 115.0
    collector_box_kb: float = 8.1
    """Memory for each box: 196 MB with 10,000 after two samples of each; a longer run was not measured."""
    broker_ms: float = 0.12
    """Mosquitto, for a pack and its receipt."""
    broker_box_kb: float = 4.0
    """47 MB with 10,000 connections; with TLS 197."""
    store_ms: float = 1.1
    """VictoriaMetrics, for the six readings and six flags of a pack at ease, flushed and read back."""
    bytes_a_reading: float = 2.0
    """In VictoriaMetrics, with its flag; assumed, of the order that its makers state for slow series."""
    picture_days: float = 3.0
    """How long plates are kept that nobody looks for."""


USE = 0.5
"""Of a core, so that a backlog comes home beside what is fresh."""
CONNECTIONS = 50_000
"""Of one Mosquitto, which works with one thread; beyond, several, or a clustered broker."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What so many boxes need."""

    boxes: int
    packs_per_s: float
    readings_per_s: float
    network_mbit: float
    brokers: int
    broker_gb: float
    """Of all brokers together."""
    collectors: int
    collector_gb: float
    """Of each collector: every one may be given any box."""
    store_cores: float
    store_gb_a_year: float
    pictures_gb: float


def size(boxes: int, cost: Cost) -> Size:
    """The example fleet's mix, so many boxes of it."""
    whole = sum(FLEET.values())
    of_kind = {kind: boxes * share / whole for kind, share in FLEET.items()}
    packs = {kind: count * PACKS_A_MINUTE[kind] / 60 for kind, count in of_kind.items()} | {
        "health": sum(count * HEARTBEATS[kind] for kind, count in of_kind.items()) / 60
    }
    rate = sum(packs.values())
    stations = packs["air"] + packs["water"]
    traffic = sum(count * (PACK_BYTES[kind] + OVERHEAD_BYTES) for kind, count in packs.items())
    return Size(
        boxes=boxes,
        packs_per_s=rate,
        readings_per_s=stations * READINGS,
        network_mbit=traffic * 8 / 1e6,
        brokers=math.ceil(max(boxes / CONNECTIONS, rate * cost.broker_ms / 1000 / USE)),
        broker_gb=boxes * cost.broker_box_kb / 1e6,
        collectors=math.ceil(rate * cost.collector_ms / 1000 / USE),
        collector_gb=(cost.collector_mb / 1e3) + boxes * cost.collector_box_kb / 1e6,
        store_cores=rate * cost.store_ms / 1000 / USE,
        store_gb_a_year=stations * 60 * READINGS * YEAR_MIN * cost.bytes_a_reading / 1e9,
        pictures_gb=packs["camera"] * 86_400 * cost.picture_days * PACK_BYTES["camera"] / 1e9,
    )


def main() -> None:
    """Print the table."""
    sizes = [size(boxes, Cost()) for boxes in (125, 10_000, 1_000_000)]
    table = Table(title="What boxes need (the example fleet's mix)", title_justify="left")
    for heading in ("", *(f"{each.boxes:,} boxes" for each in sizes)):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in Size.__struct_fields__[1:]:
        table.add_row(name.replace("_", " "), *(f"{getattr(each, name):,.3g}" for each in sizes))
    Console().print(table)


if __name__ == "__main__":
    main()
