"""A whole centre on this machine for the load: Mosquitto, a store and the collector, each a process of its own."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil
from sqlalchemy import text

from collector.alerts.watchlist import Watchlist
from collector.authority import Authority
from collector.credentials import access_list
from collector.database import open_database
from collector.state import now_ms
from edge_agent.contract.device import COLLECTOR
from scripts.fault_matrix.programs import free_ports
from scripts.fault_matrix.servers import influxd_settings, program
from scripts.load_generator.fleet import PASSWORDS, SECRETS
from scripts.load_generator.mix import WATCHED

STORES = ("duckdb", "victoria-metrics", "influxdb")
_ROOT = Path(__file__).parents[2]
START_S = 120.0
STOP_S = 15.0
DAY = 86_400_000


class CentreError(Exception):
    """A part of the centre does not run; the text says which and why."""


class Centre:
    """The processes, by name: `mosquitto`, the store's unless it is DuckDB, `collector`. They end with the context."""

    def __init__(self, folder: Path, fleet: Path, store: str = "victoria-metrics", *, tls: bool = False) -> None:
        """`folder` exists; `fleet` is one that `make_fleet` wrote. Raises CentreError where a program is missing."""
        if store not in STORES:
            raise CentreError(f"{store} is not a store; choose one of {', '.join(STORES)}")
        self.folder, self.fleet = folder, fleet
        self._authority = Authority(folder / "authority") if tls else None
        self.ca = self._authority.ca if self._authority else None
        """The certificate of who signed the broker's, if it speaks TLS."""
        self.mqtt_port, self.web_port, store_port, other = free_ports(4)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._commands = {
            "mosquitto": [_program("mosquitto"), "-c", str(self._mosquitto())],
            **_store(store, folder, store_port, other),
            "collector": [sys.executable, "-m", "collector", "run", str(self._collector(store, store_port))],
        }
        self.ports = {"mosquitto": self.mqtt_port, store: store_port}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._end)
            _watch_for_the_plate(self.folder / "state")
            for name in self._commands:
                self.start(name)
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def start(self, name: str) -> None:
        """Start a part and wait until it works. Raises CentreError."""
        began = time.monotonic()
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            heard = out.tell()
            child = subprocess.Popen(self._commands[name], stdout=out, stderr=out, cwd=_ROOT, env=_environment())
        self.processes[name] = child
        while not self._works(name, log, heard):
            if child.poll() is not None or time.monotonic() > began + START_S:
                raise CentreError(f"{name} does not work:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a part."""
        child = self.processes.pop(name)
        child.send_signal(signal.SIGCONT)
        child.send_signal(number)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_S)

    def cost(self, name: str) -> tuple[float, float]:
        """Processor seconds so far and resident megabytes of a part."""
        process = psutil.Process(self.processes[name].pid)
        times = process.cpu_times()
        return times.user + times.system, process.memory_info().rss / 1e6

    def lost(self) -> int:
        """Events that the ledger has as lost: a receipt says that an event is dealt with, this says how."""
        engine = open_database(f"sqlite:///{self.folder / 'state' / 'collector.sqlite'}")
        try:
            with engine.connect() as db:
                return int(db.execute(text("SELECT coalesce(sum(last - first + 1), 0) FROM ledger_lost")).scalar_one())
        finally:
            engine.dispose()

    def _works(self, name: str, log: Path, heard: int) -> bool:
        if name == COLLECTOR:
            return b"broker: connected" in log.read_bytes()[heard:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[name]), 0.5):
            return True
        return False

    def _end(self) -> None:
        for name in list(self.processes)[::-1]:
            self.stop(name)

    def _mosquitto(self) -> Path:
        (self.folder / "access").write_text(access_list())
        (self.folder / "access").chmod(0o700)
        file = self.folder / "mosquitto.conf"
        file.write_text(
            f"listener {self.mqtt_port} 127.0.0.1\nuser root\nallow_anonymous false\n"
            f"password_file {self.fleet / PASSWORDS}\nacl_file {self.folder / 'access'}\n"
            + self._certificate()
            + "set_tcp_nodelay true\nmax_queued_messages 20000\nmax_queued_bytes 64000000\nmessage_size_limit 300000\n"
        )
        return file

    def _certificate(self) -> str:
        if self._authority is None:
            return ""
        certificate, key = self._authority.issue("broker", days=1, addresses=["127.0.0.1"])
        return f"cafile {self.ca}\ncertfile {certificate}\nkeyfile {key}\n"

    def _collector(self, store: str, store_port: int) -> Path:
        secret = self.folder / "collector.secret"
        secret.touch(mode=0o600)
        secret.write_text(msgspec.json.decode((self.fleet / SECRETS).read_bytes(), type=dict[str, str])[COLLECTOR])
        kinds = {
            "duckdb": "kind: duckdb",
            "victoria-metrics": f"kind: victoriametrics, url: http://127.0.0.1:{store_port}",
            "influxdb": f"kind: influx1, url: http://127.0.0.1:{store_port}, database: load",
        }
        file = self.folder / "collector.yaml"
        tls = f", tls: {{ca: {self.ca}}}" if self.ca else ""
        file.write_text(
            f"state: {self.folder / 'state'}\nfleet: {self.fleet}\nplates: {{keep_days: 1, keep_hit_days: 1}}\n"
            f"broker: {{kind: external, host: 127.0.0.1, port: {self.mqtt_port}, password_file: {secret}{tls}}}\n"
            f"store: {{{kinds[store]}}}\nweb: {{port: {self.web_port}}}\n"
        )
        return file


def allow_many_files(needed: int) -> None:
    """Raise the process's own limit of open files, which its children inherit. Raises CentreError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(hard, needed)))
        except (ValueError, OSError) as error:
            raise CentreError(
                f"{needed} open files are needed and {hard} are allowed; raise it as root: ulimit -n {needed}"
            ) from error


def _watch_for_the_plate(state: Path) -> None:
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_database(f"sqlite:///{state / 'collector.sqlite'}")
    now = now_ms()
    Watchlist(engine).add(pattern=WATCHED, reason="load", officer="load", expires=now + DAY, now=now)
    engine.dispose()


def _store(store: str, folder: Path, port: int, other: int) -> dict[str, list[str]]:
    if store == "duckdb":
        return {}
    home = folder / store
    home.mkdir(exist_ok=True)
    if store == "victoria-metrics":
        options = [f"-storageDataPath={home}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
        options.append("-dedup.minScrapeInterval=1ms")  # as docs/reliability/stores.md has it
        return {store: [_program(store), *options, "-memory.allowedBytes=256MB"]}
    file = home / "influxd.conf"
    file.write_text(influxd_settings(home, port, other))
    return {store: [_program("influxd"), "-config", str(file)]}


def _program(name: str) -> str:
    try:
        return program(name)
    except FileNotFoundError as error:
        raise CentreError(f"{error}; scripts/load installs it") from error


def _environment() -> dict[str, str]:
    """Compiled modules are kept: compiling them at each start is not what is measured."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
