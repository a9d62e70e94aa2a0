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

from collectors import Collectors, Listener
from events import PLATE
from numbered_box import PLATE_EVERY, START
from processes import Program, wait_until
from sqlalchemy import text
from test_journey import all_sent

from collector.alerts.watchlist import Watchlist
from collector.ledger import Ledger
from collector.state import database, now_ms

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
