"""The stores of a stage: their server, what a collector is told of them, and every point in them, read from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import duckdb

from scripts.fault_matrix.faulty_http import FaultyHttp
from scripts.fault_matrix.numbered import INSTRUMENTS, Made
from scripts.fault_matrix.programs import Program
from scripts.fault_matrix.servers import DATABASE, influxd, make_database, victoria_metrics

Stored = tuple[str, Made]
"""The box and the event as it is stored."""
NAMES = [quantity.name for quantity in INSTRUMENTS.values()]
FIELDS = {"plates": ("camera", "frames"), "health": ("device", "uptime_s")}
"""Measurement of events: the tag that names the box, and the field that is read."""
ASK_S = 20
AHEAD_S = 2 * 86_400
"""No clock of a box is set further ahead."""


class Store(Protocol):
    """A store as a stage needs it."""

    program: Program | None
    """Its server, if it has one."""
    proxy: FaultyHttp | None
    """What spoils the server's answers."""
    settings: str
    """For the collector's file."""
    stays_full: bool
    """Whether the server refuses to write after its disk was full until it is started again."""

    def ready(self) -> None:
        """Its server runs: make what is to be there."""

    def points(self) -> list[Stored]:
        """Every point. Raises OSError where it does not answer."""


class DuckDb:
    """The embedded store; its file belongs to the collector, which is frozen while the file is copied."""

    program: Program | None = None
    proxy: FaultyHttp | None = None
    settings = "kind: duckdb"
    stays_full = False

    def __init__(self, file: Path, collector: Callable[[], Program]) -> None:
        self._file = file
        self._collector = collector

    def ready(self) -> None:
        """Nothing is to be made."""

    def points(self) -> list[Stored]:
        """Every point."""
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.duckdb"
            self._collector().freeze()
            try:
                for suffix in ("", ".wal"):
                    part = Path(f"{self._file}{suffix}")
                    if part.exists():
                        Path(f"{copy}{suffix}").write_bytes(part.read_bytes())
            finally:
                self._collector().thaw()
            with duckdb.connect(str(copy)) as db:
                return list(_rows(db))


class Influx1:
    """InfluxDB 1.6.7 behind a proxy."""

    stays_full = True

    def __init__(self, home: Path, logs: Path, ports: tuple[int, int]) -> None:
        self._url = f"http://127.0.0.1:{ports[0]}"
        self._home = home
        self._port = ports[0]
        self.program: Program | None = influxd(home, logs, ports)
        self.proxy: FaultyHttp | None = (proxy := FaultyHttp(self._url))
        self.settings = f"kind: influx1, url: '{proxy.url}', database: {DATABASE}"

    def ready(self) -> None:
        """Make the database, and bring its first files to the disk, as they are where it has stood for a while.

        InfluxDB does not sync them, and waits for itself for ever where a power cut has left them empty.
        """
        make_database(self._port)
        urlopen(f"{self._url}/write?db={DATABASE}", b"first value=1", timeout=ASK_S).close()
        subprocess.run(["sync", "--file-system", str(self._home)], check=True)

    def points(self) -> list[Stored]:
        """Every point."""
        asked = "; ".join(
            [f"SELECT {name}, station FROM air WHERE {name} > -1" for name in NAMES]
            + [f"SELECT {field}, {tag} FROM {kind}" for kind, (tag, field) in FIELDS.items()]
        )
        question = urlencode({"db": DATABASE, "epoch": "ns", "q": asked})
        found: list[Stored] = []
        for result in _ask(Request(f"{self._url}/query?{question}", method="POST"))["results"]:
            for series in result.get("series", ()):
                _, field, _ = series["columns"]
                found += (
                    (box, _made(series["name"], field, at // 1_000_000, value)) for at, value, box in series["values"]
                )
        return found


class Victoria:
    """VictoriaMetrics behind a proxy."""

    stays_full = False

    def __init__(self, home: Path, logs: Path, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self.program: Program | None = victoria_metrics(home, logs, port)
        self.proxy: FaultyHttp | None = (proxy := FaultyHttp(self._url))
        self.settings = f"kind: victoriametrics, url: '{proxy.url}'"

    def ready(self) -> None:
        """Nothing is to be made."""

    def points(self) -> list[Stored]:
        """Every point; what came to it twice at one time with one value counts once."""
        urlopen(f"{self._url}/internal/force_flush", timeout=ASK_S).close()
        found: list[Stored] = []
        names = [f"air_{name}" for name in NAMES] + [f"{kind}_{field}" for kind, (_, field) in FIELDS.items()]
        ahead = time.time() + AHEAD_S
        match = urlencode({"match[]": f'{{__name__=~"{"|".join(names)}"}}', "start": 0, "end": ahead})
        with urlopen(f"{self._url}/api/v1/export?{match}", timeout=ASK_S) as answer:
            for line in answer:
                series = json.loads(line)
                kind, _, field = series["metric"]["__name__"].partition("_")
                box = series["metric"][FIELDS[kind][0] if kind in FIELDS else "station"]
                found += (
                    (box, _made(kind, field, at, value))
                    for at, value in zip(series["timestamps"], series["values"], strict=True)
                )
        return found


def _rows(db: duckdb.DuckDBPyConnection) -> Iterator[Stored]:
    sql = "SELECT table_name, column_name FROM information_schema.columns"
    there = set(db.execute(sql).fetchall())
    asked = [("air", "station", name) for name in NAMES] + [(kind, *columns) for kind, columns in FIELDS.items()]
    for table, tag, field in asked:
        if (table, field) in there:
            sql = f"SELECT {tag}, epoch_us(time) // 1000, {field} FROM {table} WHERE {field} IS NOT NULL"
            for box, at, value in db.execute(sql).fetchall():
                yield box, _made(table, field, at, value)


def _made(measurement: str, field: str, at: int, value: float) -> Made:
    """The event that a point tells of."""
    match measurement:
        case "plates":
            return Made("plates", int(value), at, field)
        case "health":
            return Made("health", at, at, field)
        case _:
            return Made("readings", round(value * 10), at, field)


def _ask(request: Request) -> Any:
    with urlopen(request, timeout=ASK_S) as answer:
        return json.load(answer)
