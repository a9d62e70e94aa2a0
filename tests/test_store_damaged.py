"""The embedded store's files after damage: what was confirmed is there, or it says what is missing and what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from frames import air, series

from collector.stores import StoreError
from collector.stores.duckdb import DuckStore

WRITES = 20
WRITER = """
import os, signal, sys
from pathlib import Path
from collector.stores.duckdb import DuckStore
from frames import air
store = DuckStore(Path(sys.argv[1]))
for i in range(int(sys.argv[2])):
    store.write([air(first=100 * i, pm2_5=[float(i)] * 100, pm2_5_flag=[1] * 100)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store that was killed with its log full."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", WRITER, str(folder / "points.duckdb"), str(WRITES)]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parent).returncode == -signal.SIGKILL
    return folder


@pytest.fixture
def store(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "copy")) / "points.duckdb"


def log_of(store: Path) -> Path:
    return store.with_name("points.duckdb.wal")


def points(path: Path) -> int:
    store = DuckStore(path)
    found = len(store.readings(series()))
    store.close()
    return found


def test_undamaged_it_holds_what_it_confirmed(store: Path):
    assert log_of(store).stat().st_size > 10_000
    assert points(store) == points(store) == 100 * WRITES


@pytest.mark.parametrize(
    "damage",
    {
        "cut": lambda log: log[: len(log) // 2],
        "empty": lambda _: b"",
        "head destroyed": lambda log: bytes(200) + log[200:],
        "another's": lambda log: os.urandom(len(log)),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_log_that_duckdb_takes_for_a_shorter_one(store: Path, damage: tuple[str, Callable[[bytes], bytes]]):
    log_of(store).write_bytes(damage[1](log_of(store).read_bytes()))
    for _ in range(2):  # also when it is opened again
        with pytest.raises(
            StoreError, match=r"lacks the last \d+ writes that it had confirmed.*\n.*delete .*\.mark"
        ) as said:
            DuckStore(store)
    store.with_suffix(".mark").unlink()  # as it says
    lost = int(str(said.value).split("lacks the last ")[1].split()[0])
    assert points(store) == 100 * (WRITES - lost)


def test_a_flipped_bit_in_the_log(store: Path):
    log = bytearray(log_of(store).read_bytes())
    log[len(log) // 2] ^= 1
    log_of(store).write_bytes(log)
    with pytest.raises(StoreError, match=r"cannot be opened: .*\n  its log is damaged: copy .* or delete"):
        DuckStore(store)
    assert log_of(store).read_bytes() == log, "nothing is changed"
    log_of(store).unlink()
    with pytest.raises(StoreError, match=f"lacks the last {WRITES} writes"):
        DuckStore(store)
    store.with_suffix(".mark").unlink()
    assert points(store) == 0


def test_a_file_that_is_cut(store: Path):
    assert points(store) == 100 * WRITES
    store.write_bytes(store.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"cannot be opened: .*\n  it is damaged, or no file of ours: copy"):
        DuckStore(store)


def test_an_older_copy_put_in_its_place(store: Path, tmp_path: Path):
    assert points(store) == 100 * WRITES
    shutil.copy(store, tmp_path / "older")
    now = DuckStore(store)
    now.write([air("air-02", pm2_5=[1], pm2_5_flag=[1])])
    now.close()
    shutil.copy(tmp_path / "older", store)
    with pytest.raises(StoreError, match="lacks the last 1 writes that it had confirmed: it is an older copy"):
        DuckStore(store)


def test_a_store_from_before_the_count_is_taken_over(store: Path):
    now = DuckStore(store)
    now._db.execute("DROP TABLE collector.written")
    now.close()
    store.with_suffix(".mark").unlink()
    now = DuckStore(store)
    now.write([air("air-02", pm2_5=[1], pm2_5_flag=[1])])
    now.close()
    assert store.with_suffix(".mark").read_text() == f"{1:020d}"


def test_a_second_process_is_told_of_the_first(store: Path):
    now = DuckStore(store)
    command = [sys.executable, "-c", WRITER, str(store), "1"]
    said = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parent)
    assert "does another collector run on it?" in said.stderr
    now.close()
