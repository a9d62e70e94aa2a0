"""Several collectors on real servers: nothing lost or doubled, alerts shown by each, single jobs done by one."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

import msgspec
from city import FLEET
from collectors import Collectors, Listener
from events import PLATE, plate_read
from numbered_box import PLATE_EVERY, START
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from processes import Program, wait_until
from sqlalchemy import text
from test_journey import all_sent

from collector.alerts.desk import PlateDesk
from collector.alerts.watchlist import Watchlist
from collector.ledger import Ledger
from collector.state import database, now_ms
from edge_agent.contract.events import Answer, Command
from edge_agent.contract.topics import down, up

MADE = 1500
BOXES = ("air-01", "air-02", "air-03")


def test_kill_9_and_stopping_of_either_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Made against stored, by number; and every page shows every alert once, whoever raised it."""
    chance = random.Random(2026)
    centre = Collectors(tmp_path)
    boxes = [numbered_box(centre, device) for device in BOXES]
    with centre.running(), ExitStack() as stack:
        look_for_the_plate(centre)
        token = centre.token("police")
        listeners = [stack.enter_context(Listener(each.port, token)) for each in centre.collectors]
        for box in boxes:
            stack.enter_context(box)
        for turn in range(6):
            time.sleep(chance.uniform(0.5, 1.5))
            victim = centre.collectors[turn % 2]
            if turn in (2, 3):
                with stopped(victim):
                    time.sleep(chance.uniform(1, 3))
            else:
                victim.kill()
        for device in BOXES:
            wait_until(partial(all_sent, tmp_path / device), 120, f"{device} has sent everything")
        raised = len(BOXES) * MADE // PLATE_EVERY
        for listener in listeners:
            wait_until(lambda: len(listener.shown) >= raised, 10, "every alert is shown")  # noqa: B023
            ids = [key for key, _ in listener.shown]
            assert ids == sorted(set(ids)), "in order, each once"
            assert len(ids) == raised

        engine = database(centre.settings)
        accounts = Ledger(engine).summary()
        assert {a.device for a in accounts} == set(BOXES)
        for device in BOXES:
            numbers = [(a.highest, a.stored, a.lost, a.missing) for a in accounts if a.device == device]
            assert tuple(map(sum, zip(*numbers, strict=True))) == (MADE, MADE, 0, 0)
        with engine.connect() as db:
            for table in ("alerts", "sightings"):
                assert db.scalar(text(f"SELECT count(*) FROM {table}")) == raised
        engine.dispose()
        expected = {START + n * 1000: n % 300 / 10 for n in range(1, MADE + 1) if n % PLATE_EVERY}
        for device in BOXES:
            answer = centre.influx(f"SELECT pm2_5 FROM air WHERE station = '{device}'")
            rows = answer["results"][0]["series"][0]["values"]
            assert len(rows) == len(expected)
            assert dict(rows) == expected
        both = Counter(b"duty: averages" in each.log.read_bytes() for each in centre.collectors)
        assert both[True], "somebody was on duty"
        for each in centre.collectors:
            assert each.stop() == 0


def test_another_takes_over_within_seconds_and_who_was_stopped_keeps_away(tmp_path: Path) -> None:
    centre = Collectors(tmp_path)
    with centre.running():
        engine = database(centre.settings)

        def holder() -> str:
            with engine.connect() as db:
                return str(db.scalar(text("SELECT holder FROM duty WHERE until > extract(epoch FROM now()) * 1000")))

        wait_until(lambda: holder() != "None", 10, "somebody is on duty")
        first, second = sorted(centre.collectors, key=lambda each: not holder().endswith(f"-{each.pid}"))
        with stopped(first):
            began = time.monotonic()
            wait_until(lambda: holder().endswith(f"-{second.pid}"), 12, "the other takes over")
            print(f"taken over {time.monotonic() - began:.1f} s after a SIGSTOP")
        wait_until(lambda: b"duty: another has it" in first.log.read_bytes(), 10, "who woke knows it")
        second.stop(signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: holder().endswith(f"-{first.pid}"), 12, "the other takes over")
        print(f"taken over {time.monotonic() - began:.1f} s after a kill -9")
        second.start()
        second.ready()
        first.stop()
        wait_until(lambda: holder().endswith(f"-{second.pid}"), 4, "who ends gives it back")
        engine.dispose()


def test_what_one_collector_left_or_asked_reaches_the_right_page(tmp_path: Path) -> None:
    """An alert whose collector died before it showed it; orders, whose answers only the asker knows."""
    centre = Collectors(tmp_path)
    password = centre.broker.enrol("air-01")
    with centre.running(), ExitStack() as stack:
        look_for_the_plate(centre)
        police, technician = centre.token("police"), centre.token("technician")
        listeners = [stack.enter_context(Listener(each.port, police)) for each in centre.collectors]
        engine = database(centre.settings)
        (alert,) = PlateDesk(engine).take(FLEET["cam-01"], 7, [(1, plate_read(now_ms(), b"\xff\xd8"))], now_ms())
        engine.dispose()
        committed = time.time()
        for listener in listeners:
            wait_until(lambda: len(listener.shown) == 1, 5, "the alert is shown")  # noqa: B023
            ((key, shown),) = listener.shown
            assert key == alert.id
            assert shown - committed < 1

        box = stack.enter_context(obeying(centre.broker.mqtt_port, password))
        for each in centre.collectors * 3:
            url = f"http://127.0.0.1:{each.port}/api/v1/devices/air-01/calibration"
            headers = {"Authorization": f"Bearer {technician}", "Content-Type": "application/json"}
            with urlopen(Request(url, b'{"sensor": "ph", "action": "end"}', headers), timeout=20) as answer:
                assert answer.status == 200
        assert box.is_connected()


@contextmanager
def obeying(port: int, password: str) -> Iterator[mqtt.Client]:
    """A box that does whatever it is told."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="air-01")
    client.username_pw_set("air-01", password)

    def answer(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        command = msgspec.msgpack.decode(message.payload, type=Command)
        done = Answer(id=command.id, ok=True, vi="xong", en="done")
        client.publish(up("air-01", "answer"), msgspec.msgpack.encode(done))

    client.on_message = answer
    client.on_connect = lambda *_: client.subscribe(down("air-01", "command"))
    subscribed: list[object] = []
    client.on_subscribe = lambda *given: subscribed.append(given)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_until(lambda: bool(subscribed), 10, "it listens")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def stopped(program: Program) -> Iterator[None]:
    os.kill(program.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(program.pid, signal.SIGCONT)


def numbered_box(centre: Collectors, device: str) -> Program:
    state = centre.folder / device
    state.mkdir()
    arguments = [device, str(centre.broker.mqtt_port), centre.broker.enrol(device), str(state), str(MADE)]
    program = str(Path(__file__).with_name("numbered_box.py"))
    return Program(device, [sys.executable, program, *arguments], centre.folder)


def look_for_the_plate(centre: Collectors) -> None:
    engine = database(centre.settings)
    year = 365 * 86_400_000
    Watchlist(engine).add(pattern=PLATE, reason="test", officer="test", expires=now_ms() + year, now=now_ms())
    engine.dispose()
