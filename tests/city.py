"""A small city for tests: a fleet, a desk, a store and a real web server on a free loopback port."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from aiohttp import ClientSession, web
from sqlalchemy import Engine

from collector.alerts.desk import PlateDesk
from collector.alerts.sightings import sighting
from collector.averages.ask import Averages
from collector.averages.means import Rule
from collector.averages.paces import Paces
from collector.averages.source import Source
from collector.commands import Commands
from collector.database import open_database
from collector.ledger import Ledger
from collector.live import Live
from collector.live_box import LatestReading
from collector.local_time import local_day
from collector.points import Frame
from collector.quality import QualitySettings
from collector.regulator.job import Regulator
from collector.reports.day import Reports
from collector.standards.exceedances import Exceedances
from collector.standards.table import Standards, read_limits
from collector.stores.duckdb import DuckStore
from collector.web.access import ROLES, Access
from collector.web.app import make_app
from collector.web.context import Context
from collector.web.door import listen
from edge_agent.contract.device import Box, Position
from edge_agent.contract.events import Answer, BoxStatus, Command, PlateRead
from edge_agent.contract.topics import Topic, up

CONFIGS = Path(__file__).parent.parent / "firmware_configs"
NOON = 1_795_323_600_000
"""2026-11-22 12:00 on the island, 05:00 UTC."""
HOUR = 3_600_000
DAY = 24 * HOUR


def box(device: str, label: str, **kind: Any) -> Box:
    """A box of the fleet."""
    values: dict[str, Any] = {"medium": None, "camera": False, "access_point": False} | kind
    place = Position(lat=10.2172, lon=103.9564)
    return Box(device=device, type="any-a", site="duong-dong", label=label, position=place, **values)


FLEET = {
    "air-01": box("air-01", "Trạm khí Dương Đông", medium="air"),
    "sea-01": box("sea-01", "Trạm biển Bãi Trường", medium="seawater"),
    "cam-01": box("cam-01", "Ngã ba Hùng Vương", camera=True),
    "ap-01": box("ap-01", "Chợ đêm", access_point=True),
}


def jpeg(text: str = "68A12345", width: int = 240) -> bytes:
    """A small picture with the plate's text."""
    frame = np.full((width // 2, width, 3), 90, np.uint8)
    cv2.rectangle(frame, (15, 35), (width - 15, 85), (245, 245, 245), -1)
    cv2.putText(frame, text, (22, 72), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 20), 3, cv2.LINE_AA)
    return cv2.imencode(".jpg", frame)[1].tobytes()


def plate(text: str = "68A12345", raw: str | None = None, at: int = NOON, **changes: Any) -> PlateRead:
    """A plate event."""
    raw = text if raw is None else raw
    values: dict[str, Any] = {
        "at": at,
        "text": text,
        "raw": raw,
        "confidence": 0.97,
        "char_confidence": (98,) * len(raw),
        "valid": True,
        "classes": ("car",),
        "colour": "white",
        "layout": "one",
        "quad": (10, 20, 200, 20, 200, 70, 10, 70),
        "frame_size": (1280, 720),
        "frames": 7,
        "first": at - 400,
        "last": at + 400,
        "jpeg": b"\xff\xd8picture of " + text.encode(),
    }
    return PlateRead(**(values | changes))


class City:
    """The collector's parts with a clock that stands still until it is moved."""

    def __init__(self, folder: Path, engine: Engine | None = None) -> None:
        self.time = NOON
        self.engine = engine or open_database(f"sqlite:///{folder / 'collector.sqlite'}")
        self.desk = PlateDesk(self.engine)
        self.access = Access(self.engine)
        self.ledger = Ledger(self.engine)
        self.store = DuckStore(folder / "points.duckdb")
        self.standards = Standards(read_limits(CONFIGS)[0], FLEET.values())
        self.exceedances = Exceedances(self.engine, lambda station: self.standards.of(station, local_day(self.time)))
        self.paces = Paces(self.engine)
        self.live = Live(FLEET, now=lambda: self.time)
        self.counters: Counter[str] = Counter({'packs_total{kind="plates"}': 3, "receipts_total": 3})
        self.tokens = {role: self.access.issue(f"{role}-1", role, NOON) for role in ROLES}
        self.commands = Commands(self._box, limit_s=0.2)
        self.obeys = True
        """Whether the boxes answer commands; they have a sensor `ph` and nothing else."""
        self.regulator: Regulator | None = None
        self.url = ""

    def _box(self, topic: str, payload: bytes) -> None:
        """What a box that is online does with a command."""
        command = msgspec.msgpack.decode(payload, type=Command)
        ok = command.order.sensor == "ph"
        answer = Answer(id=command.id, ok=ok, vi="xong" if ok else "không có", en="done" if ok else "there is none")
        if self.obeys:
            self.commands.answered(up(Topic.parse(topic).device, "answer"), msgspec.msgpack.encode(answer))

    def measure(self, device: str, quantity: str, values: list[float], flags: list[int], step: int = 60_000) -> None:
        """Store values of one quantity, the last of them now."""
        medium = FLEET[device].medium
        assert medium is not None
        at = np.arange(self.time - step * (len(values) - 1), self.time + 1, step, dtype=np.int64)
        fields = {quantity: np.array(values), f"{quantity}_flag": np.array(flags, np.uint8)}
        tags = {"station": device, "site": FLEET[device].site}
        self.store.write([Frame(measurement=medium, tags=tags, at=at, fields=fields)])

    def arrive(self, number: int, read: PlateRead) -> int:
        """Let a plate come in as the intake does; how many alerts are new."""
        camera = FLEET["cam-01"]
        alerts = self.desk.take(camera, 7, [(number, read)], self.time)
        self.live.saw("cam-01", read.at, self.time)
        self.live.plates([sighting(camera, 7, number, read, self.time)])
        self.live.alerts(alerts)
        return len(alerts)

    def watch(self, pattern: str, **changes: Any) -> int:
        """Put a pattern on the watchlist; the entry's number."""
        values = {"reason": "xe mất cắp", "officer": "CA-0417", "expires": self.time + DAY, "now": self.time}
        return self.desk.watchlist.add(pattern=pattern, **(values | changes)).id

    def morning(self) -> None:
        """A quiet morning: some devices, some readings of every flag, one station that went silent."""
        for device in ("air-01", "cam-01"):
            self.live.status(device, BoxStatus(online=True, at=self.time, version="0.1.0", outbox=1))
            self.live.saw(device, self.time - 4_000, self.time)
        self.live.saw("sea-01", self.time - HOUR, self.time - HOUR)
        self.live.status("ap-01", BoxStatus(online=False, at=self.time, version="0.1.0", outbox=1))
        air = (("pm2_5", 23.4, 1), ("pm10", 1840.0, 3), ("no2", 6100.0, 4), ("humidity", None, 9), ("noise", 54.2, 2))
        self.live.readings(FLEET["air-01"], [self.latest(*values) for values in air])
        self.live.readings(FLEET["sea-01"], [self.latest("salinity", 31.27, 1), self.latest("ph", 8.112, 1)])

    def latest(self, quantity: str, value: float | None, flag: int, status: int = 0) -> LatestReading:
        """A newest value."""
        return LatestReading(quantity=quantity, at=self.time - 4_000, value=value, flag=flag, status=status)

    def session(self, role: str | None) -> ClientSession:
        """A client with the role's token; None: without."""
        headers = {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}
        return ClientSession(self.url, headers=headers)

    async def get(self, role: str, path: str, status: int = 200, **query: str) -> Any:
        """One answer of the API as JSON."""
        async with self.session(role) as client, client.get(path, params=query) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    @property
    def context(self) -> Context:
        """What the web part is given."""
        source = Source(store=self.store, paces=self.paces, rule=Rule(75))
        averages = Averages(fleet=FLEET, source=source, literal_nowcast=False, now=lambda: self.time)
        return Context(
            fleet=FLEET,
            live=self.live,
            store=self.store,
            desk=self.desk,
            access=self.access,
            averages=averages,
            reports=Reports(
                store=self.store,
                averages=averages,
                standards=self.standards,
                exceedances=self.exceedances,
                quality=QualitySettings(),
            ),
            standards=self.standards,
            exceedances=self.exceedances,
            alarm_on=("certain",),
            ledger=self.ledger,
            commands=self.commands,
            regulator=self.regulator,
            counters=self.counters,
            now=lambda: self.time,
        )

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve it while the context lasts."""
        runner = web.AppRunner(make_app(self.context), shutdown_timeout=2)
        await runner.setup()
        try:
            server = await listen(runner, "127.0.0.1", 0)
            host, port = server.sockets[0].getsockname()[:2]
            self.url = f"http://{host}:{port}"
            yield
            server.close()
        finally:
            await runner.cleanup()

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()
        self.engine.dispose()
