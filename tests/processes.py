"""Real processes for tests: started with a log, killed by their id, always gone in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ports import free_port
from sqlalchemy import create_engine, text

from collector.credentials import access_list, enrol

FLEET = Path(__file__).parent.parent / "firmware_configs"


def wait_until(true: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait for something that must come; raises AssertionError if it does not."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(0.05)


class Program:
    """One process, which can be killed and started again."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.command = command
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop(signal.SIGKILL)
        if kind is not None:
            print(f"--- {self.name}\n{self.log.read_text(errors='replace')[-3000:]}")

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        """Start it; its output is added to the log."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(self.command, stdout=log, stderr=log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait for its end; returns the exit status."""
        assert self._child is not None
        if self._child.poll() is None:
            os.kill(self._child.pid, number)
        return self._child.wait(timeout=20)

    def wait(self, limit_s: float) -> int:
        """Wait for it to end by itself; returns the exit status."""
        assert self._child is not None
        return self._child.wait(limit_s)

    def kill(self) -> None:
        """kill -9, and start again at once."""
        self.stop(signal.SIGKILL)
        self.start()


class Centre:
    """A collector's folder, its settings, and programs for it and its broker."""

    def __init__(self, folder: Path, broker: str, store: str = "kind: duckdb") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.mqtt_port, self.web_port = free_port(), free_port()
        self.passwords = self.state / "boxes.passwords"
        self.mosquitto: Program | None = None
        lines = f"{{kind: embedded, port: {self.mqtt_port}}}"
        if broker == "mosquitto":
            secret = folder / "collector.secret"
            secret.write_text(enrol(self.passwords, "collector"))
            (folder / "access").write_text(access_list())
            conf = folder / "mosquitto.conf"
            conf.write_text(
                f"listener {self.mqtt_port} 127.0.0.1\nuser root\nallow_anonymous false\n"
                f"password_file {self.passwords}\nacl_file {folder / 'access'}\n"
            )
            self.mosquitto = Program("mosquitto", ["/usr/sbin/mosquitto", "-c", str(conf)], folder)
            lines = f"{{kind: external, host: 127.0.0.1, port: {self.mqtt_port}, password_file: {secret}}}"
        self.settings = folder / "collector.yaml"
        self.settings.write_text(
            f"state: {self.state}\nfleet: {FLEET}\nplates: {{keep_days: 3650, keep_hit_days: 3650}}\n"
            f"broker: {lines}\nstore: {{{store}}}\nweb: {{port: {self.web_port}}}\n"
        )
        self.collector = Program("collector", [sys.executable, "-m", "collector", "run", str(self.settings)], folder)

    def enrol(self, device: str) -> str:
        """Give a box its password."""
        return enrol(self.passwords, device)

    def ready(self) -> None:
        """Wait until the collector is connected to the broker."""
        wait_until(lambda: b"broker: connected" in self.collector.log.read_bytes(), 30, "the collector connects")

    def count(self, sql: str) -> int:
        """A number from the relational database."""
        engine = create_engine(f"sqlite:///{self.state / 'collector.sqlite'}")
        try:
            with engine.connect() as db:
                return int(db.execute(text(sql)).scalar_one())
        finally:
            engine.dispose()
