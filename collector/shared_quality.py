"""What is remembered of each box for its quality flags, in the database, for collectors that take turns with its packs.

It is written in the transaction of the ledger, over the version that was read before the judgement. Where another
collector wrote meanwhile, neither knows all samples: then nothing is remembered, and the box's series begin anew as
after a restart. So a race costs a flag at most, and never gives a good value one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import blake2b

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Engine, LargeBinary, String, Table

from collector.database import METADATA, rows, with_rows
from collector.quality import Quality, QualitySettings
from collector.quality.sharing import from_bytes, to_bytes

MEMORY = Table(
    "quality_memory",
    METADATA,
    Column("device", String(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("settings", String(16), nullable=False),  # collectors with others do not understand it
    Column("memory", LargeBinary),
)


class SharedQuality:
    """Keeps the memory of `Quality` in step with the other collectors; for PostgreSQL. One thread uses it."""

    def __init__(self, engine: Engine, quality: Quality, settings: QualitySettings) -> None:
        self._engine = engine
        self._quality = quality
        self._settings = blake2b(msgspec.json.encode(settings, order="sorted"), digest_size=8).hexdigest()
        self._versions: dict[str, int] = {}
        self._devices: list[str] = []
        self._written: list[tuple[str, int, bool]] = []
        self._read = with_rows(
            engine.dialect.name,
            "SELECT q.device, q.version, q.settings, q.memory FROM {rows} AS w JOIN quality_memory q "
            "ON q.device = w.device AND q.version <> w.version",
            device="TEXT",
            version="BIGINT",
        )
        self._write = with_rows(
            engine.dialect.name,
            "INSERT INTO quality_memory AS q (device, version, settings, memory) "
            "SELECT device, version + 1, settings, decode(memory, 'base64') FROM {rows} AS w "
            "ON CONFLICT (device) DO UPDATE SET version = q.version + 1, settings = excluded.settings, "
            "memory = CASE WHEN q.version + 1 = excluded.version THEN excluded.memory END "
            "RETURNING q.device, q.version, q.memory IS NULL",
            device="TEXT",
            version="BIGINT",
            settings="TEXT",
            memory="TEXT",
        )

    def recall(self, devices: Iterable[str]) -> None:
        """Before the judgement of some boxes' samples: take over what other collectors remember of them by now."""
        self._devices = sorted(devices)  # in one order for all, lest two collectors wait for each other
        wanted = [(device, self._versions.get(device, 0)) for device in self._devices]
        if not wanted:
            return
        with self._engine.connect() as db:
            found = db.execute(self._read, rows(wanted)).all()
        for device, version, settings, memory in found:
            if memory is None or settings != self._settings:
                self._quality.begin_anew(device)
            else:
                self._quality.recall(device, from_bytes(memory))
            self._versions[device] = version

    def put(self, db: Connection) -> None:
        """In the transaction that enters their packs: write what is remembered of these boxes now."""
        values = [
            (
                device,
                self._versions.get(device, 0),
                self._settings,
                b64encode(to_bytes(self._quality.remembered(device))).decode(),
            )
            for device in self._devices
        ]
        self._written = [(*row,) for row in db.execute(self._write, rows(values))] if values else []

    def kept(self) -> None:
        """After the commit: know what was written, and which boxes begin anew."""
        for device, version, cut in self._written:
            self._versions[device] = version
            if cut:
                self._quality.begin_anew(device)
