"""The power is cut at any write of the outbox: what put had returned is there, once, and as it was put."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from collector_double import EXAMPLES
from recorded_writes import Disk, Step, recorded
from test_outbox_damage import everything

from edge_agent.contract.events import Readings
from edge_agent.contract.runs import numbers
from edge_agent.outbox import Outbox
from edge_agent.outbox_lost import read_lost

SCRIPT = """
import asyncio, os, random, sys
from pathlib import Path
import msgspec
sys.path.insert(0, sys.argv[2])
from collector_double import EXAMPLES
from edge_agent import outbox_rows
from edge_agent.contract.events import Heartbeat, PlateRead, Readings
from edge_agent.outbox import Outbox

outbox_rows.JOIN_EVENTS = 12
chance = random.Random(3)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def identity(outbox, place):
    epoch = outbox.epochs.of(place)
    return f"{epoch.id}:{epoch.number(place)}"

async def main():
    at = 0
    for start in range(3):
        outbox = Outbox.open(Path(sys.argv[1]) / "o.sqlite", (10**9, 10**9, 60_000)[start])
        await outbox._call(lambda: outbox._db.execute("PRAGMA wal_autocheckpoint=40"))
        for step in range(22):
            events = []
            for _ in range(chance.randint(1, 5)):
                at += 1
                kind = chance.choice((Readings, Readings, Readings, Heartbeat, PlateRead))
                events.append(msgspec.structs.replace(EXAMPLES[kind], at=at))
            say("putting", outbox.id, *(event.at for event in events))
            places = await asyncio.gather(*map(outbox.put, events))
            say("put", *(f"{identity(outbox, p)}:{e.at}" for p, e in zip(places, events)))
            await outbox.waiting()
            if step % 4 == 3:
                first = chance.randint(1, outbox.last_number)
                span = [n for n in range(first, min(first + 9, outbox.last_number + 1))]
                say("forgetting", *(identity(outbox, n) for n in span))
                await outbox.forget([(first, span[-1])])
            for entry in await outbox.lost():
                if chance.random() < 0.3:
                    say("known", entry.outbox, *entry.runs)
                    await outbox.forget_lost(entry.id)
        await outbox.close()
        if start == 1:  # the next start meets a damaged file: its replacement may be cut as well
            with open(Path(sys.argv[1]) / "o.sqlite", "r+b", buffering=0) as file:
                say("damaged")
                os.pwrite(file.fileno(), bytes(512), 1024 * 20)
                os.fsync(file.fileno())

asyncio.run(main())
"""
EVERY = int(os.environ.get("OUTBOX_CUTS_EVERY", "12"))
"""Of so many cuts one is tried; all of them with 1."""
WAYS = 3
"""How often what was not synced is lost, turned round and torn, for each cut."""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    folder = tmp_path_factory.mktemp("recorded") / "state"
    folder.mkdir()
    found = recorded([sys.executable, "-c", SCRIPT, str(folder), str(Path(__file__).parent)], folder)
    assert {step.what for step in found} >= {"make", "write", "sync", "rename", "unlink", "truncate", "said"}
    return found


class Promise:
    """What must be there after a cut, as the program said it."""

    def __init__(self) -> None:
        self.begun: dict[int, int] = {}
        """Time of an event -> the outbox id under which it is put."""
        self.put: dict[tuple[int, int], int] = {}
        self.may_be_gone: set[tuple[int, int]] = set()
        self.damaged = False

    def hear(self, line: str) -> None:
        what, *words = line.split()
        if what == "putting":
            self.begun |= dict.fromkeys(map(int, words[1:]), int(words[0]))
        elif what == "put":
            for word in words:
                id_, number, at = map(int, word.split(":"))
                self.put[id_, number] = at
        elif what == "forgetting":
            self.may_be_gone |= {(int(id_), int(n)) for id_, n in (word.split(":") for word in words)}
        elif what == "known":
            self.may_be_gone |= {(int(words[0]), n) for n in numbers([*map(int, words[1:])])}
        elif what == "damaged":
            self.damaged = True


async def check(folder: Path, promise: Promise, where: str) -> None:
    outbox = Outbox.open(folder / "o.sqlite", 10**9)
    try:
        assert promise.damaged or outbox.set_aside == "", f"{where}: {outbox.set_aside}"
        found = {key: event.at for key, event in (await everything(outbox)).items()}
        lost = {(e.outbox, n) for e in read_lost(outbox._db, outbox.epochs, 10**6) for n in numbers(e.runs)}
        for key, at in promise.put.items():
            there = found.get(key)
            assert there in (at, None), f"{where}: {key} is another event"
            assert there == at or key in promise.may_be_gone | lost, f"{where}: {key} is gone"
        for key in found.keys() - promise.put.keys():
            assert promise.begun.get(found[key]) == key[0], f"{where}: {key} was never put"
        assert len(set(found.values())) == len(found), f"{where}: twice"
        place = await outbox.put(EXAMPLES[Readings])
        assert (outbox.id, 1) == (outbox.epochs.of(place).id, outbox.epochs.of(place).number(place))
        assert outbox.id not in {id_ for id_, _ in promise.put}, f"{where}: an id is given twice"
    finally:
        await outbox.close()


async def test_every_cut_of_the_power_leaves_what_was_promised(tmp_path: Path, steps: list[Step]) -> None:
    disk, promise, cuts = Disk(), Promise(), 0
    folder = tmp_path / "cut"
    for i, step in enumerate(steps):
        if step.what == "said":
            for line in step.data.decode().splitlines():
                promise.hear(line)
            continue
        disk.take(step)
        if i % EVERY:
            continue
        for way in range(-1, WAYS):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name, content in disk.cut(random.Random(i * 10 + way) if way >= 0 else None).items():
                (folder / name).write_bytes(content)
            await check(folder, promise, f"step {i} ({step.what} {step.file}), way {way}")
            cuts += 1
    print(f"{cuts} cuts in {len(steps)} steps")
    assert cuts > 300


async def test_an_outbox_that_does_not_sync_would_be_caught(tmp_path: Path, steps: list[Step]) -> None:
    disk, promise = Disk(), Promise()
    for step in steps:
        if step.what == "said":
            promise.hear(step.data.decode())
            if len(promise.put) > 20:
                break
        elif step.what != "sync":
            disk.take(step)
    with pytest.raises(AssertionError):
        for seed in range(20):
            folder = tmp_path / str(seed)
            folder.mkdir()
            for name, content in disk.cut(random.Random(seed)).items():
                (folder / name).write_bytes(content)
            await check(folder, promise, "")
