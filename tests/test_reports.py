"""Means, indices, pictures and a station's day, by HTTP and by command."""

from __future__ import annotations

import asyncio
import csv
import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from city import FLEET, HOUR, NOON, City

from collector.__main__ import main
from collector.points import Frame
from collector.standards.exceedances import Evidence, Finding
from collector.standards.table import Limit
from edge_agent.contract.quantities import BY_NAME

MIDNIGHT = NOON - 12 * HOUR
"""00:00 of 2026-11-22 on the island."""


@pytest.fixture
def measured(city: City) -> City:
    """A morning at air-01: an hour without samples, suspect and failed ones, a calibration."""
    at = np.arange(MIDNIGHT, NOON, 60_000, dtype=np.int64)
    at = at[(at < MIDNIGHT + 5 * HOUR) | (at >= MIDNIGHT + 6 * HOUR)]
    values = 20 + 10 * np.sin(np.arange(len(at)) / 60)
    flags = np.ones(len(at), np.uint8)
    flags[30:40], flags[50] = 3, 4
    values[50] = 990
    status = np.zeros(len(at), np.uint8)
    status[100:120], flags[100:120] = 1, 3
    fields = {"pm2_5": values.round(1), "pm2_5_flag": flags, "pm2_5_status": status,
              "pm10": (values * 2).round(1), "pm10_flag": np.ones(len(at), np.uint8)}  # fmt: skip
    tags = {"station": "air-01", "site": FLEET["air-01"].site}
    city.store.write([Frame(measurement="air", tags=tags, at=at, fields=fields)])
    return city


async def fetch(city: City, path: str, role: str = "officer", **query: str) -> tuple[int, str, bytes]:
    async with city.session(role) as client, client.get(path, params=query) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_means_say_how_much_they_cover(measured: City) -> None:
    asked = {"station": "air-01", "quantity": "pm2_5", "start": "2026-11-22T00:00:00+07:00"}
    said = await measured.get("officer", "/api/v1/averages", **asked)
    rows = {row["at"][11:13]: row for row in said["rows"]}
    assert "22" not in rows, "05:00 local is empty"
    assert (rows["17"]["n"], rows["17"]["due"], rows["17"]["flag"]) == (49, 60, 1)
    assert rows["18"]["coverage"] == pytest.approx(100 * 40 / 60) and rows["18"]["flag"] == 3
    assert "75" in rows["18"]["rule"] and said["unit"] == "µg/m3"
    day = await measured.get("officer", "/api/v1/averages", **asked, period="24h")
    assert [row["at"] for row in day["rows"]] == ["2026-11-21T17:00:00.000Z"]
    _, _, text = await fetch(measured, "/api/v1/averages", **asked, format="csv")
    lines = list(csv.DictReader(text.decode().splitlines()))
    assert lines[0]["unit"] == "µg/m3" and float(lines[1]["coverage"]) == pytest.approx(100 * 40 / 60)


async def test_minute_means_are_bounded(measured: City) -> None:
    asked = {"station": "air-01", "quantity": "pm2_5", "period": "1min"}
    await measured.get("officer", "/api/v1/averages", 413, **asked, start="2026-01-01T00:00:00Z")
    assert (await measured.get("officer", "/api/v1/averages", **asked))["rows"]


async def test_the_index_of_the_hours(measured: City) -> None:
    said = await measured.get("officer", "/api/v1/aqi", station="air-01", start="2026-11-22T00:00:00+07:00")
    assert said["rows"] and {row["dominant"] for row in said["rows"]} <= {"pm2_5", "pm10"}
    assert all(row["category"] in ("good", "moderate", "poor") for row in said["rows"])


async def test_gaps_are_those_of_what_is_stored_now(measured: City) -> None:
    asked = {"station": "air-01", "start": "2026-11-22T00:00:00+07:00"}
    gaps = await measured.get("officer", "/api/v1/gaps", **asked)
    hour = {"since": "2026-11-21T21:59:00.000Z", "until": "2026-11-21T23:00:00.000Z"}
    assert gaps == [{"quantity": name, **hour} for name in ("pm2_5", "pm10")]
    measured.time += HOUR
    still = await measured.get("officer", "/api/v1/gaps", **asked)
    assert [gap["until"] for gap in still] == [hour["until"]] * 2 + [None] * 2
    late = np.arange(MIDNIGHT + 5 * HOUR, MIDNIGHT + 6 * HOUR, 60_000, dtype=np.int64)
    fields = {"pm10": np.full(len(late), 40.0), "pm10_flag": np.ones(len(late), np.uint8)}
    tags = {"station": "air-01", "site": FLEET["air-01"].site}
    measured.store.write([Frame(measurement="air", tags=tags, at=late, fields=fields)])
    filled = await measured.get("officer", "/api/v1/gaps", **asked)
    assert [gap["quantity"] for gap in filled if gap["until"]] == ["pm2_5"]
    await measured.get("officer", "/api/v1/gaps", 413, station="air-01", start="2026-01-01T00:00:00Z")
    await measured.get(
        "officer", "/api/v1/curve.png", 413, station="air-01", quantity="pm2_5", start="2025-01-01T00:00Z"
    )


