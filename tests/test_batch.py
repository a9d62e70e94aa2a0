"""A batch through the sinks on a real broker: one pack spoils nothing for the others, and memory has its limit."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from collector_double import until
from events import PLATE, plate_read
from frames import box
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from servers import mosquitto
from sqlalchemy import event

from collector.alerts.desk import Alert, PlateDesk
from collector.averages.paces import Paces
from collector.averages.touched import Touched
from collector.batch import Message, Sinks, receipt
from collector.database import open_database
from collector.intake import Intake
from collector.ledger import Ledger
from collector.ledger_account import Account
from collector.live import Live
from collector.points import Frame
from collector.quality import Quality
from collector.quarantine import Quarantine
from collector.settings import BrokerSettings
from collector.stores import RejectedError, Store, StoreError
from edge_agent.contract.events import BoxStatus, Reading, Readings, Stored
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.runs import numbers
from edge_agent.contract.topics import down, up

AT = 1_795_000_000_000
BAD = 13
"""The value that the store will never take."""


class StoreDouble(Store):
    """A store in memory, which can be down, slow, or refuse a value."""

    def __init__(self) -> None:
        self.values: dict[int, float] = {}
        self.writes: list[int] = []
        self.down = False
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def write(self, frames: Sequence[Frame]) -> None:
        self.entered.set()
        self.go_on.wait()
        if self.down:
            raise StoreError("is down")
        measured = [f for f in frames if f.measurement == "air"]
        new = {int(at): float(v) for f in measured for at, v in zip(f.at, f.fields["pm2_5"], strict=True)}
        if BAD in new.values():
            raise RejectedError("thirteen is not welcome")
        self.writes.append(len(new))
        self.values |= new


class Centre:
    """The collector's intake with its sinks, and a client that sends as air-01 and hears its receipts."""

    def __init__(self, folder: Path, port: int) -> None:
        self.engine = engine = open_database(f"sqlite:///{folder / 'collector.sqlite'}")
        fleet = {"air-01": box("air-01", medium="air")}
        self.store = StoreDouble()
        self.ledger, self.quarantine = Ledger(engine), Quarantine(engine)
        self.touched = Touched(engine, {"hours": 3_600_000})
        self.paces = Paces(engine)
        self.counters: Counter[str] = Counter()
        self.live = Live(fleet, now=lambda: AT)
        self._thread, self._ahead = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.receipts: list[int] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="air-01")
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(down("air-01", "stored"))
        self._client.loop_start()
        self.sinks = Sinks(
            fleet=fleet,
            ledger=self.ledger,
            quality=Quality(),
            store=self.store,
            touched=self.touched,
            paces=self.paces,
            desk=PlateDesk(engine),
            quarantine=self.quarantine,
            counters=self.counters,
        )
        self.intake = Intake(
            broker=BrokerSettings(host="127.0.0.1", port=port),
            password=None,
            sinks=self.sinks,
            live=self.live,
            counters=self.counters,
            thread=self._thread,
            ahead=self._ahead,
            now=lambda: AT,
        )

    def _hear(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self.receipts += numbers(msgspec.msgpack.decode(message.payload, type=Stored).runs)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.intake.run())
        try:
            await until(lambda: self.intake.connected, "the collector is connected")
            yield
        finally:
            self.store.go_on.set()
            self._client.disconnect()
            self._client.loop_stop()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self._thread.shutdown()
            self._ahead.shutdown()

    def send_plate(self, number: int) -> None:
        read = plate_read(AT + number, b"\xff\xd8\xff\xd9")
        self._client.publish(up("air-01", "plates"), encode_pack(7, "plates", [(number, read)]))

    def say(self, status: BoxStatus) -> None:
        self._client.publish(up("air-01", "status"), msgspec.msgpack.encode(status), qos=1)

    def send(self, number: int, value: int = 5) -> None:
        event = Readings(at=AT + number, readings=(Reading(2, value * 10),))
        self._client.publish(up("air-01", "readings"), encode_pack(7, "readings", [(number, event)]))

    async def hold(self) -> None:
        """Let the store be busy with pack 1, so that what comes meanwhile waits."""
        self.store.go_on.clear()
        self.send(1)
        await until(self.store.entered.is_set, "the store is busy")

    def account(self) -> Account:
        (account,) = self.ledger.summary()
        return account


