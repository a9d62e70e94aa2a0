"""Several collectors on one Mosquitto, PostgreSQL and InfluxDB, as real processes; and who listens to their alerts."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from ports import free_port
from processes import FLEET, Centre, Program, wait_until
from servers import POSTGRESQL_PASSWORD, influxd, postgresql

from collector.settings import Settings, load
from collector.state import database, now_ms
from collector.web.access import Access, Role


class Collector(Program):
    """One of several: a process with settings and a page of its own."""

    def __init__(self, name: str, folder: Path, settings: str) -> None:
        self.port = free_port()
        self.file = folder / f"{name}.yaml"
        self.file.write_text(f"state: {folder / name}\n{settings}web: {{port: {self.port}}}\n")
        super().__init__(name, [sys.executable, "-m", "collector", "run", str(self.file)], folder)

    def ready(self) -> None:
        """Wait until it is connected to the broker since its last start."""
        wait_until(lambda: b"broker: connected" in self.log.read_bytes()[self._began :], 30, f"{self.name} connects")

    def start(self) -> None:
        """Start it; its output is added to the log."""
        self._began = self.log.stat().st_size if self.log.exists() else 0
        super().start()


class Collectors:
    """A centre with several collectors; everything in one folder."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self.folder = folder
        self.broker = Centre(folder, "mosquitto")
        assert self.broker.mosquitto is not None
        self.mosquitto = self.broker.mosquitto
        self._ports = free_port(), free_port()
        secret = folder / "database.secret"
        secret.write_text(POSTGRESQL_PASSWORD)
        secret.chmod(0o600)
        settings = (
            f"fleet: {FLEET}\nplates: {{keep_days: 3650, keep_hit_days: 3650}}\n"
            f"broker: {{kind: external, host: 127.0.0.1, port: {self.broker.mqtt_port}, share: collectors, "
            f"password_file: {folder / 'collector.secret'}}}\n"
            f"database: {{kind: postgresql, port: {self._ports[0]}, password_file: {secret}}}\n"
            f"store: {{kind: influx1, url: 'http://127.0.0.1:{self._ports[1]}', database: island}}\n"
        )
        self.collectors = [Collector(f"collector-{i}", folder, settings) for i in range(1, count + 1)]

    @property
    def settings(self) -> Settings:
        """Those of the first."""
        return load(self.collectors[0].file)

    @contextmanager
    def servers(self) -> Iterator[None]:
        """Database, store and broker run; boxes are enrolled before."""
        with ExitStack() as stack:
            stack.enter_context(postgresql(self.folder, self._ports[0]))
            stack.enter_context(influxd(self.folder, self._ports[1]))
            self.influx("CREATE DATABASE island")
            stack.enter_context(self.mosquitto)
            yield

    @contextmanager
    def running(self) -> Iterator[None]:
        """All collectors run, with what they need."""
        with self.servers(), ExitStack() as stack:
            for collector in self.collectors:
                stack.enter_context(collector)
            for collector in self.collectors:
                collector.ready()
            yield

    def influx(self, query: str) -> Any:
        """What InfluxDB answers."""
        url = f"http://127.0.0.1:{self._ports[1]}/query?db=island&epoch=ms"
        form = f"q={query}".encode()
        with urlopen(Request(url, form), timeout=30) as answer:
            return json.load(answer)

    def token(self, role: Role) -> str:
        """A new token."""
        engine = database(self.settings)
        try:
            return Access(engine).issue(role, role, now_ms())
        finally:
            engine.dispose()


class Listener:
    """Somebody who listens to one collector's stream of alerts, and comes back with `Last-Event-ID`."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self.shown: list[tuple[int, float]] = []
        """Id of each alert, and when it was shown (time.time)."""
        self._ended = False
        self.listens = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self.listens.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join(20)

    def _run(self) -> None:
        while not self._ended:
            try:
                self._listen()
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)

    def _listen(self) -> None:
        last = {"Last-Event-ID": str(self.shown[-1][0] if self.shown else 0)}
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)) as connection:
            headers = {"Authorization": f"Bearer {self._token}", **last}
            connection.request("GET", "/api/v1/alerts/stream", headers=headers)
            answer = connection.getresponse()
            while not self._ended:
                line = answer.readline()
                if not line:
                    return
                self.listens.set()
                if line.startswith(b"id: "):
                    self.shown.append((int(line[4:]), time.time()))
