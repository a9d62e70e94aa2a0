"""Every question of docs/officers.md is asked: SQL of DuckDB, InfluxQL of a real influxd 1.6.7, with one answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import urllib3
from servers import Server, influxd

from collector.points import Frame
from collector.stores.duckdb import DuckStore
from collector.stores.influx1 import Influx1Store
from edge_agent.contract.quantities import BY_NAME, MEDIA, QUANTITIES

TEXT = (Path(__file__).parent.parent / "docs" / "officers.md").read_text()
QUESTIONS = re.split(r"^### (?=[0-9]+\. )", TEXT, flags=re.MULTILINE)[1:]
IDS = [question.split("\n", 1)[0] for question in QUESTIONS]
HOUR = 3_600_000
MONTH = round(datetime.fromisoformat("2026-11-01T00:00:00+07:00").timestamp() * 1000)
DAY = 24 * HOUR


def query(question: str, language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", question, re.DOTALL)
    assert len(found) == 1, f"one {language} text for each question"
    return str(found[0])


def points() -> list[Frame]:
    """November 2026 at stations of every medium: means by hour, samples every five minutes in one week."""
    rng = np.random.default_rng(4)
    frames = []
    hours = np.arange(MONTH, MONTH + 25 * DAY, HOUR, dtype=np.int64)
    days = np.arange(MONTH, MONTH + 25 * DAY, DAY, dtype=np.int64)
    samples = np.arange(MONTH + 13 * DAY, MONTH + 20 * DAY, 300_000, dtype=np.int64)

    def add(measurement: str, station: str, at: Any, **fields: Any) -> None:
        tags = {"station": station, "site": f"site-of-{station}"}
        frames.append(Frame(measurement=measurement, tags=tags, at=at, fields=fields))

    def around(middle: float, spread: float, n: int) -> Any:
        return np.maximum(0, rng.normal(middle, spread, n)).round(1)

    def flags(n: int) -> Any:
        return rng.choice([1, 1, 1, 2, 3, 4], n).astype(np.uint8)

    for station in ("air-01", "air-02", "air-03"):
        n = len(hours)
        means = {"pm2_5": around(30, 15, n), "pm10": around(60, 20, n), "no2": around(150, 60, n),
                 "wind_direction": around(200, 80, n) % 360}  # fmt: skip
        covered = {"pm2_5_coverage": around(80, 15, n), "pm2_5_flag": np.ones(n, np.uint8)}
        add("air_1h", station, hours, **means, **covered, rule=["flags 1+2; no coverage rule"] * n)
        add("air_1h", station, hours[::2], pm2_5_corrected=around(25, 10, len(hours[::2])))
        add("air_8h", station, hours, o3=around(90, 30, n))
        add("air_24h", station, days, pm2_5=around(30, 5, len(days)), pm2_5_coverage=around(90, 5, len(days)))
        index = rng.integers(20, 180, n)
        add("aqi_1h", station, hours, aqi=index, category=["moderate" if i < 101 else "poor" for i in index.tolist()])
        add("aqi_24h", station, days, aqi=rng.integers(20, 180, len(days)), dominant=["pm2_5"] * len(days))
        n = len(samples)
        value = around(30, 15, n)
        value[::50] = np.nan
        flag = np.where(np.isnan(value), 9, flags(n)).astype(np.uint8)
        add("air", station, samples, pm2_5=value, pm2_5_flag=flag, pm2_5_b=around(30, 15, n))
    for station in ("waste-01", "waste-02"):
        n, calibrating = len(samples), samples[5:17]
        add("wastewater", station, samples, ph=around(7.5, 1.2, n), ph_flag=flags(n))
        add("wastewater", station, calibrating, ph_status=np.ones(len(calibrating), np.uint8))
        add("wastewater_month", station, days[:1], cod=around(60, 9, 1), cod_coverage=around(95, 2, 1))
    for station in ("water-01", "water-02"):
        n = len(samples)
        add("drinking_water", station, samples, free_chlorine=around(0.6, 0.2, n), free_chlorine_flag=flags(n))
    for station in ("sea-01", "sea-02"):
        n = len(hours)
        add("seawater_1h", station, hours, salinity=around(31, 2, n), dissolved_oxygen=around(5, 1, n))
    return frames


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxd(tmp_path_factory.mktemp("influx")) as server:
        store = Influx1Store(url=server.url, database="environment")
        store.write(points())
        store.close()
        yield server


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("duck") / "timeseries.duckdb"
    store = DuckStore(path)
    store.write(points())
    store.close()
    with duckdb.connect(path, read_only=True) as db:
        yield db


def of_duckdb(db: Any, sql: str) -> list[dict[str, Any]]:
    found = db.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def of_influxdb(server: Server, influxql: str) -> list[dict[str, Any]]:
    fields = {"db": "environment", "q": " ".join(influxql.split())}
    answer = urllib3.request("POST", f"{server.url}/query", fields=fields).json()
    (result,) = answer["results"]
    assert "error" not in result, result
    rows = []
    for series in result.get("series", ()):
        for values in series["values"]:
            row = {**series.get("tags", {}), **dict(zip(series["columns"], values, strict=True))}
            rows.append({**row, "time": datetime.fromisoformat(row["time"]).timestamp()})
    return rows


def comparable(rows: list[dict[str, Any]], names: list[str]) -> list[tuple[Any, ...]]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return round(value.timestamp() if value.tzinfo else (value - datetime(1970, 1, 1)).total_seconds())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return None if math.isnan(value) else round(float(value), 6)
        return value

    return sorted((tuple(plain(row[name]) for name in names) for row in rows), key=repr)


def test_there_are_twenty_questions() -> None:
    assert len(QUESTIONS) == 20 == len(set(IDS))


@pytest.mark.parametrize("question", QUESTIONS, ids=IDS)
def test_sql_and_influxql_give_one_answer(question: str, duck: Any, influx: Server) -> None:
    here, there = of_duckdb(duck, query(question, "sql")), of_influxdb(influx, query(question, "influxql"))
    assert here, "a question without an answer shows nothing"
    names = sorted(here[0])
    assert comparable(here, names) == comparable(there, names)


@pytest.mark.parametrize("question", QUESTIONS, ids=IDS)
def test_flux_asks_for_the_same_by_the_same_names(question: str) -> None:
    """Names and times; test_flux.py has the texts compiled. No server that would execute them can be had."""
    flux, sql = query(question, "flux"), query(question, "sql")
    (measurement,) = re.findall(r'r\._measurement == "([a-z0-9_]+)"', flux)
    assert re.search(rf"FROM {measurement}\b", sql)
    fields = set(re.findall(r'r\._field == "([a-z0-9_]+)"', flux))
    assert fields and all(re.search(rf"\b{field}\b", sql) for field in fields)
    assert {time.replace("T", " ").rstrip("Z") for time in re.findall(r"20[0-9-]+T[0-9:]+Z", flux)} == set(
        re.findall(r"TIMESTAMP '([^']+)'", sql)
    )


def test_every_quantity_stands_in_the_table_with_its_unit() -> None:
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| (\S+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [(q.name, q.unit, q.vi) for q in QUANTITIES]


def test_no_field_is_invented() -> None:
    known = {*BY_NAME, "aqi", "dominant", "category", "rule", "station", "time"}
    for question in QUESTIONS:
        for field in re.findall(r'r\._field == "([a-z0-9_]+)"', query(question, "flux")):
            assert re.sub(r"_(flag|status|coverage)$", "", field) in known, field
        (measurement,) = re.findall(r'r\._measurement == "([a-z0-9_]+)"', query(question, "flux"))
        assert re.sub(r"_(1h|8h|24h|month)$", "", measurement) in {*MEDIA, "aqi"}
