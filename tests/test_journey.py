"""The whole way on real processes: what was made is stored once, whoever is killed; bad input is harmless."""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import duckdb
import pytest
from events import PLATE
from numbered_box import PLATE_EVERY, START, event
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from processes import Centre, Program, wait_until
from servers import influxd

from collector.alerts.watchlist import Watchlist
from collector.ledger import Ledger
from collector.quarantine import Quarantine
from collector.settings import load
from collector.state import database, now_ms
from edge_agent.contract.packs import MAX_PACK_BYTES, encode_pack
from edge_agent.contract.topics import up
from edge_agent.outbox_rows import total

MADE = 1500
BOXES = ("air-01", "air-02")
ROUNDS = 6


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"])
def test_kill_9_of_anyone_loses_and_doubles_nothing(broker: str, tmp_path: Path) -> None:
    """Made against stored, by number: agents, broker and collector die while 3,000 events are made and sent."""
    chance = random.Random(2026)
    centre = Centre(tmp_path, broker)
    watch_for_the_plate(centre)
    boxes = {device: numbered_box(centre, device) for device in BOXES}
    parts = [*boxes.values(), centre.collector, *([centre.mosquitto] if centre.mosquitto else [])]
    with ExitStack() as stack:
        for part in reversed(parts):
            stack.enter_context(part)
        centre.ready()
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.3, 1.2))
            for part in chance.sample(parts, chance.randint(1, len(parts))):
                part.kill()
        for device in BOXES:
            wait_until(partial(all_sent, tmp_path / device), 90, f"{device} has sent everything")
        assert centre.collector.stop() == 0

    engine = database(load(centre.settings))
    accounts = Ledger(engine).summary()
    for device in BOXES:
        numbers = [(a.highest, a.stored, a.lost, a.missing) for a in accounts if a.device == device]
        assert len(numbers) > 1, "each start of the box begins an outbox id"
        assert tuple(map(sum, zip(*numbers, strict=True))) == (MADE, MADE, 0, 0)
    expected = {START + n * 1000: n % 300 / 10 for n in range(1, MADE + 1) if n % PLATE_EVERY}
    with duckdb.connect(str(centre.state / "timeseries.duckdb"), read_only=True) as db:
        for device in BOXES:
            rows = db.execute("SELECT epoch_ms(time), pm2_5 FROM air WHERE station = ?", [device]).fetchall()
            assert len(rows) == len(expected)
            assert dict(rows) == expected
    # air stations have no camera in the fleet's files, but the collector takes what an enrolled box sends
    assert centre.count("SELECT count(*) FROM sightings") == len(BOXES) * MADE // PLATE_EVERY
    assert centre.count("SELECT count(*) FROM alerts") == len(BOXES) * MADE // PLATE_EVERY


def test_while_the_store_is_down_alerts_go_out_and_the_boxes_keep_their_data(tmp_path: Path) -> None:
    with influxd(tmp_path) as influx:
        port = influx.port
        ask(influx.url, "CREATE DATABASE island")
    centre = Centre(tmp_path, "amqtt", f"kind: influx1, url: 'http://127.0.0.1:{port}', database: island")
    watch_for_the_plate(centre)
    box = numbered_box(centre, "air-01")
    with centre.collector, box:
        centre.ready()
        wait_until(lambda: centre.count("SELECT count(*) FROM alerts") >= 10, 30, "alerts without the store")
        assert centre.count("SELECT count(*) FROM ledger_runs") == 0, "no receipt for what is not stored"
        with influxd(tmp_path, port) as influx:
            wait_until(partial(all_sent, tmp_path / "air-01"), 60, "everything is sent")
            stored = ask(influx.url, "SELECT count(pm2_5) FROM air")["results"][0]["series"][0]["values"][0][1]
            assert stored == MADE - MADE // PLATE_EVERY
        assert centre.count("SELECT count(*) FROM alerts") == MADE // PLATE_EVERY


@pytest.mark.parametrize("broker", ["amqtt", "mosquitto"])
def test_a_box_cannot_use_the_topic_of_another(broker: str, tmp_path: Path) -> None:
    centre = Centre(tmp_path, broker)
    with running(centre), connected(centre, "air-01") as client:
        client.publish(up("air-02", "readings"), pack(1), qos=0)
        client.publish(up("air-01", "readings"), pack(1), qos=0)
        wait_until(lambda: centre.count("SELECT count(*) FROM ledger_runs") > 0, 20, "the good pack is stored")
        time.sleep(0.5)
        assert centre.count("SELECT count(*) FROM ledger_runs WHERE device = 'air-02'") == 0
        assert centre.count("SELECT count(*) FROM ledger_runs WHERE device = 'air-01'") == 1


