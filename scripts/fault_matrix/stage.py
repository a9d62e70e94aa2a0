"""A stage: a broker, a store, collectors and boxes, in one folder and on loopback."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from collector.alerts.watchlist import Watchlist
from collector.credentials import enrol, enrol_all
from collector.database import open_database
from edge_agent.clock import now_ms
from scripts.fault_matrix.box import Box
from scripts.fault_matrix.disks import Disk, Folder
from scripts.fault_matrix.fleet import BOXES, write_fleet
from scripts.fault_matrix.link import Link
from scripts.fault_matrix.numbered import WATCHED
from scripts.fault_matrix.programs import Program, free_ports
from scripts.fault_matrix.servers import mosquitto
from scripts.fault_matrix.stored import Stored, duckdb_points

CENTRE_MB = 160
YEAR_MS = 365 * 86_400_000


class Kind(NamedTuple):
    """Of which parts a stage is made."""

    broker: Literal["mosquitto", "amqtt"]
    store: Literal["duckdb", "influx1", "victoria"]

    @property
    def name(self) -> str:
        """By which it is asked for."""
        return f"{self.broker}-{self.store}"


KINDS = (Kind("mosquitto", "duckdb"),)


class Stage:
    """The parts of a stage; `start` starts them, `close` ends them whatever happened."""

    def __init__(self, kind: Kind, folder: Path, seed: int, *, real_disks: bool, broken: str = "") -> None:
        self.kind = kind
        self.folder = folder
        self.chance = random.Random(seed)
        self.busy = threading.Lock()
        """Taken by a fault that works on the centre."""
        folder.mkdir(parents=True)
        self.disk: Disk | Folder = (Disk if real_disks else lambda path, _: Folder(path))(folder / "centre", CENTRE_MB)
        self.state = self.disk.path / "state"
        broker_port, web_port, *ports = free_ports(2 + 1 + len(BOXES))
        self.links = {
            name: Link(name, port, broker_port, self.chance.randrange(2**32))
            for name, port in zip(("collector", *BOXES), ports, strict=True)
        }
        passwords = self.state / "boxes.passwords"
        secrets = enrol_all(passwords, BOXES)
        fleet = folder / "fleet"
        write_fleet(fleet, {name: self.links[name].port for name in BOXES}, secrets)
        self.broker: Program | None = None
        broker = f"{{kind: embedded, port: {broker_port}}}"
        if kind.broker == "mosquitto":
            secret = folder / "collector.secret"
            secret.touch(mode=0o600)
            secret.write_text(enrol(passwords, "collector"))
            # the broker's machine has a password file of its own
            copied = folder / "mosquitto.passwords"
            copied.write_bytes(passwords.read_bytes())
            self.broker = mosquitto(folder, broker_port, copied)
            port = self.links["collector"].port
            broker = f"{{kind: external, host: 127.0.0.1, port: {port}, password_file: {secret}}}"
        self.settings = folder / "collector.yaml"
        self.settings.write_text(
            f"state: {self.state}\nfleet: {fleet}\nplates: {{keep_days: 3650, keep_hit_days: 3650}}\n"
            f"broker: {broker}\nstore: {{kind: duckdb}}\nweb: {{port: {web_port}}}\n"
        )
        module = ["-m", "scripts.fault_matrix.broken", broken, "collector"] if broken else ["-m", "collector"]
        run = [sys.executable, *module, "run", str(self.settings)]
        self.collector = Program("collector", run, folder, port=web_port)
        self.database = f"sqlite:///{self.state / 'collector.sqlite'}"
        self.boxes = [
            Box(
                name,
                folder / name,
                fleet / "devices" / f"{name}.yaml",
                self.links[name],
                real_disk=real_disks,
                broken=broken,
            )
            for name in BOXES
        ]

    @property
    def centre(self) -> list[Program]:
        """The programs of the centre, in the order in which they start."""
        return [program for program in (self.broker, self.collector) if program is not None]

    def programs(self) -> Iterator[Program]:
        """Every program."""
        yield from self.centre
        for box in self.boxes:
            yield from box.programs

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        engine = open_database(self.database)
        now = now_ms()
        Watchlist(engine).add(pattern=WATCHED, reason="matrix", officer="matrix", expires=now + YEAR_MS, now=now)
        engine.dispose()
        for link in self.links.values():
            link.open()
        for program in self.centre:
            program.start()
            program.ready()
        for box in self.boxes:
            box.program.start()

    def points(self) -> list[Stored]:
        """Every point in the store. Raises OSError where it does not answer."""
        self.collector.freeze()  # an embedded store's file belongs to the collector
        try:
            return duckdb_points(self.state / "timeseries.duckdb")
        finally:
            self.collector.thaw()

    def close(self) -> None:
        """End everything and unmount the disks."""
        for program in self.programs():
            program.thaw()
            program.kill()
        for link in self.links.values():
            link.close()
        for box in self.boxes:
            box.close()
        self.disk.close()
