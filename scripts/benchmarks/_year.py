"""A year of the 26 stations by the minute in the embedded store, and what officers ask of it."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from sqlalchemy import create_engine

from collector.averages.ask import Averages
from collector.averages.means import Rule
from collector.averages.paces import Paces
from collector.averages.source import Source
from collector.database import METADATA
from collector.points import Column, Frame
from collector.stores import Series
from collector.stores.duckdb import LIMITS, DuckStore
from edge_agent.clock import now_ms
from edge_agent.contract.quantities import BY_NAME
from scripts.benchmarks._island import box
from scripts.benchmarks.figure import Line
from scripts.simulated.day import CURVES, MEDIUM, UTC_OFFSET_H

MINUTE, DAY = 60_000, 86_400_000
FIRST_DAY = 1_735_664_400_000
"""2025-01-01 00:00 on the island."""
DAYS = 365
AIR = ("pm1", "pm2_5", "pm10", "so2", "no2", "co", "o3", "air_temperature", "humidity", "pressure")
WATER = ("water_temperature", "ph", "conductivity", "dissolved_oxygen", "turbidity", "tss", "ammonium", "cod")
FLEET = (("air", "air", 16, AIR), ("drinking_water", "water", 4, WATER), ("wastewater", "waste", 4, WATER))
SEA = ("seawater", "sea", 2, ("water_temperature", "ph", "salinity", "dissolved_oxygen", "turbidity", "chlorophyll_a"))
FILE = Path(tempfile.gettempdir()) / "island-edge-benchmark" / "year-1.duckdb"
"""Kept, since it takes minutes to make; another number for another content. Its .load beside it tells how it went."""
ASKED = 12
WRITES = 300


class Load(msgspec.Struct):
    """How the year went into the store."""

    rows: int
    seconds: float
    rss_mb: float


def year() -> list[Line]:
    """Load the year, if the file of an earlier run is not there, and ask."""
    load = _loaded()
    store = DuckStore(FILE)
    try:
        chance = np.random.default_rng()
        months = [_month(int(day), f"air-{n:02}") for day, n in zip(*_picks(chance), strict=True)]
        ours = _each(lambda series: store.readings(series, 3_600_000), months, 720)
        hours, days = _indices(store, int(chance.integers(2, DAYS - 2)))
        singles = _single_writes(store)
        resident = psutil.Process().memory_info().rss / 1e6
        peer = _in_sqlite(store, months[0])
    finally:
        store.close()
    worst = max(ours)
    return [
        Line(name="rows of a year, loaded by Store.write", value=load.rows / 1e6, unit="million"),
        Line(name="  a day of all stations in a write", value=load.rows / load.seconds, unit="rows/s"),
        Line(
            name="  resident memory at its end", value=load.rss_mb, unit="MB", compare=f"{LIMITS['memory_limit']} set"
        ),
        Line(name="  size of the file", value=FILE.stat().st_size / 1e6, unit="MB"),
        Line(
            name=f"hourly means of a month, slowest of {ASKED}",
            value=worst,
            unit="s",
            at_most=0.2,
            compare=f"SQLite with that month alone {peer:.2f} s: {peer / statistics.median(ours):.1f} times our median",
        ),
        Line(name="daily AQI of 16 stations, from samples", value=days, unit="s", at_most=0.5),
        Line(name="hourly AQI of a day of 16 stations, from samples", value=hours, unit="s", at_most=0.5),
        Line(name="one sample a write beside the year, median", value=statistics.median(singles) * 1000, unit="ms"),
        Line(name=f"  slowest of {WRITES}", value=max(singles) * 1000, unit="ms"),
        Line(name="resident memory after all this", value=resident, unit="MB"),
    ]


def _loaded() -> Load:
    told = FILE.with_suffix(".load")
    if FILE.exists() and told.exists():
        return msgspec.json.decode(told.read_bytes(), type=Load)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    for left in FILE.parent.glob("*"):
        left.unlink()
    store, rows, seconds = DuckStore(FILE), 0, 0.0
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        for day in progress.track(range(DAYS), description="Days of a year into the store"):
            frames = list(_day(day))
            began = time.perf_counter()
            store.write(frames)
            seconds += time.perf_counter() - began
            rows += sum(len(frame.at) for frame in frames)
    load = Load(rows, seconds, psutil.Process().memory_info().rss / 1e6)
    store.close()
    told.write_bytes(msgspec.json.encode(load))
    return load


def _day(day: int) -> Iterator[Frame]:
    """One day of every station: curves with noise, some values missing or doubtful."""
    chance = np.random.default_rng(day)
    at = FIRST_DAY + day * DAY + np.arange(1440, dtype=np.int64) * MINUTE
    for medium, name, count, quantities in (*FLEET, SEA):
        for n in range(1, count + 1):
            fields: dict[str, Column] = {}
            for quantity in quantities:
                values = _curve(medium, quantity, at, chance)
                flags = chance.choice(np.array([1, 3, 4, 9], np.uint8), len(at), p=[0.985, 0.007, 0.003, 0.005])
                values[flags == 9] = np.nan
                fields |= {quantity: values, f"{quantity}_flag": flags}
            yield Frame(
                measurement=medium, tags={"station": f"{name}-{n:02}", "site": f"{name}-{n}"}, at=at, fields=fields
            )


def _curve(medium: str, quantity: str, at: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.float64]:
    curve, known = (CURVES | MEDIUM.get(medium, {}))[quantity], BY_NAME[quantity]
    hour = (at / 3_600_000 + UTC_OFFSET_H) % 24
    swing = curve.swing * np.cos((hour - curve.peak_h) / 24 * 2 * np.pi)
    values = curve.mean * chance.uniform(0.7, 1.3) + swing + chance.normal(0, curve.noise, len(at))
    return np.asarray(np.clip(values, known.low, known.high).round(known.decimals), np.float64)


def _picks(chance: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return chance.integers(0, DAYS - 30, ASKED), chance.integers(1, 17, ASKED)


def _month(day: int, station: str) -> Series:
    start = FIRST_DAY + day * DAY
    return Series(measurement="air", station=station, quantity="pm2_5", start=start, stop=start + 30 * DAY)


def _each(ask: Callable[[Series], Sized], months: list[Series], rows: int) -> list[float]:
    """Seconds of each question; every month is another, so that nothing is warm by itself."""
    took = []
    for month in months:
        began = time.perf_counter()
        found = ask(month)
        took.append(time.perf_counter() - began)
        if len(found) != rows:
            raise AssertionError(f"{len(found)} rows for {rows}")
    return took


def _indices(store: DuckStore, day: int) -> tuple[float, float]:
    """Seconds for a day's indices of sixteen stations by the hour, and of the day; nothing is stored of either."""
    boxes = {f"air-{n:02}": box(f"air-{n:02}") for n in range(1, 17)}
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    source = Source(store=store, paces=Paces(engine), rule=Rule(75))
    averages = Averages(fleet=boxes, source=source, literal_nowcast=False, now=now_ms)
    start, took = FIRST_DAY + day * DAY, []
    for period, rows in (("1h", 24), ("24h", 1)):
        began = time.perf_counter()
        found = [averages.aqi(device, start, start + DAY, period) for device in boxes]  # type: ignore[arg-type]
        took.append(time.perf_counter() - began)
        if any(len(each) != rows for each in found):
            raise AssertionError(f"not {rows} indices for each station")
    return took[0], took[1]


