"""The load generator: real connections by the hundred, a real broker and collector, and every event accounted for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from processes import wait_until
from sqlalchemy import create_engine, text

from edge_agent.settings import BrokerSettings, UplinkSettings
from scripts.load_generator.__main__ import main
from scripts.load_generator.centre import Centre
from scripts.load_generator.drive import drive
from scripts.load_generator.fleet import make_fleet, read_fleet
from scripts.load_generator.mix import FLEET, devices
from scripts.load_generator.plan import Plan
from scripts.load_generator.slowdown import Slowed
from scripts.load_generator.tally import Tally

BOXES = 200
SETTINGS = UplinkSettings(resend_s=2, resend_max_s=4)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    folder = tmp_path_factory.mktemp("load")
    make_fleet(folder / "fleet", BOXES, FLEET)
    with Centre(folder, folder / "fleet", "duckdb") as running:
        yield running


def numbers(centre: Centre, sql: str) -> int:
    engine = create_engine(f"sqlite:///{centre.folder / 'state' / 'collector.sqlite'}")
    with engine.connect() as db:
        found = int(db.execute(text(sql)).scalar_one())
    engine.dispose()
    return found


def plan(**changes: float) -> Plan:
    values = {"minutes": 0.1, "pace_s": 4, "passes": 15, "heartbeat_s": 4, "ramp": 200, "watched": 0.2}
    return Plan(boxes=BOXES, **(values | changes))  # type: ignore[arg-type]


async def test_every_event_of_many_boxes_is_stored_once_and_alerts_are_raised(centre: Centre) -> None:
    before = numbers(centre, "SELECT coalesce(sum(last - first + 1), 0) FROM ledger_runs")
    broker = BrokerSettings(host="127.0.0.1", port=centre.mqtt_port)
    result = await drive(read_fleet(centre.fleet), plan(), broker, uplink=SETTINGS)
    assert result.not_confirmed == 0
    assert result.events > BOXES
    assert set(result.packs) == {"plates", "readings", "wifi", "health"}
    assert result.confirmed == result.packs
    stored = numbers(centre, "SELECT sum(last - first + 1) FROM ledger_runs") - before
    assert stored == result.events, "the ledger has what the boxes made"
    assert numbers(centre, "SELECT count(*) FROM alerts") > 0


async def test_boxes_outlive_their_broker_and_bring_a_backlog(centre: Centre) -> None:
    before = numbers(centre, "SELECT coalesce(sum(last - first + 1), 0) FROM ledger_runs")
    broker = BrokerSettings(host="127.0.0.1", port=centre.mqtt_port)
    killed: list[float] = []

    def kill_once(tally: Tally, seconds: float) -> None:
        if tally.connected == BOXES and not killed:
            killed.append(seconds)
            centre.processes["mosquitto"].kill()
            centre.processes["mosquitto"].wait()
            centre.start("mosquitto")

    result = await drive(read_fleet(centre.fleet), plan(outage_h=0.05), broker, uplink=SETTINGS, each_second=kill_once)
    assert killed
    assert result.connections_lost == BOXES
    assert result.not_confirmed == 0
    stored = numbers(centre, "SELECT sum(last - first + 1) FROM ledger_runs") - before
    assert stored == result.events


def test_boxes_and_collector_speak_tls_where_it_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--boxes", "10", "--minutes", "0.05", "--pace", "1", "--centre", "duckdb", "--folder", str(tmp_path)]
    assert main([*run, "--tls"]) == 0
    assert "0 events not confirmed" in capsys.readouterr().out
    assert "certfile" in (tmp_path / "mosquitto.conf").read_text()
    assert "tls:" in (tmp_path / "collector.yaml").read_text()


def test_load_is_never_aimed_at_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_fleet(tmp_path, 2, {"air": 1})
    for host in ("192.0.2.1", "broker.example", "0.0.0.0"):
        assert main(["--boxes", "2", "--fleet", str(tmp_path), "--host", host]) == 2
        assert f"{host} is not this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--boxes", "0"], "0 boxes"),
        (["--boxes", "1000000"], "1000000 boxes"),
        (["--minutes", "100000"], "bounded by a day"),
        ([], "give --centre"),
    ],
)
def test_a_run_without_bounds_or_place_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_kinds_are_mixed_evenly_in_their_shares() -> None:
    kinds = [kind for _, kind in devices(125, FLEET)]
    assert {kind: kinds.count(kind) for kind in FLEET} == FLEET
    assert set(kinds[:10]) == set(FLEET)


def test_a_slowed_process_gets_its_share_and_then_all() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            process = psutil.Process(busy.pid)
            with Slowed(busy.pid, 0.2):
                stopped = 0
                for _ in range(400):  # how often it may run, which a busy machine does not change, not what it gets
                    time.sleep(0.007)
                    stopped += process.status() == psutil.STATUS_STOPPED
            assert 0.4 < stopped / 400 < 0.98
            wait_until(lambda: process.status() != psutil.STATUS_STOPPED, 10, "it runs freely")
            before = process.cpu_times().user
            wait_until(lambda: process.cpu_times().user > before + 0.1, 30, "it runs")
        finally:
            busy.kill()
