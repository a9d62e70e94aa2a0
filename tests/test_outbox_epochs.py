"""Every start of the agent begins an outbox id; what waits keeps its own, in old files too."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from collector_double import EXAMPLES, Box, CollectorDouble
from servers import mosquitto
from test_outbox_rows import every_pack, in_file, put

from edge_agent import outbox_epochs, outbox_rows
from edge_agent.__main__ import main
from edge_agent.contract.events import Heartbeat, Reading, Readings
from edge_agent.contract.runs import numbers
from edge_agent.outbox import Outbox
from edge_agent.outbox_epochs import Epochs

GOLDEN = Path(__file__).parent / "golden" / "outbox"
LARGE = 10**9
AT = 1_795_000_000_000


@asynccontextmanager
async def opened(path: Path, max_bytes: int = LARGE) -> AsyncIterator[Outbox]:
    outbox = Outbox.open(path, max_bytes)
    try:
        yield outbox
    finally:
        await outbox.close()


async def test_a_file_from_before_keeps_what_waits_under_its_old_id(tmp_path: Path) -> None:
    """Joined rows, single ones, numbers that were dropped and why a file before it was set aside: all of it goes on."""
    path = tmp_path / "o.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((GOLDEN / "before_epochs.sql").read_text())
    assert main(["outbox", "verify", str(path)]) == 0
    for _ in range(2):  # it is brought up to date once
        async with opened(path) as outbox:
            assert "was damaged" in outbox.set_aside
            assert outbox.epochs.ids == (7, outbox.id)
            expected = [n for n in range(1, 21) if n not in (3, 4, 14, 15, 18)]
            found = await outbox.read("readings", 0, LARGE, LARGE)
            assert found == [(n, Readings(at=AT + n, readings=(Reading(2, n),))) for n in expected]
            (lost,) = await outbox.lost()
            assert (lost.outbox, list(numbers(lost.runs)), lost.lost.reason) == (7, [18], "the outbox was full")
    async with opened(path) as outbox:
        assert await outbox.put(EXAMPLES[Readings]) == 21
        assert outbox.epochs.of(21).number(21) == 1, "numbers of each id begin at 1"
        await outbox.forget([(1, 20)])
        assert outbox.epochs.ids == (7, outbox.id), "the collector does not know yet of what was lost"
        await outbox.forget_lost(lost.id)
        assert outbox.epochs.ids == (outbox.id,)


async def test_starts_without_events_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    ids = set()
    for _ in range(30):
        async with opened(path) as outbox:
            assert len(outbox.epochs) == 1
            ids.add(outbox.id)
    assert len(ids) == 30, "each start has its own all the same"
    size = path.stat().st_size
    for _ in range(200):
        async with opened(path) as outbox:
            await outbox.forget([(await outbox.put(EXAMPLES[Readings]),) * 2])
    assert path.stat().st_size <= size + 8192


async def test_a_box_that_starts_too_often_goes_on_with_its_last_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_epochs, "MAX_EPOCHS", 5)
    for start in range(1, 9):
        async with opened(tmp_path / "o.sqlite") as outbox:
            assert await outbox.put(EXAMPLES[Readings]) == start
            assert len(outbox.epochs) == min(start, 5)
    found = [outbox.epochs.of(n).number(n) for n in range(1, 9)]
    assert found == [1, 1, 1, 1, 1, 2, 3, 4]


async def test_packs_joined_rows_and_drops_keep_ids_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More events than a row takes, over many starts, until the cap drops them: each is told under its own id."""
    monkeypatch.setattr(outbox_rows, "JOIN_EVENTS", 10)
    path, starts, each = tmp_path / "o.sqlite", 8, 7
    made: list[tuple[int, int]] = []
    for start in range(starts):
        async with opened(path) as outbox:
            await put(outbox, [Readings] * each, start * each + 1)
            made += [(outbox.id, n) for n in range(1, each + 1)]
    async with opened(path) as outbox:
        found = [outbox.epochs.of(n) for n, _ in await every_pack(outbox, 0, LARGE)]
        assert [epoch.id for epoch in found] == [id_ for id_, _ in made]
        assert [e.number(n) for e, (n, _) in zip(found, await every_pack(outbox, 0, LARGE), strict=True)] == [
            n for _, n in made
        ]
    async with opened(path, 1) as outbox:  # the cap takes everything
        await outbox.put(EXAMPLES[Heartbeat])
        told: list[tuple[int, int]] = []
        while entries := await outbox.lost():
            for entry in entries:
                told += [(entry.outbox, n) for n in numbers(entry.runs)]
                await outbox.forget_lost(entry.id)
        assert told == [(outbox.id, 1), *made]
        assert outbox.epochs.ids == (outbox.id,)
    assert in_file(path) == []


async def test_receipts_of_every_id_that_is_held_are_taken_and_the_status_says_which(tmp_path: Path) -> None:
    """A receipt that names more than an id has takes nothing of the next one."""
    for _ in range(2):
        async with opened(tmp_path / "outbox.sqlite") as outbox:
            await asyncio.gather(*(outbox.put(EXAMPLES[Readings]) for _ in range(3)))
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port, answers=False) as collector:
        box = Box(tmp_path, broker.port)
        first, second, current = box.outbox.epochs.ids
        await box.put(Readings, 2)
        async with box.sending():
            async with asyncio.timeout(20):
                while len(collector.packs) < 3:
                    await asyncio.sleep(0.01)
            assert [(p.outbox, list(numbers(p.runs))) for p in collector.packs] == [
                (first, [1, 2, 3]),
                (second, [1, 2, 3]),
                (current, [1, 2]),
            ]
            assert collector.statuses[-1].holds == (first, second, current)
            assert collector.statuses[-1].outbox == current
            pack = collector.packs[0]
            collector.receipt(type(pack)(kind="readings", outbox=first, runs=(1, 50_000)))
            async with asyncio.timeout(20):
                while collector.statuses[-1].holds != (second, current):
                    await asyncio.sleep(0.01)
            assert (await box.outbox.waiting()).events == 5
            for pack in collector.packs[1:]:
                collector.receipt(pack)
            await box.until_sent()
            assert box.outbox.epochs.ids == (current,)


def test_spans_are_cut_where_an_epoch_ends_and_numbers_go_both_ways() -> None:
    epochs = Epochs([(1, 7), (11, 8), (12, 9)])
    assert epochs.split([(5, 20)]) == [(5, 10), (11, 11), (12, 20)]
    for place in range(1, 30):
        epoch = epochs.of(place)
        number = epoch.number(place)
        assert epoch.places([(number, number)]) == [(place, place)]
    assert epochs.of(10).places([(9, 40), (30, 31)]) == [(9, 10)]
