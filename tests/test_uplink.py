"""The uplink on a real broker: what goes first, how much is under way, what is sent again, what receipts may do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from collector_double import Box, CollectorDouble, HandClock, until
from servers import Server, mosquitto

from edge_agent.contract.events import Heartbeat, PlateRead, Readings, WifiUsage
from edge_agent.contract.runs import numbers
from edge_agent.lane import own_part

SETTLE_S = 0.3
"""Time in which a pack that must not come would have come."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path) as server:
        yield server


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def test_the_backlog_drains_at_its_rate_and_new_events_pass_it(
    broker: Server, tmp_path: Path, clock: HandClock
) -> None:
    box = Box(tmp_path, broker.port, clock, backlog_packs_per_s=5)
    await box.put(PlateRead, 30)
    with CollectorDouble(broker.port) as collector:
        async with box.sending():
            await until(lambda: len(collector.packs) == 5, "a second's worth")
            await asyncio.sleep(SETTLE_S)
            assert collector.heard() == [1, 2, 3, 4, 5], "the oldest first, and no more while no time passes"
            await box.put(Heartbeat)
            await until(lambda: 31 in collector.heard(), "even the least important new event does not wait")
            await box.pass_time(1)
            await until(lambda: len(collector.packs) == 11, "the next second's worth")
            while (await box.outbox.waiting()).events:
                await box.pass_time(1)
            assert collector.heard("plates") == list(range(1, 31)), "each once"


@pytest.mark.parametrize("window", [1, 2, 6])
async def test_the_window_bounds_the_packs_under_way(broker: Server, tmp_path: Path, window: int) -> None:
    box = Box(tmp_path, broker.port, window=window, backlog_packs_per_s=1000)
    await box.put(PlateRead, 20)
    with CollectorDouble(broker.port, answers=False) as collector:
        async with box.sending():
            await until(lambda: bool(collector.statuses), "connected")
            await box.put(PlateRead, 20)
            await until(lambda: len(collector.packs) >= window, "the window fills")
            await asyncio.sleep(SETTLE_S)
            assert len(set(collector.heard())) == window
            if window > 1:
                assert any(n > 20 for n in collector.heard()), "the backlog leaves room for new events"
                assert any(n <= 20 for n in collector.heard()), "new events leave room for the backlog"


async def test_a_pack_without_receipt_is_sent_again_after_pauses_that_grow(
    broker: Server, tmp_path: Path, clock: HandClock
) -> None:
    box = Box(tmp_path, broker.port, clock, resend_s=1, resend_max_s=4)
    with CollectorDouble(broker.port, answers=False) as collector:
        async with box.sending():
            await until(lambda: bool(collector.statuses), "connected")
            await box.put(Readings)
            await until(lambda: bool(collector.packs), "sent")
            for sent, (least, pause) in enumerate(((1, 1), (1, 2), (2, 4), (2, 4)), 1):
                await box.pass_time(least - 0.125)
                await asyncio.sleep(SETTLE_S / 3)
                assert collector.heard() == [1] * sent, f"not before {least} s"
                await box.pass_time(pause - least + 0.125)
                await until(lambda sent=sent: len(collector.packs) == sent + 1, f"again after {pause} s")
            assert [fault.part for fault in box.health.faults] == ["collector"]
            collector.answers = True
            await box.pass_time(4)
            await until(lambda: not box.health.faults, "the collector is back")


async def test_a_collector_may_be_away_for_weeks(broker: Server, tmp_path: Path, clock: HandClock) -> None:
    box = Box(tmp_path, broker.port, clock, resend_s=1, resend_max_s=1)
    with CollectorDouble(broker.port, answers=False):
        async with box.sending() as task:
            await box.put(Readings)
            while box.health.counters["uplink.sent_again"] < 1100 and not task.done():
                await box.pass_time(1)
            assert not task.done()


async def test_new_events_do_not_queue_behind_what_came_while_the_collector_was_away(
    broker: Server, tmp_path: Path, clock: HandClock
) -> None:
    box = Box(tmp_path, broker.port, clock, window=4, resend_s=1, resend_max_s=2, backlog_packs_per_s=1)
    with CollectorDouble(broker.port, answers=False) as collector:
        async with box.sending():
            await until(lambda: bool(collector.statuses), "connected")
            await box.put(PlateRead, 40)
            for _ in range(10):
                await box.pass_time(1)
            collector.answers = True
            await box.pass_time(2)
            await until(lambda: not box.health.faults, "the collector is back")
            await box.put(PlateRead)
            await until(lambda: 41 in collector.heard(), "the new plate")
            assert len(set(collector.heard())) < 15, "before the plates that had to wait"
            while (await box.outbox.waiting()).events:
                await box.pass_time(1)
            assert set(collector.heard()) == set(range(1, 42))


