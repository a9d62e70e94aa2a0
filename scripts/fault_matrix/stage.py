"""A stage: a broker, a store, a database, collectors and boxes, in one folder and on loopback."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from collector.alerts.watchlist import Watchlist
from collector.credentials import enrol_all
from collector.database import open_database
from edge_agent.clock import now_ms
from scripts.fault_matrix.box import Box
from scripts.fault_matrix.cable import Cable, can_lay_cables
from scripts.fault_matrix.databases import postgresql, sqlite
from scripts.fault_matrix.disks import Disk, Folder
from scripts.fault_matrix.fleet import BOXES, write_fleet
from scripts.fault_matrix.kinds import Kind
from scripts.fault_matrix.link import Link
from scripts.fault_matrix.numbered import WATCHED
from scripts.fault_matrix.programs import Program, free_ports
from scripts.fault_matrix.servers import mosquitto
from scripts.fault_matrix.stores import DuckDb, Influx1, Store, Victoria

CENTRE_MB = 256
CABLED = "air-02"
"""This box has a network of its own, with TLS, where the machine can make one and the broker is Mosquitto."""
YEAR_MS = 365 * 86_400_000


class Stage:
    """The parts of a stage; `start` starts them, `close` ends them whatever happened."""

    def __init__(self, kind: Kind, folder: Path, seed: int, *, real_disks: bool, broken: str = "") -> None:
        self.kind = kind
        self.folder = folder
        self.chance = random.Random(seed)
        self.busy = threading.Lock()
        """Taken by a fault that works on the centre."""
        self.deleted: set[tuple[str, int]] = set()
        """Passes, by camera and number, whose sightings and alerts were deleted: they must not come back."""
        folder.mkdir(parents=True)
        self._undo = ExitStack()
        self._broken = broken
        with self._undo as undo:  # unless all of it comes into being
            self._make(real_disks)
            self._undo = undo.pop_all()

    def _make(self, real_disks: bool) -> None:
        kind, folder = self.kind, self.folder
        disk = folder / "centre"
        self.disk: Disk | Folder = Disk(disk, CENTRE_MB) if real_disks else Folder(disk)
        self._undo.callback(self.disk.close)
        self._ports = iter(free_ports(16))
        self._broker_port = next(self._ports)
        names = [f"collector-{number + 1}" for number in range(kind.collectors)]
        self.links = {
            name: Link(name, next(self._ports), self._broker_port, self.chance.randrange(2**32))
            for name in (*names, *BOXES)
        }
        self.cables: dict[str, Cable] = {}
        """Of boxes that have a network of their own; the others have links."""
        if kind.broker == "mosquitto" and can_lay_cables():
            del self.links[CABLED]
            self.cables[CABLED] = Cable(CABLED).open()
            self._undo.callback(self.cables[CABLED].close)
        self.fleet = folder / "fleet"
        self._passwords = self.disk.path / "state" / "boxes.passwords"
        self._secrets = enrol_all(self._passwords, [*names, *BOXES])
        self.broker: Program | None = None
        ca = folder / "authority" / "ca.pem"
        if kind.broker == "mosquitto":
            copied = folder / "mosquitto.passwords"  # the broker's machine has a file of its own
            copied.write_bytes(self._passwords.read_bytes())
            addresses = [cable.address for cable in self.cables.values()]
            self.broker = mosquitto(folder, self._broker_port, copied, names, addresses)
        write_fleet(
            self.fleet,
            {name: f"port: {self.links[name].port}" for name in BOXES if name in self.links}
            | {
                name: f"host: {cable.address}, port: {self._broker_port}, tls: {{ca: {ca}}}"
                for name, cable in self.cables.items()
            },
            self._secrets,
        )
        self.store = self._store()
        home = self.disk.path / "state"
        postgres = kind.database == "postgresql"
        self.database = postgresql(home / "pg", folder, next(self._ports)) if postgres else sqlite(home)
        self.collectors = [self._collector(name) for name in names]
        self.boxes = [self._box(name, real_disks) for name in BOXES]

    @property
    def centre(self) -> list[Program]:
        """The programs of the centre, in the order in which they start."""
        servers = (self.broker, self.store.program, self.database.program)
        return [*(program for program in servers if program is not None), *self.collectors]

    def programs(self) -> Iterator[Program]:
        """Every program."""
        yield from self.centre
        for box in self.boxes:
            yield from box.programs

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        for link in self.links.values():
            link.open()
            self._undo.callback(link.close)
        if self.store.proxy is not None:
            self._undo.enter_context(self.store.proxy)
        for program in self.centre:
            program.start()
            if program not in self.collectors:
                program.ready()
        self.store.ready()
        for program in self.collectors:
            program.ready(60)
        engine = open_database(self.database.url)
        now = now_ms()
        Watchlist(engine).add(pattern=WATCHED, reason="matrix", officer="matrix", expires=now + YEAR_MS, now=now)
        engine.dispose()
        for box in self.boxes:
            box.program.start()

    def close(self) -> None:
        """End everything and unmount the disks."""
        for program in self.programs():
            program.kill()
        self._undo.close()

    def _box(self, name: str, real_disk: bool) -> Box:
        link = self.links.get(name) or self.cables[name]
        file = self.fleet / "devices" / f"{name}.yaml"
        box = Box(name, self.folder / name, file, link, real_disk=real_disk, broken=self._broken)
        self._undo.callback(box.close)
        return box

    def _store(self) -> Store:
        home = self.disk.path / "state"
        match self.kind.store:
            case "duckdb":
                return DuckDb(home / "timeseries.duckdb", lambda: self.collectors[0])
            case "influx1":
                return Influx1(home / "influx", self.folder, (next(self._ports), next(self._ports)))
            case _:
                return Victoria(home / "victoria", self.folder, next(self._ports))

    def _collector(self, name: str) -> Program:
        state = self.disk.path / "state"
        if self.kind.collectors > 1:
            state = state / name
        broker = f"kind: embedded, port: {self._broker_port}"
        if self.broker is not None:
            secret = self.folder / f"{name}.secret"
            secret.touch(mode=0o600)
            secret.write_text(self._secrets[name])
            broker = f"kind: external, host: 127.0.0.1, port: {self.links[name].port}, user: {name}"
            broker += f", password_file: {secret}"
            if self.kind.collectors > 1:
                broker += ", share: matrix"
        port = next(self._ports)
        settings = self.folder / f"{name}.yaml"
        settings.write_text(
            f"state: {state}\nfleet: {self.fleet}\nplates: {{keep_days: 3650, keep_hit_days: 3650}}\n"
            f"broker: {{{broker}}}\nstore: {{{self.store.settings}}}\ndatabase: {{{self.database.settings}}}\n"
            f"web: {{port: {port}}}\n"
        )
        module = (
            ["-m", "scripts.fault_matrix.broken", self._broken, "collector"] if self._broken else ["-m", "collector"]
        )
        return Program(name, [sys.executable, *module, "run", str(settings)], self.folder, port=port)