def impatient(centre: Centre) -> None:
    """Let nobody wait long for a database that is locked."""

    @event.listens_for(centre.engine, "checkout")
    def wait_little(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout=20")


async def test_a_pack_that_the_store_refuses_is_set_aside_and_the_rest_of_its_batch_is_stored(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            await centre.hold()
            for number in (2, 3, 4, 5):
                centre.send(number, BAD if number == 4 else 7)
            await until(lambda: centre.intake.waiting == 4, "all wait for the store")
            centre.store.go_on.set()
            await until(lambda: len(centre.receipts) == 5, "every pack gets its receipt, lest it be sent for ever")
        assert centre.store.values == {AT + 1: 5.0, AT + 2: 7.0, AT + 3: 7.0, AT + 5: 7.0}
        assert centre.store.writes == [1, 2, 1], "by halves, after the batch was refused"
        account = centre.account()
        assert (account.highest, account.stored, account.lost, account.missing) == (5, 4, 1, 0)
        (lost,) = account.lost_ranges
        assert (lost.first, lost.last, lost.kind) == (4, 4, "readings")
        assert lost.reason == "the store refused it: thirteen is not welcome"
        (refused,) = centre.quarantine.list()
        assert (refused.topic, refused.reason) == ("v1/up/air-01/readings", "thirteen is not welcome")
        assert centre.counters["quarantined_total"] == 1
        assert centre.counters["readings_total"] == 4


async def test_while_the_store_is_down_nothing_gets_a_receipt(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            centre.store.down = True
            for _ in range(2):  # the box sends it again
                centre.send(1)
                await until(lambda: centre.counters["store_failures_total"] >= 1, "refused for now")
            assert centre.receipts == []
            assert centre.ledger.summary() == []
            assert centre.touched.take("hours", before=2 * AT, limit=9) == [], "what is not stored touches nothing"
            assert centre.counters["readings_total"] == 0
            assert (centre.counters["broker_connected"], centre.counters["store_down"]) == (1, 1), "/metrics says so"
            centre.store.down = False
            await asyncio.sleep(0.6)
            centre.send(1)
            await until(lambda: bool(centre.receipts), "the store is back")
            assert centre.counters["store_down"] == 0
        assert set(centre.receipts) == {1}
        assert centre.quarantine.list() == []
        assert centre.account().stored == 1
        assert centre.counters["broker_connected"] == 0


async def test_a_database_that_is_locked_for_long_costs_nothing_but_time(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        impatient(centre)
        async with centre.running():
            centre.send(1)
            await until(lambda: centre.receipts == [1], "all is well")
            with closing(sqlite3.connect(tmp_path / "collector.sqlite")) as other:
                other.execute("BEGIN IMMEDIATE")
                centre.send(2)
                await until(lambda: centre.counters["store_failures_total"] >= 1, "not entered")
                assert centre.account().stored == 1
                assert centre.receipts == [1]
                other.rollback()
            await asyncio.sleep(0.6)
            centre.send(2)
            await until(lambda: centre.receipts == [1, 2], "the box sent it again")
        assert (centre.account().stored, centre.counters["readings_total"]) == (2, 2)
        assert Ledger(centre.engine).summary() == centre.ledger.summary(), "memory and disk agree"


async def test_while_every_connection_to_the_database_is_taken_the_boxes_keep_their_data(tmp_path: Path) -> None:
    """As by many pages that wait for a server which hangs."""
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        centre.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
        async with centre.running():
            with ExitStack() as pages:
                for _ in range(15):
                    pages.enter_context(centre.engine.connect())
                centre.send(1)
                await until(lambda: centre.counters["store_failures_total"] >= 1, "not entered")
                assert centre.receipts == []
            await asyncio.sleep(0.6)
            centre.send(1)
            await until(lambda: centre.receipts == [1], "the box sent it again")
        assert centre.quarantine.list() == []


async def test_what_a_box_says_of_itself_while_the_database_is_locked_is_taken_afterwards(tmp_path: Path) -> None:
    """It is said once for each connection, and tells what is lost for good."""
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        impatient(centre)
        async with centre.running():
            centre.send(1)
            centre.send(3)
            await until(lambda: centre.receipts == [1, 3], "all is well")
            with closing(sqlite3.connect(tmp_path / "collector.sqlite")) as other:
                other.execute("BEGIN IMMEDIATE")
                for online, paces in ((True, {2: 30}), (False, {2: 20})):
                    status = BoxStatus(online=online, at=AT, version="1", outbox=8, paces=paces, holds=(8,))
                    centre.say(status)
                await until(lambda: centre.counters["store_failures_total"] >= 2, "tried in vain")
                assert centre.paces.every_ms("air-01", 2) is None
                other.rollback()
            await until(lambda: centre.paces.every_ms("air-01", 2) == 20_000, "the last that was said holds")
            await until(lambda: centre.live.devices()[0].state == "offline", "which is shown when all of it is noted")
        assert (centre.account().lost, centre.account().missing) == (1, 0), "what the box no longer has is explained"
        assert centre.intake.waiting == 0


async def test_alerts_before_the_one_at_which_the_database_fails_are_shown(tmp_path: Path) -> None:
    """They are on disk and are not raised again: who listens would never hear of them."""
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        impatient(centre)
        desk = centre.sinks._desk
        desk.watchlist.add(pattern=PLATE, reason="test", officer="test", expires=AT + 86_400_000, now=AT)
        take, other = desk.take, sqlite3.connect(tmp_path / "collector.sqlite", check_same_thread=False)

        def locked_after_the_first(*arguments: Any) -> list[Alert]:
            alerts = take(*arguments)
            other.execute("BEGIN IMMEDIATE")
            return alerts

        desk.take = locked_after_the_first  # type: ignore[method-assign]
        async with centre.running():
            await centre.hold()
            for number in (2, 3, 4):
                centre.send_plate(number)
            await until(lambda: centre.counters["alerts_total"] == 1, "the first is raised")
            desk.take = take  # type: ignore[method-assign]
            assert [alert.seen.number for alert in centre.live.last_alerts()] == [2]
            other.rollback()
            centre.store.go_on.set()
            await until(lambda: {1, 2} <= set(centre.receipts), "what was kept is confirmed")
            assert not {3, 4} & set(centre.receipts), "the others are not"
            for number in (3, 4):
                centre.send_plate(number)
            await until(lambda: {3, 4} <= set(centre.receipts), "they came again")
            assert [alert.seen.number for alert in centre.live.last_alerts()] == [4, 3, 2]
        other.close()


async def test_a_crash_between_store_and_ledger_leaves_the_touch_and_the_pack_comes_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)

        def crash(*_entries: object) -> None:
            (touch,) = centre.touched.take("hours", before=2 * AT, limit=9)
            raise KeyboardInterrupt(touch.station)

        async with centre.running():
            centre.ledger.enter = crash
            pack = encode_pack(7, "readings", [(1, Readings(at=AT, readings=(Reading(2, 50),)))])
            new = centre.sinks.sort([Message(up("air-01", "readings"), pack, AT)]).new
            with pytest.raises(KeyboardInterrupt, match="air-01"):
                centre.sinks.store(new)
        assert centre.store.values == {AT: 5.0}
        assert len(centre.touched.take("hours", before=2 * AT, limit=9)) == 1


async def test_what_a_box_says_of_its_paces_is_kept_but_not_from_the_future(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            for at, pace in ((AT - 3_600_000, 60), (2**60, 30), (-(2**60), 10)):
                status = BoxStatus(online=True, at=at, version="1", outbox=7, paces={2: pace, 9999: 60, 3: -1})
                payload = msgspec.msgpack.encode(status)
                (found,) = centre.sinks.sort([Message(up("air-01", "status"), payload, AT)]).statuses
                assert found == ("air-01", status)
                due = centre.paces.due("air-01", "pm2_5")(np.array([AT, AT - 60_000]), np.array([AT + 60_000, AT]))
                assert due.tolist() == {60: [1, 1], 30: [2, 1], 10: [6, 6]}[pace]


async def test_messages_beyond_the_limit_are_dropped_counted_and_stored_when_they_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.waiting.MOST", 2000)
    monkeypatch.setattr("collector.waiting.SHARE", 1)  # the box is alone
    monkeypatch.setattr("collector.waiting.OF_A_BOX", 2000)
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            await centre.hold()
            sent = range(2, 2052)
            for number in sent:
                centre.send(number)
            await until(lambda: centre.counters["messages_dropped_busy_total"] == 50, "what does not fit is dropped")
            centre.store.go_on.set()
            await until(lambda: len(centre.receipts) == 2001, "what fits is stored")
            assert centre.account().highest == 2001, "the last to come were dropped"
            for number in sent[-50:]:
                centre.send(number)
            await until(lambda: len(centre.receipts) == 2051, "the box sends them again")
        account = centre.account()
        assert (account.stored, account.missing) == (2051, 0)
        assert len(centre.store.values) == 2051


async def test_the_same_pack_twice_is_stored_once_and_confirmed_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            for count in (1, 2, 3):
                centre.send(1)
                await until(lambda count=count: len(centre.receipts) == count, "a receipt for each")
        assert centre.store.writes == [1]
        (touch,) = centre.touched.take("hours", before=AT + 3_600_000, limit=10)
        assert (touch.station, touch.start) == ("air-01", AT // 3_600_000 * 3_600_000)
        assert centre.counters["packs_again_total"] == 2


async def test_plates_that_come_again_beside_new_ones_are_left_out_for_they_may_be_deleted(tmp_path: Path) -> None:
    """After a reconnection a box packs anew: what was stored and never confirmed stands beside what is new."""
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            numbered = [(number, plate_read(AT + number, b"\xff\xd8\xff\xd9")) for number in (1, 2, 3)]
            centre.ledger.enter([("air-01", 7, (1, 2), None)])
            payload = encode_pack(7, "plates", numbered)
            (arrival,) = centre.sinks.sort([Message(up("air-01", "plates"), payload, AT)]).new
            assert [read.at for read in arrival.pack.events] == [AT + 3]
            _, seen = centre.sinks.alert([arrival])
            assert [each.number for each in seen] == [3]
            assert list(numbers(receipt(arrival).runs)) == [1, 2, 3], "the box may forget all of them"