def test_a_box_cannot_hear_another_nor_come_in_without_its_password(tmp_path: Path) -> None:
    centre = Centre(tmp_path, "amqtt")
    heard: list[str] = []
    with running(centre), connected(centre, "air-01") as one, connected(centre, "air-02") as two:
        two.on_message = lambda _c, _u, message: heard.append(message.topic)
        two.subscribe([("v1/down/#", 1), ("v1/up/#", 1), ("v1/down/+/stored", 1), ("v1/down/air-02/stored", 1)])
        time.sleep(0.5)
        one.publish(up("air-01", "readings"), pack(1), qos=0)
        two.publish(up("air-02", "readings"), pack(1), qos=0)
        wait_until(lambda: bool(heard), 20, "its own receipt")
        time.sleep(0.5)
        assert set(heard) == {"v1/down/air-02/stored"}
        with pytest.raises(AssertionError), connected(centre, "air-03", password="guessed"):
            pass


def test_bad_input_is_quarantined_and_the_good_keeps_flowing(tmp_path: Path) -> None:
    centre = Centre(tmp_path, "mosquitto")
    bad = [
        (up("air-01", "readings"), b""),
        (up("air-01", "readings"), b"\xc1" * 50),
        (up("air-01", "plates"), b'{"plate": "68A12345"}'),
        (up("air-01", "status"), b"\x00"),
        (up("air-01", "lost"), b"\x93\x01\x02"),
        (up("air-01", "nonsense"), pack(1)),
        ("v1/up/air-01", b"too short"),
        ("v1/up/air-01/readings/more", pack(1)),
        (up("air-01", "readings"), bytes(MAX_PACK_BYTES + 1)),
        (up("air-01", "wifi"), pack(1)),
    ]
    with running(centre), connected(centre, "air-01") as client:
        for number, (topic, payload) in enumerate(bad, 1):
            client.publish(topic, payload, qos=0)
            client.publish(up("air-01", "readings"), pack(number), qos=0)
        stored = "SELECT coalesce(max(last), 0) FROM ledger_runs WHERE device = 'air-01' AND first = 1"
        wait_until(lambda: centre.count(stored) == len(bad), 20, "every good pack is stored")
        assert centre.collector.stop() == 0
    refused = Quarantine(database(load(centre.settings))).list()
    assert {r.topic for r in refused} == {topic for topic, _ in bad}
    assert len(refused) == len(bad)
    assert all(r.reason for r in refused)


def ask(url: str, query: str) -> Any:
    address = f"{url}/query?{urlencode({'db': 'island', 'q': query})}"
    with urlopen(Request(address, method="POST")) as answer:
        return json.load(answer)


def pack(number: int) -> bytes:
    return encode_pack(77, "readings", [(number, event(number * PLATE_EVERY + 1))])


def watch_for_the_plate(centre: Centre) -> None:
    engine = database(load(centre.settings))
    year = 365 * 86_400_000
    Watchlist(engine).add(pattern=PLATE, reason="test", officer="test", expires=now_ms() + year, now=now_ms())
    engine.dispose()


def numbered_box(centre: Centre, device: str) -> Program:
    state = centre.folder / device
    state.mkdir()
    arguments = [device, str(centre.mqtt_port), centre.enrol(device), str(state), str(MADE)]
    return Program(
        device, [sys.executable, str(Path(__file__).with_name("numbered_box.py")), *arguments], centre.folder
    )


def all_sent(state: Path) -> bool:
    with closing(sqlite3.connect(f"file:{state / 'outbox.sqlite'}?mode=ro", uri=True)) as db:
        made = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        waiting = total(db).events
    return made is not None and made[0] == MADE and waiting == 0


@contextmanager
def running(centre: Centre) -> Iterator[None]:
    with ExitStack() as stack:
        if centre.mosquitto is not None:
            centre.enrol("air-01")  # Mosquitto wants its password file from the start
            stack.enter_context(centre.mosquitto)
        stack.enter_context(centre.collector)
        centre.ready()
        yield


@contextmanager
def connected(centre: Centre, device: str, password: str | None = None) -> Iterator[mqtt.Client]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device)
    client.username_pw_set(device, centre.enrol(device) if password is None else password)
    if centre.mosquitto is not None:
        centre.mosquitto.kill()  # it reads the password file when it starts
        wait_until(
            lambda: centre.collector.log.read_bytes().count(b"broker: connected") > 1, 30, "the collector is back"
        )
    client.connect_async("127.0.0.1", centre.mqtt_port)
    client.loop_start()
    try:
        wait_until(client.is_connected, 5, f"{device} is let in")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()
