"""When events are written: together where they may wait, at once where alerts rest on them, or in memory alone."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from collector_double import EXAMPLES, CollectorDouble
from servers import mosquitto
from test_agent import station
from test_outbox_rows import in_file

from edge_agent.config import load
from edge_agent.contract.events import Heartbeat, PlateRead, Readings
from edge_agent.errors import ConfigError
from edge_agent.outbox import Outbox
from edge_agent.settings import OutboxSettings

AIR = Path(__file__).parent.parent / "firmware_configs" / "devices" / "air-01.yaml"
LARGE = 10**9
WAIT_S = 1.0


async def commits(outbox: Outbox) -> list[str]:
    """Every commit from now on is added to the list."""
    found: list[str] = []
    await outbox._call(
        lambda: outbox._db.set_trace_callback(lambda sql: found.append(sql) if sql.startswith("COMMIT") else None)
    )
    return found


async def test_events_wait_for_each_other_and_a_plate_for_nobody(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE, commit_s=WAIT_S)
    found = await commits(outbox)
    begun = time.monotonic()
    first = asyncio.create_task(outbox.put(EXAMPLES[Readings]))
    await asyncio.sleep(0.1)
    assert await outbox.put(EXAMPLES[Heartbeat]) == 2
    assert await first == 1
    assert (len(found), in_file(tmp_path / "o.sqlite")[0][0]) == (1, 1), "one commit, and put returns after it"
    assert time.monotonic() - begun >= 0.99 * WAIT_S
    waits = asyncio.create_task(outbox.put(EXAMPLES[Readings]))
    await asyncio.sleep(0)
    begun = time.monotonic()
    assert await outbox.put(EXAMPLES[PlateRead]) == 4
    assert time.monotonic() - begun < 0.9 * WAIT_S
    assert await waits == 3, "it went with the plate"
    last = asyncio.create_task(outbox.put(EXAMPLES[Readings]))
    await asyncio.sleep(0)
    await outbox.close()
    assert await last == 5, "an end waits for nothing"
    assert len(in_file(tmp_path / "o.sqlite")) == 5


async def test_a_file_that_another_program_holds_for_seconds_costs_no_event(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE)
    other = sqlite3.connect(tmp_path / "o.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    put = asyncio.create_task(outbox.put(EXAMPLES[Readings]))
    await asyncio.sleep(6)  # SQLite's own patience is 5 s
    assert not put.done()
    other.close()
    assert await put == 1
    await outbox.close()
    assert len(in_file(tmp_path / "o.sqlite")) == 1


async def test_an_outbox_in_memory_writes_nothing_and_keeps_its_cap(tmp_path: Path) -> None:
    path, cap = tmp_path / "o.sqlite", 200_000
    outbox = Outbox.open(path, cap, storage="memory")
    assert outbox.volatile
    for _ in range(40):
        await asyncio.gather(*(outbox.put(EXAMPLES[PlateRead]) for _ in range(20)))
        assert (await outbox.waiting()).bytes <= cap
    assert outbox.dropped["plates"] > 400
    assert outbox.has_lost
    await outbox.close()
    assert list(tmp_path.iterdir()) == []


async def test_what_waits_on_disk_is_sent_before_the_outbox_moves_to_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "o.sqlite"
    for storage, volatile, waits in (("disk", False, 1), ("memory", False, 1), ("memory", True, 0)):
        outbox = Outbox.open(path, LARGE, storage=storage)  # type: ignore[arg-type]
        assert outbox.volatile == volatile
        if storage == "disk":
            await outbox.put(EXAMPLES[Readings])
        assert (await outbox.waiting()).events == waits
        if not volatile and storage == "memory":
            await outbox.forget([(1, 1)])
        await outbox.close()
    assert "still holds events" in caplog.text


async def test_a_box_says_that_its_outbox_is_in_memory(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        sets = ("outbox.storage=memory", "outbox.max_mb=4", "outbox.commit_s=0")
        async with station(tmp_path, broker.port, tmp_path / "state", *sets):
            async with asyncio.timeout(40):
                while not collector.heard("readings"):
                    await asyncio.sleep(0.05)
        assert collector.statuses[0].volatile
        assert not (tmp_path / "state" / "outbox.sqlite").exists()


def test_memory_is_little_on_a_box() -> None:
    with pytest.raises(ConfigError, match="max_mb must be at most 32"):
        load(AIR, ["outbox.storage=memory", "outbox.max_mb=64"])
    assert OutboxSettings().commit_s == 1


def test_a_new_file_has_small_pages(tmp_path: Path) -> None:
    Outbox.open(tmp_path / "o.sqlite", LARGE)
    assert sqlite3.connect(tmp_path / "o.sqlite").execute("PRAGMA page_size").fetchone() == (1024,)
