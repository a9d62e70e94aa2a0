"""InfluxDB 1.6.7 after a power cut or a full disk: as it is started, it keeps what it takes in from then on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from frames import air, series
from ports import free_port
from servers import influxd

from collector.stores.influx1 import Influx1Store
from scripts.fault_matrix.servers import START_INFLUXD

HALF_AN_ENTRY = b"\x01\x00\x00\x10\x00half"


@pytest.mark.parametrize("tail", [b"", HALF_AN_ENTRY, b"\x00" * 300], ids=["whole", "half an entry", "zeros"])
def test_what_is_taken_after_a_log_that_ends_amid_an_entry_is_there_after_the_next_start(tmp_path: Path, tail: bytes):
    port, program = free_port(), str(START_INFLUXD)
    with influxd(tmp_path, port, program=program) as server:
        store = Influx1Store(url=server.url, database="island")
        store.write([air(pm2_5=[1.0] * 10)])
        server.kill()
    (log,) = tmp_path.rglob("_*.wal")
    with log.open("ab") as out:
        out.write(tail)
    for start in range(1, 4):
        with influxd(tmp_path, port, program=program):
            assert len(store.readings(series())) == 10 * start
            store.write([air(first=10 * start, pm2_5=[1.0] * 10)])
    store.close()


def test_an_influxd_that_cannot_start_says_why(tmp_path: Path):
    (tmp_path / "influxd.conf").write_text("[data\n")
    command = [str(START_INFLUXD), "-config", str(tmp_path / "influxd.conf")]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "toml" in run.stderr
