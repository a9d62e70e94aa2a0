"""The outbox on a disk that is full or holds what nobody can read, and puts that are cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest
from collector_double import EXAMPLES
from disks import fill, small_disk

from edge_agent.contract.events import Event, PlateRead, Readings
from edge_agent.contract.runs import numbers
from edge_agent.outbox import MAX_EVENT_BYTES, Outbox
from edge_agent.outbox_file import cure

LARGE = 10**9
READINGS = EXAMPLES[Readings]


def plate(size: int) -> Event:
    return msgspec.structs.replace(EXAMPLES[PlateRead], jpeg=bytes(size))


async def test_a_put_that_is_cancelled_does_not_take_the_commit_from_the_others(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE)
    # so that the commit still waits for the thread when its task is cancelled
    busy = asyncio.create_task(outbox.read("plates", 0, LARGE, LARGE))
    tasks = [asyncio.create_task(outbox.put(READINGS)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    async with asyncio.timeout(20):
        assert await asyncio.gather(*tasks[1:]) == [2, 3]
        assert await outbox.put(READINGS) == 4
    await busy
    await outbox.close()


async def test_an_event_that_cannot_be_encoded_harms_only_who_put_it(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE)
    wrong = msgspec.structs.replace(READINGS, at=2**70)
    async with asyncio.timeout(20):
        results = await asyncio.gather(outbox.put(READINGS), outbox.put(wrong), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], OverflowError)
    await outbox.close()


async def test_events_that_a_full_disk_did_not_take_are_numbered_and_told_as_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        outbox = Outbox.open(disk / "o.sqlite", LARGE)
        assert await outbox.put(READINGS) == 1
        ballast = disk / "ballast"
        fill(ballast)
        refused = 0
        for _ in range(60):  # the log still has room for some
            try:
                await outbox.put(plate(3000))
            except sqlite3.OperationalError:
                refused += 1
        assert refused > 1
        written = 60 - refused
        ballast.unlink()
        assert await outbox.put(READINGS) == 1 + 60 + 1, "none of the numbers is given twice"
        (entry,) = await outbox.lost()
        assert (entry.lost.kind, entry.lost.reason) == ("plates", "the disk could not be written")
        kept = {number for kind in ("plates", "readings") for number, _ in await outbox.read(kind, 0, LARGE, LARGE)}
        assert len(kept) == written + 2
        assert kept | set(numbers(entry.runs)) == set(range(1, 63)), "every number is kept or known to be lost"
        await outbox.close()


async def test_a_full_disk_is_not_a_damaged_file(tmp_path: Path) -> None:
    """An outbox that were set aside because its disk was full would take its events with it."""
    with small_disk(tmp_path / "disk", 1) as disk:
        path = disk / "o.sqlite"
        outbox = Outbox.open(path, LARGE)
        await outbox.put(READINGS)
        first_id = outbox.id
        await outbox.close()
        fill(disk / "ballast")
        with pytest.raises(sqlite3.OperationalError):
            Outbox.open(path, LARGE)
        assert list(disk.glob("*.damaged-*")) == []
        (disk / "ballast").unlink()
        outbox = Outbox.open(path, LARGE)
        assert first_id in outbox.epochs.ids
        assert len(await outbox.read("readings", 0, LARGE, LARGE)) == 1
        await outbox.close()


def test_what_to_do_tells_a_held_file_from_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    with sqlite3.connect(path) as holds, sqlite3.connect(path, timeout=0) as waits:
        holds.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as locked:
            waits.execute("CREATE TABLE t (x)")
        holds.rollback()
        holds.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            holds.execute("CREATE TABLE t (x)")
    assert (cure(locked.value), cure(full.value)) == (
        "another program holds its file; end that one",
        "free some disk space",
    )


async def test_an_event_that_no_pack_can_carry_is_lost_and_said(tmp_path: Path) -> None:
    """Sent for ever and never taken, a few of them would fill the window."""
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE)
    await outbox.put(plate(MAX_EVENT_BYTES))
    await outbox.put(plate(10))
    assert [number for number, _ in await outbox.read("plates", 0, LARGE, LARGE)] == [2]
    (entry,) = await outbox.lost()
    assert (list(numbers(entry.runs)), entry.lost.reason) == ([1], "it was larger than a pack may be")
    await outbox.close()


async def test_readable_events_behind_many_unreadable_ones_are_found(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE)
    await asyncio.gather(*(outbox.put(READINGS) for _ in range(2500)))
    await outbox.waiting()
    with sqlite3.connect(tmp_path / "o.sqlite") as db:
        assert db.execute("SELECT sum(events) FROM joined").fetchone() >= (1000,)
        db.execute("UPDATE joined SET bodies = x'c1'")
        db.execute("UPDATE events SET body = x'c1' WHERE number <= 2400")
    assert [number for number, _ in await outbox.read("readings", 0, LARGE, LARGE)] == list(range(2401, 2501))
    await outbox.close()
