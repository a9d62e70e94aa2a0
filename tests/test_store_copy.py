"""Changing over from the embedded store to a real InfluxDB 1.6.7: everything arrives, also after an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest
from frames import MINUTE, T0, plates
from servers import Server, influxd, victoria_metrics
from test_store_influx import ask, points

from collector.__main__ import main
from collector.points import Frame
from collector.stores.copy import History
from collector.stores.duckdb import DuckStore

DAY = 1440 * MINUTE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxd(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, server: Server, request: pytest.FixtureRequest) -> Path:
    """A collector with three days of history that is told to use InfluxDB from now on."""
    database = request.node.originalname
    (tmp_path / "state").mkdir()
    file = tmp_path / "collector.yaml"
    file.write_text(
        f"state: {tmp_path / 'state'}\nfleet: {Path(__file__).parent.parent / 'firmware_configs'}\n"
        f"plates: {{keep_days: 1, keep_hit_days: 1}}\nstore: {{kind: influx1, url: '{server.url}', "
        f"database: {database}, plates_database: {database}_plates}}\n"
    )
    store = DuckStore(tmp_path / "state" / "timeseries.duckdb")
    at = np.arange(T0, T0 + 3 * DAY, 5 * MINUTE, dtype=np.int64)
    rng = np.random.default_rng(1)
    for station in ("air-01", "air-02"):
        values = rng.normal(20, 5, len(at)).round(1)
        values[::7] = np.nan
        flags = np.where(np.isnan(values), 9, 1).astype(np.uint8)
        fields = {"pm2_5": values, "pm2_5_flag": flags, "rule": ["flags 1+2", None] * (len(at) // 2)}
        tags = {"station": station, "site": "night-market"}
        store.write([Frame(measurement="air", tags=tags, at=at, fields=fields)])
    numbers = {"clients": np.arange(len(at) // 2), "up": np.ones(len(at) // 2, np.bool_)}
    odd = {"clients": np.arange(len(at) - len(at) // 2)}
    tags = {"access_point": "ap-01", "site": "s"}
    store.write([Frame(measurement="wifi", tags=tags, at=at[: len(at) // 2], fields=numbers),
                 Frame(measurement="wifi", tags=tags, at=at[len(at) // 2 :], fields=odd)])  # fmt: skip
    store.write([plates("68A12345", "51K99999")])
    store.close()
    return file


def test_everything_arrives_and_is_the_same(
    settings: Path, server: Server, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    database = request.node.originalname
    assert main(["store", "copy", str(settings)]) == 0
    assert "every field counted" in capsys.readouterr().out
    with duckdb.connect(settings.parent / "state" / "timeseries.duckdb", read_only=True) as db:
        here = db.execute(
            "SELECT epoch_us(time), pm2_5, pm2_5_flag, rule FROM air WHERE station = 'air-02' ORDER BY time"
        ).fetchall()
        texts = db.execute("SELECT plate FROM plates ORDER BY time").fetchall()
    there = [row for row in points(server, database, "air") if row["station"] == "air-02"]
    assert [(r["time"] // 1000, r.get("pm2_5"), r["pm2_5_flag"], r.get("rule")) for r in there] == here
    wifi = points(server, database, "wifi")
    assert sum(row["up"] for row in wifi if "up" in row) == len(wifi) // 2, "absent is not false"
    assert [row["plate"] for row in points(server, f"{database}_plates", "plates")] == [text for (text,) in texts]
    assert not points(server, database, "plates"), "plates stand in their own database"
    assert main(["store", "copy", str(settings)]) == 0
    assert "were copied before" in capsys.readouterr().out


def test_to_victoriametrics_go_the_numbers(settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = settings.read_text()
    with victoria_metrics(tmp_path) as server:
        settings.write_text(text[: text.index("store:")] + f"store: {{kind: victoriametrics, url: '{server.url}'}}\n")
        assert main(["store", "copy", str(settings)]) == 0
    assert "every field counted" in capsys.readouterr().out


def test_what_is_missing_there_is_named_and_copied_again(
    settings: Path, server: Server, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    database = request.node.originalname
    assert main(["store", "copy", str(settings)]) == 0
    ask(server, f"DELETE FROM air WHERE time < {T0 + 60 * MINUTE}000000 AND station = 'air-01'", database)
    assert main(["store", "copy", str(settings)]) == 1
    said = capsys.readouterr().err
    assert "air 20" in said and "pm2_5_flag: " in said and "copies these days again" in said
    assert main(["store", "copy", str(settings)]) == 0


def test_a_copy_that_was_killed_goes_on(settings: Path, server: Server, request: pytest.FixtureRequest) -> None:
    database = request.node.originalname
    command = [sys.executable, "-m", "collector", "store", "copy", str(settings)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 20
    while time.monotonic() < end and not points(server, database, "air"):
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    assert main(["store", "copy", str(settings)]) == 0
    assert len(points(server, database, "air")) == 2 * 3 * 288


def test_what_cannot_be_copied_is_said(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = settings.read_text()
    settings.write_text(text[: text.index("store:")] + "store: {kind: duckdb}\n")
    assert main(["store", "copy", str(settings)]) == 1
    assert "influx1, influx2, victoriametrics" in capsys.readouterr().err
    settings.write_text(text)
    collector = DuckStore(settings.parent / "state" / "timeseries.duckdb")
    code = f"from collector.__main__ import main; raise SystemExit(main(['store', 'copy', {str(settings)!r}]))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 1 and "stop the collector" in said.stderr
    collector.close()
    (settings.parent / "state" / "timeseries.duckdb").unlink()
    assert main(["store", "copy", str(settings)]) == 1
    assert "no history" in capsys.readouterr().err


def test_days_and_counts_are_those_of_the_file(settings: Path) -> None:
    history = History(settings.parent / "state" / "timeseries.duckdb")
    days = [day for day in history.days() if day.measurement == "air"]
    assert sum(day.points for day in days) == 2 * 3 * 288
    assert history.counts(days[1])["pm2_5_flag"] == days[1].points > history.counts(days[1])["pm2_5"]
    history.close()
