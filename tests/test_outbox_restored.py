"""An old copy of the state folder is put back: nothing comes twice, and nothing new is taken for something old."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import duckdb
from collector_double import Box
from events import PLATE, plate_read
from processes import Centre

from collector.alerts.watchlist import Watchlist
from collector.ledger import Ledger
from collector.settings import load
from collector.state import database, now_ms
from edge_agent.contract.events import Event, Reading, Readings

START = 1_795_000_000_000


def event(number: int) -> Event:
    at = START + number * 1000
    return plate_read(at, b"\xff\xd8\xff\xd9") if number % 5 == 0 else Readings(at=at, readings=(Reading(2, number),))


async def put(box: Box, first: int, last: int) -> None:
    await asyncio.gather(*(box.outbox.put(event(n)) for n in range(first, last + 1)))


async def test_a_restored_copy_gives_no_event_twice_and_loses_none(tmp_path: Path) -> None:
    centre = Centre(tmp_path, "mosquitto")
    engine = database(load(centre.settings))
    expires = now_ms() + 365 * 86_400_000
    Watchlist(engine).add(pattern=PLATE, reason="test", officer="test", expires=expires, now=now_ms())
    password, state, copy = centre.enrol("air-01"), tmp_path / "air-01", tmp_path / "copy"
    state.mkdir()
    assert centre.mosquitto is not None
    with centre.mosquitto, centre.collector:
        await asyncio.to_thread(centre.ready)

        def box() -> Box:
            return Box(state, centre.mqtt_port, password=password, backlog_packs_per_s=1000, resend_s=1.0)

        one = box()
        await put(one, 1, 30)
        await one.outbox.waiting()
        shutil.copytree(state, copy)  # an image of the disk, taken while the agent runs
        async with one.sending():
            await put(one, 31, 60)
            await one.until_sent()
        shutil.rmtree(state)
        copy.rename(state)
        two = box()
        old, new = two.outbox.epochs.ids
        assert (await two.outbox.waiting()).events == 30, "which the collector has had for long"
        async with two.sending():
            await put(two, 61, 90)
            await two.until_sent()
        assert centre.collector.stop() == 0
    accounts = {a.outbox: (a.highest, a.stored, a.lost, a.missing) for a in Ledger(engine).summary()}
    assert accounts == {old: (60, 60, 0, 0), new: (30, 30, 0, 0)}
    with duckdb.connect(str(centre.state / "timeseries.duckdb"), read_only=True) as db:
        rows = db.execute("SELECT epoch_ms(time), pm2_5 FROM air ORDER BY time").fetchall()
    assert rows == [(START + n * 1000, n / 10) for n in range(1, 91) if n % 5]
    assert (
        centre.count("SELECT count(*) FROM sightings") == centre.count("SELECT count(DISTINCT at) FROM sightings") == 18
    )
    assert centre.count("SELECT count(*) FROM alerts") == 18
    engine.dispose()


async def test_what_an_older_disk_took_with_it_is_counted_as_lost(tmp_path: Path) -> None:
    """The collector had seen a later number; then the disk was changed for an empty one."""
    centre = Centre(tmp_path, "mosquitto")
    engine = database(load(centre.settings))
    password, state = centre.enrol("air-01"), tmp_path / "air-01"
    state.mkdir()
    assert centre.mosquitto is not None
    with centre.mosquitto, centre.collector:
        await asyncio.to_thread(centre.ready)
        one = Box(state, centre.mqtt_port, password=password)
        await put(one, 1, 3)
        await put(one, 5, 5)  # a plate goes before all others
        await one.outbox.forget([(1, 3)])  # as a disk forgets that lost what was written last
        old = one.outbox.id
        async with one.sending():
            await one.until_sent()
        shutil.rmtree(state)
        state.mkdir()
        two = Box(state, centre.mqtt_port, password=password)
        await put(two, 6, 7)
        async with two.sending():
            await two.until_sent()
        assert centre.collector.stop() == 0
    account, fresh = sorted(Ledger(engine).summary(), key=lambda a: a.outbox != old)
    assert (account.highest, account.stored, account.lost, account.missing) == (4, 1, 3, 0)
    assert [(lost.first, lost.last) for lost in account.lost_ranges] == [(1, 3)]
    assert "no longer has this outbox" in account.lost_ranges[0].reason
    assert (fresh.stored, fresh.lost, fresh.missing) == (2, 0, 0)
    engine.dispose()
