"""Real servers for tests: each in a folder and on a loopback port of its own, stopped by its process id.

    with mosquitto(tmp_path) as broker: ... broker.port
    with influxd(tmp_path) as influx: ... influx.url

They block while they start, so in an asyncio test use them before the loop matters or in a fixture.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ports import free_port

START_S = 30.0
STOP_S = 10.0


class ServerError(Exception):
    """A server did not start."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kill -9, as a power cut does; start it again in the same folder with the same port."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_S)


@contextlib.contextmanager
def mosquitto(folder: Path, config: str = "allow_anonymous true", port: int | None = None) -> Iterator[Server]:
    """Debian's broker; `config` is the rest of its file, behind the listener."""
    port = port or free_port()
    file = _folder(folder, "mosquitto") / "mosquitto.conf"
    file.write_text(f"user root\nlistener {port} 127.0.0.1\n{config}\n")
    with _running("mosquitto", [_program("mosquitto"), "-c", str(file)], port, file.parent) as server:
        yield server


@contextlib.contextmanager
def influxd(folder: Path, port: int | None = None, *, auth: bool = False) -> Iterator[Server]:
    """Debian's InfluxDB 1.6.7, with `/write` and `/query`; with `auth` the first query must make an administrator."""
    port = port or free_port()
    home = _folder(folder, "influxd")
    file = home / "influxd.conf"
    file.write_text(
        f"""
        reporting-disabled = true
        bind-address = "127.0.0.1:{free_port()}"
        [meta]
          dir = "{home}/meta"
        [data]
          dir = "{home}/data"
          wal-dir = "{home}/wal"
        [http]
          bind-address = "127.0.0.1:{port}"
          auth-enabled = {str(auth).lower()}
        [monitor]
          store-enabled = false
        """
    )
    with _running("influxd", [_program("influxd"), "-config", str(file)], port, home) as server:
        yield server


@contextlib.contextmanager
def victoria_metrics(folder: Path, port: int | None = None) -> Iterator[Server]:
    """Debian's VictoriaMetrics 1.79: `/api/v2/write` takes points; `/internal/force_flush`, then `/api/v1/export`."""
    port = port or free_port()
    home = _folder(folder, "victoria-metrics")
    command = [
        _program("victoria-metrics"),
        f"-storageDataPath={home}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=128MB",
    ]
    with _running("victoria-metrics", command, port, home) as server:
        yield server


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        raise ServerError(f"{name} is not installed; scripts/test installs it")
    return found


def _folder(folder: Path, name: str) -> Path:
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextlib.contextmanager
def _running(name: str, command: Sequence[str], port: int, home: Path) -> Iterator[Server]:
    log = home / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=home)
    try:
        _wait(name, process, port, log)
        yield Server(name=name, port=port, process=process, log=log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _wait(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until it takes connections."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.02)
    tail = log.read_text(errors="replace")[-2000:]
    raise ServerError(f"{name} does not listen on {port} (exit status {process.poll()}):\n{tail}")
