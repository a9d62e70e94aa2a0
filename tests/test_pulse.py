"""The watcher watched: systemd's socket played, real processes that hang in several ways, the log for machines."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from processes import Centre, wait_until

from edge_agent.contract.logs import JsonLines
from edge_agent.contract.pulse import Pulse, Stuck, WatchedThread, notify

UNITS = Path(__file__).parent.parent / "firmware_configs" / "systemd"
PROGRAM = """
import asyncio, logging, sys, threading, time
from edge_agent.contract import pulse
logging.basicConfig(level=logging.INFO)
pulse.LOOP_S = 1.0 if sys.argv[1] == "loop" else 60.0

async def main():
    beat = pulse.Pulse()
    async with beat.watched(look_s=0.1):
        for _ in range(8):
            await asyncio.sleep(0.1)
            pulse.notify("round")
        if sys.argv[1] == "task":
            def on_a_dead_disk():
                time.sleep(1.5)
                pulse.notify("hangs")
                time.sleep(1.5)
                pulse.notify("moves")
            with pulse.WatchedThread(beat, "outbox", 0.5) as thread:
                await asyncio.get_running_loop().run_in_executor(thread, on_a_dead_disk)
            await asyncio.sleep(1)
        elif sys.argv[1] == "loop":
            def a_loop_that_hangs():
                pulse.notify("hangs")
                time.sleep(3)
                pulse.notify("moves")
            a_loop_that_hangs()

asyncio.run(main())
"""


class Systemd:
    """The end of sd_notify's socket that systemd holds."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(0.1)
        self.heard: list[str] = []

    def listen(self, child: subprocess.Popen[str]) -> None:
        """Hear all that the program says until it has ended."""
        ended = False
        while not ended:
            ended = child.poll() is not None  # what it said before still waits
            with suppress(TimeoutError):
                while True:
                    self.heard.append(self._socket.recv(100).decode())

    def while_it_hangs(self) -> list[str]:
        """What is heard from when the program says that it hangs until it says that it moves."""
        return self.heard[self.heard.index("hangs") + 1 : self.heard.index("moves")]


def run(systemd: Systemd, how: str) -> str:
    env = {**os.environ, "NOTIFY_SOCKET": systemd.address}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, how], env=env, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        listener = threading.Thread(target=systemd.listen, args=(child,))
        listener.start()
        said = child.stderr.read()
        listener.join()
        assert child.wait() == 0, said
    assert systemd.heard[0] == "READY=1"
    return said


def test_a_healthy_program_is_ready_and_feeds_the_watchdog(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    said = run(systemd, "well")
    # the machine may be busy; then looks and rounds are late together
    assert systemd.heard.count("WATCHDOG=1") >= systemd.heard.count("round") / 2 == 4
    assert said == ""


def test_work_that_hangs_is_named_with_its_place_and_starves_the_watchdog(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    said = run(systemd, "task")
    assert "WATCHDOG=1" in systemd.heard[: systemd.heard.index("hangs")]
    assert systemd.while_it_hangs() == []
    assert "WATCHDOG=1" in systemd.heard[systemd.heard.index("moves") :]
    assert said.count("outbox: stuck for") == 1
    assert "in on_a_dead_disk" in said
    assert "outbox: moves again" in said


def test_a_loop_that_hangs_says_where(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    said = run(systemd, "loop")
    assert "WATCHDOG=1" in systemd.heard[: systemd.heard.index("hangs")]
    assert systemd.while_it_hangs() == []
    assert "in a_loop_that_hangs" in said


def test_what_is_late_is_named_the_longest_first() -> None:
    clock = [0.0]
    pulse = Pulse(lambda: clock[0])
    with pulse.work("uplink", 10):
        clock[0] = 5.0
        with pulse.work("outbox", 2):
            assert pulse.stuck() == []
            clock[0] = 12.0
            assert pulse.stuck() == [Stuck("uplink", 12.0), Stuck("outbox", 7.0)]
        assert pulse.stuck() == [Stuck("uplink", 12.0)]
    assert pulse.stuck() == []


def test_what_waits_for_its_turn_in_a_thread_is_not_at_work() -> None:
    clock, go = [0.0], threading.Event()
    pulse = Pulse(lambda: clock[0])
    with WatchedThread(pulse, "sinks", 10) as thread:
        began = threading.Event()
        first = thread.submit(lambda: (began.set(), go.wait(10)))
        second = thread.submit(time.monotonic)
        assert began.wait(10)
        clock[0] = 11.0
        assert pulse.stuck() == [Stuck("sinks", 11.0)]
        go.set()
        first.result(10)
        second.result(10)
        assert pulse.stuck() == []


async def test_an_error_in_watched_work_is_the_works_own() -> None:
    pulse = Pulse()
    with WatchedThread(pulse, "sinks", 10) as thread, pytest.raises(ZeroDivisionError):
        await asyncio.get_running_loop().run_in_executor(thread, lambda: 1 // 0)
    assert pulse.stuck() == []


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


def test_the_collector_tells_systemd_how_it_is_and_logs_for_machines(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    centre = Centre(tmp_path, "amqtt")
    env = {**os.environ, "NOTIFY_SOCKET": systemd.address}
    command = [sys.executable, "-m", "collector", "run", str(centre.settings), "--log", "json"]
    with centre.collector.log.open("wb") as log:
        child = subprocess.Popen(command, env=env, stderr=log, text=True)
    listener = threading.Thread(target=systemd.listen, args=(child,))
    listener.start()
    try:
        wait_until(lambda: "WATCHDOG=1" in systemd.heard, 30, "the collector is well")
        centre.ready()
        assert systemd.heard.index("READY=1") < systemd.heard.index("WATCHDOG=1")
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
        listener.join()
    assert systemd.heard[-1] == "STOPPING=1"
    for line in centre.collector.log.read_text().splitlines():
        entry = json.loads(line)
        assert {"time", "level", "part", "message"} <= entry.keys()


def test_a_line_for_machines_holds_message_and_trace() -> None:
    try:
        int("a number")
    except ValueError:
        record = logging.LogRecord("edge_agent.uplink", logging.ERROR, "f.py", 1, "box %s", ("air-01",), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["part"], entry["message"]) == ("error", "edge_agent.uplink", "box air-01")
    assert entry["trace"].endswith("ValueError: invalid literal for int() with base 10: 'a number'")
    assert re.fullmatch(r"20..-..-..T..:..:..\....\+00:00", entry["time"])


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda unit: unit.name)
def test_systemd_accepts_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = re.sub(r"ExecStart=\S+", f"ExecStart={program}", unit.read_text())
    here = tmp_path / unit.name.replace("@.", "@air-01.")
    here.write_text(text)
    run = subprocess.run(["systemd-analyze", "verify", str(here)], check=False, capture_output=True, text=True)
    said = [line for line in run.stderr.splitlines() if unit.name.split("@")[0].split(".")[0] in line]
    assert said == [] and run.returncode == 0, run.stderr
    for line in ("Type=notify", "WatchdogSec=60", "Restart=always", "RestartPreventExitStatus=78"):
        assert line in text.splitlines()