async def test_a_station_that_says_nothing_at_all_has_gaps_too(city: City) -> None:
    asked = {"station": "sea-01", "start": "2026-11-22T00:00:00Z", "stop": "2026-11-22T04:00:00Z"}
    assert await city.get("officer", "/api/v1/gaps", **asked) == [], "nobody knows what it measures"
    city.paces.tell("sea-01", {BY_NAME["ph"].number: 60}, city.time)
    (gap,) = await city.get("officer", "/api/v1/gaps", **asked)
    assert gap == {"quantity": "ph", "since": "2026-11-22T00:00:00.000Z", "until": None}


async def test_a_picture_of_a_curve(measured: City) -> None:
    status, kind, picture = await fetch(measured, "/api/v1/curve.png", station="air-01", quantity="pm2_5")
    assert (status, kind, picture[:8]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")
    status, _, said = await fetch(measured, "/api/v1/curve.png", station="air-01", quantity="no2")
    assert status == 404 and "Nothing is stored" in said.decode()


async def test_a_station_s_day_on_one_page(measured: City) -> None:
    limit = Limit(quantity="pm2_5", averaging="1h", low=None, high=25, since="2020-01-01", until=None, source="a rule",
                  certainty="unsure")  # fmt: skip
    evidence = Evidence(
        at=MIDNIGHT, first=MIDNIGHT, last=MIDNIGHT + HOUR, worst=27.5, worst_at=MIDNIGHT, beyond=1, of=1
    )
    measured.exceedances.enter([Finding(station="air-01", limit=limit, at=MIDNIGHT, evidence=evidence)])
    status, kind, body = await fetch(measured, "/api/v1/reports/air-01", day="2026-11-22")
    html = body.decode()
    assert (status, kind) == (200, "text/html")
    assert html.count("<svg") == 2 and "before the day had ended" in html and "limit unsure" in html and "27,5" in html
    counted = re.findall(r"✕ (\d+)|\? (\d+)", html)
    assert ("1", "") in counted and ("", "30") in counted
    assert "Trạm khí" in html and "<script" not in html
    _, _, empty = await fetch(measured, "/api/v1/reports/air-01", day="2020-02-29")
    assert "Nothing is stored of this day" in empty.decode()
    for refused, query in (("/api/v1/reports/cam-01", {}), ("/api/v1/reports/air-01", {"day": "22.11.2026"})):
        assert (await fetch(measured, refused, **query))[0] in (400, 404)


def command(city: City, *arguments: str) -> Any:
    return asyncio.to_thread(main, [*arguments, "--url", city.url])


async def test_questions_without_a_query_language(
    measured: City, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_TOKEN", measured.tokens["officer"])
    monkeypatch.setattr("collector.reports.commands.now_ms", lambda: NOON)
    question = ("query", "air-01", "pm2_5", "--last", "12h")
    assert await command(measured, *question, "--every", "1h") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 and "82 %" in lines[0] and "2026-11-22 00:00" in lines[0]
    assert await command(measured, *question, "--every", "15m") == 0
    assert "of 15" in capsys.readouterr().out
    assert await command(measured, *question, "--every", "1h", "--csv") == 0
    assert capsys.readouterr().out.splitlines()[0] == "at,unit,value,flag,coverage,n,due,rule"
    assert await command(measured, *question, "--parquet", str(tmp_path / "a.parquet")) == 0
    found = duckdb.execute(
        f"SELECT count(*), epoch_ms(min(time)), max(flag) FROM '{tmp_path / 'a.parquet'}'"
    ).fetchone()
    assert found is not None and found[0] == 660 and found[2] == 4 and found[1] == MIDNIGHT
    assert await command(measured, *question, "--every", "1h", "--parquet", str(tmp_path / "b.parquet")) == 0
    means = duckdb.execute(
        f"SELECT min(coverage), any_value(unit), count(*) FROM '{tmp_path / 'b.parquet'}'"
    ).fetchone()
    assert means is not None and means[0] == pytest.approx(100 * 40 / 60) and means[1:] == ("µg/m3", 11)
    assert await command(measured, "query", "air-01", "no2", "--parquet", str(tmp_path / "c.parquet")) == 0
    assert duckdb.execute(f"SELECT count(*) FROM '{tmp_path / 'c.parquet'}'").fetchone() == (0,)
    assert await command(measured, *question, "--plot", str(tmp_path / "a.png")) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    report = tmp_path / "day.html"
    asked = ("report", "station", "air-01", "--day", "2026-11-22", "--out", str(report))
    assert await command(measured, *asked) == 0
    assert report.read_text().startswith("<!doctype html>") and str(report) in capsys.readouterr().out
    assert await command(measured, *question, "--plot", "/nowhere/a.png") == 1
    assert "/nowhere" in capsys.readouterr().err


async def test_the_report_prints(measured: City, tmp_path: Path) -> None:
    sync = pytest.importorskip("playwright.async_api")
    _, _, body = await fetch(measured, "/api/v1/reports/air-01", day="2026-11-22")
    file = tmp_path / "day.html"
    file.write_bytes(body)
    async with sync.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(file.as_uri())
        pdf = await page.pdf(prefer_css_page_size=True)
        await browser.close()
    assert pdf[:5] == b"%PDF-" and len(pdf) > 20_000