def _single_writes(store: DuckStore) -> list[float]:
    """Seconds of each write of one new sample; its times are those of now, so a run finds none of another's."""
    took, at = [], now_ms()
    for i in range(WRITES):
        fields: dict[str, Column] = {}
        for quantity in AIR:
            fields |= {quantity: np.array([CURVES[quantity].mean]), f"{quantity}_flag": np.ones(1, np.uint8)}
        tags = {"station": f"air-{i % 16 + 1:02}", "site": "bench"}
        frame = Frame(measurement="air", tags=tags, at=np.array([at + i], np.int64), fields=fields)
        began = time.perf_counter()
        store.write([frame])
        took.append(time.perf_counter() - began)
    return took


def _in_sqlite(store: DuckStore, month: Series) -> float:
    """The peer: the month's rows of all stations, clustered by station and time, and the same question."""
    columns = ["station", "at", *(column for name in AIR for column in (name, f"{name}_flag"))]
    found = store.tables(
        "air", [f"air-{n:02}" for n in range(1, 17)], start=month.start, stop=month.stop, names=columns[2:]
    )
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "month.sqlite")) as db:
        db.execute(f"CREATE TABLE air ({', '.join(columns)}, PRIMARY KEY (station, at)) WITHOUT ROWID")
        marks = ", ".join("?" * len(columns))
        for station, table in found.items():
            values = [table.numbers(name).tolist() for name in columns[2:]]
            rows = zip([station] * len(table.at), table.at.tolist(), *values, strict=True)
            db.executemany(f"INSERT INTO air VALUES ({marks})", rows)
        db.commit()
        began = time.perf_counter()
        hours = db.execute(
            "SELECT at / 3600000 AS hour, avg(pm2_5) FILTER (WHERE pm2_5_flag IN (1, 2)), max(pm2_5_flag), count(*) "
            "FROM air WHERE station = ? AND at >= ? AND at < ? GROUP BY hour ORDER BY hour",
            (month.station, month.start, month.stop),
        ).fetchall()
        took = time.perf_counter() - began
    if len(hours) != 720:
        raise AssertionError(f"{len(hours)} hours in SQLite")
    return took