async def test_packs_that_are_never_confirmed_do_not_keep_the_others_back(broker: Server, tmp_path: Path) -> None:
    with CollectorDouble(broker.port) as collector:
        collector.refuses = "plates"
        box = Box(tmp_path, broker.port, resend_s=0.1, resend_max_s=0.5)
        await box.put(PlateRead, 3)
        async with box.sending():
            await until(lambda: len(collector.heard("plates")) > 9, "sent again and again")
            for _ in range(3):
                await box.put(Readings)
            await until(lambda: len(set(collector.heard("readings"))) == 3, "the readings go all the same")
            collector.refuses = ""
            await box.until_sent()


async def test_receipts_of_others_and_garbage_change_nothing(broker: Server, tmp_path: Path) -> None:
    box = Box(tmp_path, broker.port)
    with CollectorDouble(broker.port, answers=False) as collector:
        async with box.sending():
            await until(lambda: bool(collector.statuses), "connected")
            await box.put(Readings)
            await until(lambda: bool(collector.packs), "sent")
            (pack,) = collector.packs
            for payload in (
                b"",
                b"\xc1\xff",
                msgspec.msgpack.encode([pack.outbox, []]),
                msgspec.msgpack.encode([pack.outbox, [0]]),
                msgspec.msgpack.encode([pack.outbox, [1, 2**60]]),
                msgspec.msgpack.encode(["x", [1]]),
            ):
                collector.say(payload)
            collector.receipt(msgspec.structs.replace(pack, outbox=pack.outbox ^ 1))
            counters = box.health.counters
            await until(lambda: counters["uplink.unreadable_receipts"] == 6, "garbage is counted")
            await until(lambda: counters["uplink.foreign_receipts"] == 1, "another outbox's is counted")
            assert (await box.outbox.waiting()).events == 1
            collector.receipt(pack)
            await box.until_sent()


async def test_lost_numbers_are_told_until_their_receipt_comes(broker: Server, tmp_path: Path) -> None:
    box = Box(tmp_path, broker.port, backlog_packs_per_s=1000)
    await box.put(Readings, 3)
    with sqlite3.connect(tmp_path / "outbox.sqlite") as db:
        db.execute("UPDATE events SET body = x'c1' WHERE number = 2")
    with CollectorDouble(broker.port, answers=False) as collector:
        async with box.sending():
            await until(lambda: bool(collector.heard("lost")), "told")
            assert collector.heard("readings") == [1, 3]
            assert collector.heard("lost") == [2]
            (told,) = [pack for pack in collector.packs if pack.kind == "lost"]
            assert told.lost is not None
            assert (told.lost.kind, told.lost.reason) == ("readings", "the bytes on disk were damaged")
            assert [list(numbers(entry.runs)) for entry in await box.outbox.lost()] == [[2]], "not forgotten yet"
            collector.receipt(told)
            async with asyncio.timeout(20):
                while await box.outbox.lost():
                    await asyncio.sleep(0.01)


async def test_the_more_important_kinds_go_first(broker: Server, tmp_path: Path) -> None:
    box = Box(tmp_path, broker.port, window=2)
    for make in (Heartbeat, WifiUsage, Readings, PlateRead, PlateRead):
        await box.put(make)
    with CollectorDouble(broker.port) as collector:
        async with box.sending():
            await box.until_sent()
            assert [pack.kind for pack in collector.packs] == ["plates", "plates", "readings", "wifi", "health"]
            await box.put(Readings)
            await box.until_sent()


async def test_readings_wait_for_others_and_share_a_pack_but_a_plate_goes_at_once(
    broker: Server, tmp_path: Path, clock: HandClock
) -> None:
    box = Box(tmp_path, broker.port, clock, gather_s=5 / own_part("air-01"))
    with CollectorDouble(broker.port) as collector:
        async with box.sending():
            await until(lambda: bool(collector.statuses), "connected")
            for _ in range(4):
                await box.put(Readings)
                await box.pass_time(1)
            await box.put(PlateRead)
            await until(lambda: collector.heard("plates") == [5], "the plate")
            await asyncio.sleep(SETTLE_S)
            assert collector.heard("readings") == []
            await box.pass_time(1)
            await until(lambda: collector.heard("readings") == [1, 2, 3, 4], "all in time")
            assert len(collector.packs) == 2
            await box.put(Readings)
            await asyncio.sleep(SETTLE_S)
            await box.pass_time(4.5)
            await asyncio.sleep(SETTLE_S)
            assert 6 not in collector.heard()
            await box.pass_time(0.5)
            await until(lambda: 6 in collector.heard(), "the next one waits as long")


def test_boxes_that_measure_on_the_same_second_send_at_moments_of_their_own() -> None:
    parts = sorted(own_part(f"air-{number:02}") for number in range(1, 101))
    assert 0.2 <= parts[0] < 0.3 and 0.9 < parts[-1] <= 1
    assert max(after - before for before, after in pairwise(parts)) < 0.1, "spread over all of the time"
    assert own_part("air-01") == own_part("air-01")
