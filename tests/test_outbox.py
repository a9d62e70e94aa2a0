"""The outbox: what put has returned is on disk, the cap holds, damage is survived and said."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from events import plate_read

from edge_agent.__main__ import main
from edge_agent.contract.events import Heartbeat, PlateRead, Reading, Readings
from edge_agent.contract.runs import numbers
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import used_bytes
from edge_agent.outbox_lost import LostRuns
from edge_agent.outbox_rows import every

AT = 1_795_000_000_000
LARGE = 10**9


def readings(i: int) -> Readings:
    return Readings(at=AT + i, readings=(Reading(2, i),))


def heartbeat(i: int) -> Heartbeat:
    return Heartbeat(
        at=AT + i,
        uptime_s=i,
        rss_kb=0,
        cpu_ms=0,
        outbox_events=0,
        outbox_bytes=0,
        oldest=None,
        disk_free_mb=0,
        counters={"padding": i},
        faults=(),
    )


def plate(i: int) -> PlateRead:
    return plate_read(AT + i, os.urandom(5000))


@asynccontextmanager
async def opened(path: Path, max_bytes: int = LARGE) -> AsyncIterator[Outbox]:
    outbox = Outbox.open(path, max_bytes)
    try:
        yield outbox
    finally:
        await outbox.close()


async def test_numbers_rise_by_one_over_restarts_and_deletions(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.sqlite") as outbox:
        assert await asyncio.gather(*(outbox.put(readings(i)) for i in range(5))) == [1, 2, 3, 4, 5]
        await outbox.forget([(1, 5)])
        first_id = outbox.id
    async with opened(tmp_path / "o.sqlite") as outbox:
        assert outbox.id != first_id, "new events of each start have an id of their own"
        assert outbox.epochs.ids == (outbox.id,), "of the one before nothing waits"
        assert outbox.last_number == 5
        assert await outbox.put(readings(6)) == 6
        assert await outbox.read("readings", 0, LARGE, LARGE) == [(6, readings(6))]


async def test_events_put_together_share_one_commit(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.sqlite") as outbox:
        changes: list[None] = []
        outbox.on_change = lambda: changes.append(None)
        await asyncio.gather(*(outbox.put(readings(i)) for i in range(200)))
        assert len(changes) < 20


async def test_what_put_returned_survives_kill_9(tmp_path: Path) -> None:
    """The child says a number only after put returned; every number it said must be on disk."""
    child = subprocess.Popen(
        [sys.executable, "-c", PUT_FOR_EVER, str(tmp_path / "o.sqlite")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(60)]
    os.kill(child.pid, signal.SIGKILL)
    said += [int(line) for line in child.stdout.read().splitlines() if line.strip()]
    child.wait()
    async with opened(tmp_path / "o.sqlite") as outbox:
        kept = [number for number, _ in await outbox.read("readings", 0, LARGE, LARGE)]
    assert set(said) <= set(kept)
    assert kept == list(range(1, len(kept) + 1))


PUT_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from edge_agent.contract.events import Reading, Readings
from edge_agent.outbox import Outbox

async def main():
    outbox = Outbox.open(Path(sys.argv[1]), 10**9)
    for i in range(900):
        print(await outbox.put(Readings(at=i, readings=(Reading(2, i),))), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_full_outbox_drops_the_oldest_of_the_least_important_and_says_so(tmp_path: Path) -> None:
    cap = 190_000  # the plates alone take 165,000, and with all the rest, however well it is joined, 218,000
    async with opened(tmp_path / "o.sqlite", cap) as outbox:
        for i in range(30):
            await outbox.put(plate(i))
        for make, count in ((heartbeat, 3000), (readings, 6000)):
            for first in range(0, count, 500):
                await asyncio.gather(*(outbox.put(make(i)) for i in range(first, first + 500)))
        told: list[LostRuns] = []
        while lost := await outbox.lost():
            assert lost[0].id not in {entry.id for entry in told}, "what the collector knows of is told no more"
            told += lost
            for entry in lost:
                await outbox.forget_lost(entry.id)
        plates = await outbox.read("plates", 0, LARGE, LARGE)
        assert (await outbox.waiting()).bytes <= cap
    assert len(plates) == 30, "plates are dropped last"
    assert told[0].lost.kind == "health", "heartbeats are dropped first"
    assert next(iter(numbers(told[0].runs))) == 31, "the oldest first"
    with sqlite3.connect(tmp_path / "o.sqlite") as db:
        kept = {row.number for row in every(db)}
        assert used_bytes(db) <= cap
        dropped = {number for row in told for number in numbers(row.runs)}
    assert kept | dropped == set(range(1, 9031)), "every number is kept or known to be lost"


async def test_a_damaged_file_is_set_aside_and_the_box_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "o.sqlite"
    async with opened(path) as outbox:
        await asyncio.gather(*(outbox.put(readings(i)) for i in range(1, 1901)))
        for i in range(1901, 1991):
            await outbox.put(readings(i))
        first_id = outbox.id
    damaged = bytearray(path.read_bytes())
    there = damaged.find(msgspec.msgpack.encode(readings(1970)))
    while there >= 0:  # every page on which that event has ever stood
        damaged[there - there % 1024 : there - there % 1024 + 1024] = os.urandom(1024)
        there = damaged.find(msgspec.msgpack.encode(readings(1970)))
    path.write_bytes(damaged)
    async with opened(path) as outbox:
        assert outbox.id != first_id
        assert "damaged" in outbox.set_aside
        assert await outbox.put(readings(1)) == 1991
        spans = ((0, 1001), (1000, 1991))
        kept = [n for span in spans for n, _ in await outbox.read("readings", *span, LARGE)]
        told = [n for entry in await outbox.lost() for n in numbers(entry.runs)]
        assert 0 < len(kept) < 1990
        assert sorted(kept + told) == list(range(1, 1991)), "each is saved or told as lost, under its own id"
        assert {entry.outbox for entry in await outbox.lost()} == {first_id}
    (aside,) = tmp_path.glob("o.damaged-????")
    assert aside.read_bytes() == bytes(damaged)
    assert main(["outbox", "verify", str(aside)]) == 1


async def test_a_copy_that_somebody_made_beside_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    (tmp_path / "o.damaged-copy").touch()
    for put_aside in range(1, 5):
        path.write_bytes(b"not a database at all" * 100)
        async with opened(path) as outbox:
            assert "damaged" in outbox.set_aside
        names = sorted(file.name for file in tmp_path.glob("o.damaged-*"))
        numbered = [f"o.damaged-{n:04}" for n in range(max(1, put_aside - 1), put_aside + 1)]
        assert names == [*numbered, "o.damaged-copy"], "kept are the last two, and what is not ours"


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
async def test_an_empty_or_foreign_file_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "o.sqlite"
    path.write_bytes(content)
    async with opened(path) as outbox:
        assert await outbox.put(readings(1)) == 1


async def test_an_unreadable_event_is_reported_lost_and_the_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    async with opened(path) as outbox:
        await asyncio.gather(*(outbox.put(readings(i)) for i in range(3)))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE events SET body = x'c1' WHERE number = 2")
    async with opened(path) as outbox:
        assert [n for n, _ in await outbox.read("readings", 0, LARGE, LARGE)] == [1, 3]
        assert [list(numbers(entry.runs)) for entry in await outbox.lost()] == [[2]]


async def test_commands_show_what_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "o.sqlite"
    async with opened(path) as outbox:
        await asyncio.gather(*(outbox.put(readings(i)) for i in range(3)))
        assert main(["outbox", "status", str(path)]) == 0, "also while the agent runs"
    assert "waiting   3 events" in capsys.readouterr().out
    assert main(["outbox", "inspect", str(path), "--last", "1"]) == 0
    assert capsys.readouterr().out == '{"number":3,"kind":"readings","at":1795000000002,"readings":{"pm2_5":0.2}}\n'
    assert main(["outbox", "verify", str(path)]) == 0
    assert "3 events are readable, 0 findings" in capsys.readouterr().out
    assert main(["outbox", "export", str(path), "--to", str(tmp_path / "out.jsonl")]) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert main(["outbox", "status", str(tmp_path / "none.sqlite")]) == 78
    assert main(["outbox", "export", str(path), "--to", str(tmp_path)]) == 1, "a folder takes no events"
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "inspect", "verify", "export"])
def test_commands_survive_what_is_no_outbox(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    empty, foreign = tmp_path / "empty.sqlite", tmp_path / "foreign.sqlite"
    empty.touch()
    assert main(["outbox", command, str(empty)]) == 1
    assert "is it the outbox?" in capsys.readouterr().err
    with closing(sqlite3.connect(foreign)) as db, db:
        db.executescript(
            "CREATE TABLE meta (id, set_aside); CREATE TABLE lost (kind, reason);"
            "CREATE TABLE events (number INTEGER PRIMARY KEY, kind, at, body);"
            "INSERT INTO events VALUES (1, 'readings', 'today', 5), (2, 'none', NULL, NULL)"
        )
    assert main(["outbox", command, str(foreign)]) == 1
    assert "no number of its own" in capsys.readouterr().err
    with closing(sqlite3.connect(foreign)) as db, db:
        db.execute("INSERT INTO meta VALUES (7, '')")
    assert main(["outbox", command, str(foreign)]) == (command == "verify")
    said = capsys.readouterr().out
    assert "no time ('today')" in said if command == "status" else "event 1 (readings)" in said


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """As with `edge-agent outbox export FILE | head -1`; the pipe's end must be closed before the first line."""
    path = tmp_path / "outbox.sqlite"
    Outbox.open(path, 1_000_000)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "edge_agent", "outbox", "status", str(path)]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")
