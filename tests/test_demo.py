"""The demo as a newcomer runs it: it must work, open nothing to the outside, and say what is missing."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import time
from pathlib import Path

import psutil
from processes import Program, wait_until

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "scripts.demonstration", "--folder"]


def test_everything_arrives_and_nothing_is_open_to_the_outside(tmp_path: Path) -> None:
    demo = Program("demo", [*COMMAND, str(tmp_path / "data"), "--seconds", "45"], tmp_path)
    with demo:
        wait_until(lambda: b"Page:" in demo.log.read_bytes(), 60, "the demo has started")
        time.sleep(5)
        family = [psutil.Process(demo.pid), *psutil.Process(demo.pid).children(recursive=True)]
        assert len(family) >= 7, "the demo, a collector and five agents"
        open_to = {c.laddr.ip for process in family for c in process.net_connections("inet") if c.status == "LISTEN"}
        assert open_to
        assert all(ipaddress.ip_address(address).is_loopback for address in open_to)
        assert demo.wait(120) == 0, demo.log.read_text()[-2000:]
    assert "Every kind of event is stored" in demo.log.read_text()
    assert not any(process.is_running() for process in family)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, str(tmp_path / "data"), "--seconds", "0"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 1
    assert "no alert for 68A12345" in ended.stdout


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    ended = subprocess.run([*COMMAND, str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert ended.returncode == 1
    assert "would be emptied" in ended.stderr
    assert (tmp_path / "thesis.txt").exists()
