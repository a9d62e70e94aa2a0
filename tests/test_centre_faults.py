"""The centre's stores fail while boxes send, on real processes: no receipt for what is not stored, and all is there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import duckdb
import pytest
from disks import fill, small_disk
from numbered_box import PLATE_EVERY
from processes import Centre, Program, wait_until
from servers import influxd, victoria_metrics
from test_journey import ask, watch_for_the_plate

from collector.ledger import Ledger
from collector.settings import load
from collector.state import database
from collector.stores.victoria import VictoriaStore
from scripts.fault_matrix.faulty_http import WRITES, Fault, FaultyHttp

MADE = 4000
BACK_S = 15
"""The longest pause before another try is 10 s."""
FAULTS = {
    "503": Fault(kind="status", status=503),
    "said yes but has not got": Fault(kind="false_success", where=WRITES),
    "does not answer": Fault(kind="half", where=WRITES),
    "asks to be left alone for 2 s": Fault(kind="status", status=429, headers={"Retry-After": "2"}, where=WRITES),
    "Connection reset": Fault(kind="reset", stored=True),
    "nothing within 10 s": Fault(kind="silent"),
}


def stored(centre: Centre) -> int:
    """Events that the ledger counts as stored; it must know no lost ones."""
    engine = database(load(centre.settings))
    try:
        accounts = Ledger(engine).summary()
    finally:
        engine.dispose()
    assert not any(account.lost for account in accounts)
    return sum(account.stored for account in accounts)


def box(centre: Centre, made: int = MADE) -> Program:
    """A box that makes as many numbered events."""
    arguments = ["air-01", str(centre.mqtt_port), centre.enrol("air-01"), str(centre.folder / "air-01"), str(made)]
    return Program(
        "air-01", [sys.executable, str(Path(__file__).with_name("numbered_box.py")), *arguments], centre.folder
    )


@pytest.mark.parametrize("kind", ["influx1", "victoriametrics"])
def test_whatever_the_store_s_server_does(kind: str, tmp_path: Path) -> None:
    """Every fault of a server while events come: nothing is confirmed, said once, and taken soon after."""
    with (influxd if kind == "influx1" else victoria_metrics)(tmp_path) as server, FaultyHttp(server.url) as proxy:
        more = ", database: island" if kind == "influx1" else ""
        centre = Centre(tmp_path, "mosquitto", f"kind: {kind}, url: '{proxy.url}'{more}")
        watch_for_the_plate(centre)
        sending = box(centre)  # Mosquitto reads the passwords as it starts
        assert centre.mosquitto is not None
        with centre.mosquitto, centre.collector, sending:
            centre.ready()
            wait_until(lambda: stored(centre) > 0, 20, "the first events are stored")
            for said, fault in FAULTS.items():
                proxy.fault = fault
                wait_until(lambda said=said: said in errors(centre), 15, f"the log says {said}")
                before = stored(centre)  # also what was under way: one thing is after the other
                time.sleep(1.5)
                assert stored(centre) == before, "a receipt for what is not stored"
                proxy.fault = None
                wait_until(lambda before=before: stored(centre) > before, BACK_S, f"at work again after {said}")
            wait_until(lambda: stored(centre) == MADE, 60, "everything is stored")
            assert centre.count("SELECT count(*) FROM alerts") == MADE // PLATE_EVERY
            lines = errors(centre).splitlines()
            assert len(lines) == len(FAULTS), lines
            assert centre.collector.log.read_text().count("store and database: work again") == len(FAULTS)
        if kind == "influx1":
            (found,) = ask(server.url, "SELECT count(pm2_5) FROM air")["results"][0]["series"]
            assert found["values"][0][1] == MADE - MADE // PLATE_EVERY
        else:
            store = VictoriaStore(url=server.url)
            assert store.counts("air", 0, 4_000_000_000_000)["pm2_5"] == MADE - MADE // PLATE_EVERY
            store.close()


def errors(centre: Centre) -> str:
    """What the collector's log says of its store."""
    return "\n".join(line for line in centre.collector.log.read_text().splitlines() if "boxes keep their data" in line)


def test_a_full_disk_under_both_of_the_collector_s_own_databases(tmp_path: Path) -> None:
    """DuckDB and SQLite have no room, twice: nothing is confirmed, the collector stays, and then all is stored."""
    with small_disk(tmp_path / "state", 24) as disk:
        centre = Centre(tmp_path, "mosquitto")
        sending = box(centre)
        assert centre.mosquitto is not None
        with centre.mosquitto, centre.collector, sending:
            centre.ready()
            began = centre.collector.pid
            for again in range(2):
                wait_until(lambda: stored(centre) > 0, 20, "events are stored")
                fill(disk / "ballast")
                wait_until(lambda again=again: len(errors(centre).splitlines()) > again, 20, "the log says it")
                before = stored(centre)
                time.sleep(2)
                assert stored(centre) == before, "a receipt for what is not stored"
                (disk / "ballast").unlink()
                wait_until(lambda before=before: stored(centre) > before, BACK_S, "at work again")
            wait_until(lambda: stored(centre) == MADE, 60, "everything is stored")
            assert centre.collector.pid == began and centre.collector.stop() == 0
        with duckdb.connect(str(centre.state / "timeseries.duckdb"), read_only=True) as db:
            found = db.execute("SELECT count(*), count(DISTINCT time) FROM air").fetchone()
        assert found == (MADE - MADE // PLATE_EVERY,) * 2
        assert centre.count("SELECT count(*) FROM sightings") == MADE // PLATE_EVERY
