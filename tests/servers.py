"""Real servers for tests: each in a folder and on a loopback port of its own, stopped by its process id.

    with mosquitto(tmp_path) as broker: ... broker.port
    with influxd(tmp_path) as influx: ... influx.url
    with postgresql(tmp_path) as database: ... database.port

They block while they start, so in an asyncio test use them before the loop matters or in a fixture.
"""

from __future__ import annotations

import contextlib
import os
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
def influxd(folder: Path, port: int | None = None, *, auth: bool = False, program: str = "influxd") -> Iterator[Server]:
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
    with _running("influxd", [_program(program), "-config", str(file)], port, home) as server:
        yield server


@contextlib.contextmanager
def victoria_metrics(folder: Path, port: int | None = None, *, flags: Sequence[str] = ()) -> Iterator[Server]:
    """Debian's VictoriaMetrics 1.79: `/write` takes points; `/internal/force_flush`, then `/api/v1/export`."""
    port = port or free_port()
    home = _folder(folder, "victoria-metrics")
    command = [
        _program("victoria-metrics"),
        f"-storageDataPath={home}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-dedup.minScrapeInterval=1ms",
        "-memory.allowedBytes=128MB",
        *flags,
    ]
    with _running("victoria-metrics", command, port, home) as server:
        yield server


POSTGRESQL_USER, POSTGRESQL_PASSWORD = "collector", "a password of the tests"


@contextlib.contextmanager
def postgresql(folder: Path, port: int | None = None, *, max_connections: int = 100) -> Iterator[Server]:
    """Debian's PostgreSQL with the database `collector` and a user of that name, who owns the cluster.

    It refuses to run as root; then it is the user `postgres` with root's right to pass through the test's folders.
    """
    port = port or free_port()
    home = _folder(folder, "postgresql")
    data = home / "data"
    rights: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
        rights = [_program("setpriv"), "--reuid=postgres", "--regid=postgres", "--init-groups"]
        rights += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    if not data.exists():
        secret = home / "password"
        secret.write_text(POSTGRESQL_PASSWORD)
        make = [_postgresql("initdb"), "-D", str(data), "-U", POSTGRESQL_USER, f"--pwfile={secret}", "--no-sync"]
        make += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        made = subprocess.run([*rights, *make], capture_output=True, text=True, cwd=home, check=False)
        if made.returncode:
            raise ServerError(f"initdb: {made.stdout}{made.stderr}")
        single = [_postgresql("postgres"), "--single", "-D", str(data), "postgres"]
        subprocess.run(
            [*rights, *single], input=b"CREATE DATABASE collector\n", capture_output=True, check=True, cwd=home
        )
    command = [*rights, _postgresql("postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    command += ["-c", "unix_socket_directories=", "-c", f"max_connections={max_connections}"]
    with _running("postgresql", command, port, home, stop=signal.SIGINT) as server:
        deadline = time.monotonic() + START_S
        ready = [_postgresql("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode and time.monotonic() < deadline:
            time.sleep(0.02)  # it listens before it has recovered from a kill -9
        yield server


def _postgresql(name: str) -> str:
    """A program of the newest version that is installed; Debian keeps them out of the way."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else _program(name)


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
def _running(
    name: str, command: Sequence[str], port: int, home: Path, *, stop: signal.Signals = signal.SIGTERM
) -> Iterator[Server]:
    log = home / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=home)
    try:
        _wait(name, process, port, log)
        yield Server(name=name, port=port, process=process, log=log)
    finally:
        process.send_signal(stop)
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
