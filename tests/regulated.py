"""Stations that send the regulator's files, for tests: settings, samples in a real store, a spool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from city import FLEET
from sqlalchemy import Engine

from collector.averages.touched import Touched
from collector.database import open_database
from collector.points import Frame
from collector.regulator.maker import CONSUMER, Maker
from collector.regulator.settings import Ftp, Parameter, RegulatorSettings, Server, Station
from collector.regulator.spool import Spool
from collector.stores.duckdb import DuckStore

CYCLE = 300_000
NOON = 1_795_323_600_000
"""2026-11-22 12:00 on the island, 05:00 UTC."""
MINUTE = 60_000

SERVER = Ftp(
    host="127.0.0.1", user="pq", password_file="/nonexistent", province="AG", folder="/in/{station}/{yyyy}/{MM}/{dd}",
    stamp="end", missing="leave_out", line_end="crlf",
)  # fmt: skip
AIR = Station(
    code="KHI001",
    facility="PQ01",
    server="department",
    parameters={
        "pm2_5": Parameter(symbol="PM2,5", unit="ug/Nm3", decimals=1),
        "co": Parameter(symbol="CO", unit="mg/Nm3", decimals=2, factor=0.001),
    },
)
SEA = Station(
    code="NUO001", facility="PQ02", server="department",
    parameters={"ph": Parameter(symbol="pH", unit="-", decimals=2)},
)  # fmt: skip


def regulated(server: Server = SERVER, **changes: Any) -> RegulatorSettings:
    """Settings of a station `air-01` and a station `sea-01` that send to one server."""
    both = {"air-01": AIR, "sea-01": SEA}
    return RegulatorSettings(**{"servers": {"department": server}, "stations": both, "settle_s": 60, **changes})


class Spooling:
    """A store, what is touched in it, and a spool; in a folder."""

    def __init__(self, folder: Path, settings: RegulatorSettings, engine: Engine | None = None) -> None:
        self.engine: Engine = engine or open_database(f"sqlite:///{folder / 'collector.sqlite'}")
        self.store = DuckStore(folder / "points.duckdb")
        self.touched = Touched(self.engine, {CONSUMER: settings.cycle_ms})
        self.spool = Spool(self.engine)
        self.maker = self.a_maker(settings)

    def a_maker(self, settings: RegulatorSettings) -> Maker:
        """A maker as after a start of the collector."""
        media = {name: FLEET[name].medium or "air" for name in settings.stations}
        return Maker(settings, media, self.store, self.touched, self.spool)

    def measure(
        self, station: str, at: Sequence[int], values: Mapping[str, Sequence[float | None]], **codes: Sequence[int]
    ) -> None:
        """Store samples and note that, as the sinks do; `pm2_5_flag=...`, `pm2_5_status=...`, else flag 1, status 0."""
        times, box = np.array(at, np.int64), FLEET[station]
        assert box.medium is not None
        fields: dict[str, Any] = {}
        for name, column in values.items():
            fields[name] = np.array([np.nan if value is None else value for value in column])
            fields[f"{name}_flag"] = np.array([9 if value is None else 1 for value in column], np.uint8)
        fields |= {name: np.array(column, np.uint8) for name, column in codes.items()}
        tags = {"station": station, "site": box.site}
        self.store.write([Frame(measurement=box.medium, tags=tags, at=times, fields=fields)])
        self.touched.note([(station, times)])

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()
        self.engine.dispose()
