"""Readings a second from packs into DuckDB on one core: decode, judge, make points, store and commit."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
from influxdb_client import Point

from collector import points
from collector.points import Frame
from collector.quality import Quality
from collector.stores.duckdb import DuckStore
from collector.stores.lines import lines
from edge_agent.contract.device import Box
from edge_agent.contract.packs import Block, decode_pack, encode_pack
from scripts.benchmarks._island import MORNING, SIX, box, samples
from scripts.benchmarks.figure import Figure, Line

STATIONS = 40
PACKS = 60
"""For each station, of 60 samples; and as many of one sample."""
PACKS_A_WRITE = 20
"""What gathers in a tenth of a second at 200 packs a second."""
OLD_ROWS = 2_000_000
"""Points in the table before anything is measured."""


def measure() -> Figure:
    """Measure on one core, in a folder that is deleted."""
    boxes = [box(f"air-{i:02}") for i in range(STATIONS)]
    full = [_pack(i * 60, 60) for i in range(PACKS)]
    single = [_pack((PACKS + 1) * 60 + i, 1) for i in range(PACKS)]
    with one_core(), tempfile.TemporaryDirectory() as folder:
        store = DuckStore(Path(folder) / "points.duckdb")
        _fill(store)
        quality = Quality()
        whole, stored, _ = _run(store, quality, boxes, full)
        _, _, packs = _run(store, quality, boxes, single)
        store.close()
        rows = _by_row(Path(folder) / "by_row.duckdb")
        ours, theirs = _rendering(boxes[0])
    unit = "readings/s"
    return Figure(
        title="Packs into DuckDB on one core",
        lines=[
            Line(name="packs of 60 samples of six, all steps", value=whole, unit=unit, at_least=100_000),
            Line(name="  the store's part alone", value=stored, unit=unit, at_least=300_000),
            Line(
                name="  DuckDB row by row (executemany)",
                value=rows,
                unit=unit,
                compare=f"ours is {stored / rows:,.0f} times",
            ),
            Line(name="packs of one sample of six, all steps", value=packs, unit="packs/s", at_least=200),
            Line(name="line protocol rendered by column", value=ours, unit="lines/s"),
            Line(
                name="  by influxdb-client's Point",
                value=theirs,
                unit="lines/s",
                compare=f"ours is {ours / theirs:.1f} times",
            ),
        ],
        note=f"{PACKS_A_WRITE} packs a transaction; {OLD_ROWS / 1e6:.0f} million points in the table before.",
    )


@contextmanager
def one_core() -> Iterator[None]:
    """Keep the process on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _pack(first: int, count: int) -> bytes:
    start = MORNING + first * 60_000
    return encode_pack(7, "readings", [(first + i + 1, sample) for i, sample in enumerate(samples(count, start=start))])


def _run(
    store: DuckStore, quality: Quality, boxes: Sequence[Box], payloads: Sequence[bytes]
) -> tuple[float, float, float]:
    """Readings a second of all steps and of the store alone, and packs a second."""
    readings, in_store = 0, 0.0
    packs = len(payloads) * len(boxes)
    began = time.perf_counter()
    blocks: list[tuple[Box, Block]] = []
    for i in range(packs):
        box, pack = boxes[i % len(boxes)], decode_pack("readings", payloads[i // len(boxes)])
        blocks += ((box, block) for block in pack.blocks)
        if (i + 1) % PACKS_A_WRITE == 0 or i + 1 == packs:
            judged = quality.judge_all([(box.device, block) for box, block in blocks])
            frames = [f for each, found in zip(blocks, judged, strict=True) for f in points.readings(*each, found)]
            before = time.perf_counter()
            store.write(frames)
            in_store += time.perf_counter() - before
            quality.keep()
            readings += sum(len(block.at) * len(block.quantities) for _, block in blocks)
            blocks = []
    took = time.perf_counter() - began
    return readings / took, readings / in_store, packs / took


def _fill(store: DuckStore) -> None:
    """Old points of the same stations, from before the morning."""
    chance, step = np.random.default_rng(1), 5000
    for written in range(0, OLD_ROWS, step):
        station, part = divmod(written, OLD_ROWS // STATIONS)
        at = MORNING - (part + np.arange(step, dtype=np.int64) + 1) * 60_000
        fields: dict[str, points.Column] = {}
        for name in SIX:
            fields |= {name: chance.normal(20, 3, step).round(1), f"{name}_flag": np.ones(step, np.uint8)}
        tags = {"station": f"air-{station:02}", "site": "duong-dong"}
        store.write([Frame(measurement="air", tags=tags, at=at, fields=fields)])


def _by_row(path: Path) -> float:
    """The peer: the same rows by executemany in one transaction."""
    names = [column for name in SIX for column in (name, f"{name}_flag")]
    rows = [("air-01", "duong-dong", (MORNING + i * 60_000) * 1000, *([20.5, 1] * len(SIX))) for i in range(1000)]
    with duckdb.connect(str(path)) as db:
        columns = ", ".join(f"{name} {'UTINYINT' if name.endswith('_flag') else 'DOUBLE'}" for name in names)
        db.execute(
            f"CREATE TABLE air (station VARCHAR, site VARCHAR, time BIGINT, {columns}, PRIMARY KEY (station, time))"
        )
        began = time.perf_counter()
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO air VALUES ({', '.join('?' * (3 + len(names)))})", rows)
        db.execute("COMMIT")
        return len(rows) * len(SIX) / (time.perf_counter() - began)


def _rendering(box: Box) -> tuple[float, float]:
    """Lines a second by our rendering and by the client's Point."""
    (block,) = decode_pack("readings", _pack(0, 60)).blocks
    (frame,) = points.readings(box, block, Quality().judge(box.device, block))
    columns = {name: np.asarray(column).tolist() for name, column in frame.fields.items()}
    times = (frame.at * 1_000_000).tolist()
    rounds = 100
    began = time.perf_counter()
    for _ in range(rounds):
        lines(frame)
    between = time.perf_counter()
    for _ in range(rounds):
        for row, at in enumerate(times):
            point = Point("air").tag("station", box.device).tag("site", box.site).time(at)
            for name, column in columns.items():
                point.field(name, column[row])
            point.to_line_protocol()
    end = time.perf_counter()
    return rounds * 60 / (between - began), rounds * 60 / (end - between)
