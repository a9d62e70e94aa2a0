"""Whatever bytes of the outbox change on the flash: nothing is invented or altered, and the box goes on."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from collector_double import EXAMPLES

from edge_agent import outbox_rows
from edge_agent.contract.events import PRIORITY, Event, Heartbeat, PlateRead, Readings, WifiUsage
from edge_agent.contract.runs import numbers
from edge_agent.outbox import Outbox

LARGE = 10**9
KINDS = (Readings, Readings, Readings, Heartbeat, WifiUsage, PlateRead)
Made = dict[tuple[int, int], Event]


class Disk(NamedTuple):
    """An outbox as it stands on the disk while its agent runs: the file and its log."""

    files: dict[str, bytes]
    made: Made
    """Every event that was ever put."""
    waiting: set[tuple[int, int]]


async def disk_of(folder: Path) -> Disk:
    """Four starts, joined rows, confirmed and dropped events; the newest are in the log alone."""
    path, made, gone = folder / "o.sqlite", Made(), set[tuple[int, int]]()
    chance = random.Random(7)
    for start in range(4):
        outbox = Outbox.open(path, LARGE)
        for i in range(40):
            kinds = chance.choices(KINDS, k=chance.randint(1, 4))
            events = [
                msgspec.structs.replace(EXAMPLES[kind], at=1_795_000_000_000 + start * 1000 + i) for kind in kinds
            ]
            for place, event in zip(await asyncio.gather(*map(outbox.put, events)), events, strict=True):
                made[outbox.id, outbox.epochs.of(place).number(place)] = event
        spans = [(n, n + 4) for n in range(5, outbox.last_number, 40)]
        for place in (n for span in spans for n in range(span[0], span[1] + 1)):
            epoch = outbox.epochs.of(place)
            gone.add((epoch.id, epoch.number(place)))
        await outbox.forget(spans)
        if start < 3:
            await outbox.close()
    files = {file.name: file.read_bytes() for file in folder.glob("o.sqlite*") if not file.name.endswith("shm")}
    await outbox.close()
    return Disk(files, made, made.keys() - gone)


def truncated(chance: random.Random, content: bytearray) -> None:
    del content[chance.randrange(len(content)) :]


def flipped(chance: random.Random, content: bytearray) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def zeroed(chance: random.Random, content: bytearray) -> None:
    size = chance.choice((512, 1024, 4096))
    begin = chance.randrange(len(content) // size) * size
    content[begin : begin + size] = bytes(size)


def scrambled(chance: random.Random, content: bytearray) -> None:
    begin = chance.randrange(len(content) // 512) * 512
    content[begin : begin + 512] = chance.randbytes(512)


def repeated(chance: random.Random, content: bytearray) -> None:
    """A page that stands where another should, as after a write to the wrong place."""
    pages = len(content) // 1024
    a, b = chance.randrange(pages) * 1024, chance.randrange(pages) * 1024
    content[a : a + 1024] = content[b : b + 1024]


async def everything(outbox: Outbox) -> Made:
    """Read all that waits, as the uplink does."""
    found = Made()
    for kind in PRIORITY:
        after = 0
        while pack := await outbox.read(kind, after, LARGE, LARGE):
            epoch, after = outbox.epochs.of(pack[0][0]), pack[-1][0]
            found |= {(epoch.id, epoch.number(place)): event for place, event in pack}
    return found


async def live_on(path: Path, disk: Disk, new: int) -> tuple[Made, set[tuple[int, int]]]:
    """Start the box on a damaged disk and let it send all it has; returns what came and what was told as lost."""
    outbox = Outbox.open(path, LARGE)
    try:
        assert outbox.id not in {id_ for id_, _ in disk.made}
        first = await outbox.put(EXAMPLES[Readings])
        assert outbox.epochs.of(first) == (outbox.id, first, outbox.epochs.current.last)
        await asyncio.gather(*(outbox.put(EXAMPLES[Readings]) for _ in range(new)))
        found = await everything(outbox)
        assert sum(id_ == outbox.id for id_, _ in found) == new + 1
        lost = set[tuple[int, int]]()
        while entries := await outbox.lost():
            for entry in entries:
                lost |= {(entry.outbox, n) for n in numbers(entry.runs)}
                await outbox.forget_lost(entry.id)
        await outbox.forget([(1, outbox.last_number)])
        assert await everything(outbox) == {}
        return {key: event for key, event in found.items() if key[0] != outbox.id}, lost
    finally:
        await outbox.close()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox_rows, "JOIN_EVENTS", 30)
        return asyncio.run(disk_of(tmp_path_factory.mktemp("disk")))


ROUNDS = int(os.environ.get("OUTBOX_DAMAGES", "15"))
"""Damages of each sort; more at night."""


@pytest.mark.parametrize("file", ["o.sqlite", "o.sqlite-wal"])
@pytest.mark.parametrize("damage", [truncated, flipped, zeroed, scrambled, repeated])
async def test_no_damage_invents_alters_or_doubles_an_event(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: Disk,
    file: str,
    damage: Callable[[random.Random, bytearray], None],
) -> None:
    monkeypatch.setattr(outbox_rows, "JOIN_EVENTS", 30)
    saved = 0
    for seed in range(ROUNDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for name, content in disk.files.items():
            bytes_ = bytearray(content)
            if name == file:
                damage(random.Random(seed), bytes_)
            (folder / name).write_bytes(bytes_)
        for start in (1, 2):  # what is noticed only as it is used ends the process; systemd starts it again
            try:
                found, lost = await live_on(folder / "o.sqlite", disk, new=35)
            except sqlite3.DatabaseError:
                assert start == 1, f"seed {seed}: it would be started for ever"
            else:
                break
        for key, event in found.items():
            assert disk.made.get(key) == event, f"seed {seed}: {key} was never made so"
        assert not lost & found.keys(), f"seed {seed}: told as lost and sent"
        assert lost <= disk.made.keys(), f"seed {seed}: {sorted(lost - disk.made.keys())} were never given"
        saved += len(found)
        again = Outbox.open(folder / "o.sqlite", LARGE)
        assert (await again.waiting()).events == 0
        await again.close()
        shutil.rmtree(folder)
    print(f"{damage.__name__} {file}: {saved / ROUNDS:.0f} of {len(disk.waiting)} saved on average")
    assert saved / ROUNDS > len(disk.waiting) / 8
