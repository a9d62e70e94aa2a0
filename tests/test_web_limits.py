"""Broken limits from stored samples to API, page and command."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from city import FLEET, HOUR, NOON, City

from collector.averages.touched import Touched
from collector.points import Frame
from collector.standards.settings import StandardsSettings
from collector.standards.table import Row, Standards
from collector.standards.watch import CONSUMER, Watch

MINUTE = 60_000
PH = Row(quantity="ph", medium="seawater", averaging="sample", low=6.5, high=8.5, unit="pH", since="2020-01-01",
         source="a rule", certainty="superseded", note="replace")  # fmt: skip
OXYGEN = Row(quantity="dissolved_oxygen", medium="seawater", averaging="sample", low=4, unit="mg/L",
             since="2020-01-01", source="a rule", certainty="certain")  # fmt: skip


@pytest.fixture
def watch(city: City) -> Watch:
    city.standards = Standards([PH, OXYGEN], FLEET.values())
    return Watch(settings=StandardsSettings(), standards=city.standards, fleet=FLEET,
                 touched=Touched(city.engine, {CONSUMER: HOUR}), store=city.store, exceedances=city.exceedances,
                 thread=ThreadPoolExecutor(1), show=city.live.limits)  # fmt: skip


def measure(city: City, watch: Watch, quantity: str, values: list[float], flags: list[int]) -> None:
    city.measure("sea-01", quantity, values, flags)
    at = np.arange(city.time - MINUTE * (len(values) - 1), city.time + 1, MINUTE, dtype=np.int64)
    watch.touched.note([("sea-01", at)])


async def page(city: City, role: str) -> str:
    async with city.session(role) as client, client.get("/") as answer:
        return await answer.text()


async def test_samples_beyond_a_limit_become_an_event_and_end_it(
    city: City, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    measure(city, watch, "ph", [8.1, 8.6, 8.7, 8.6], [1, 1, 1, 3])
    measure(city, watch, "dissolved_oxygen", [5.0, 3.9], [1, 1])
    assert watch.round(city.time) > 0
    assert watch.round(city.time) == 0, "done"
    watch.show(watch.open(city.time))
    found = await city.get("officer", "/api/v1/exceedances")
    by_quantity = {event["limit"]["quantity"]: event for event in found}
    assert by_quantity["ph"]["worst"] == 8.7 and not by_quantity["ph"]["alarms"]
    assert by_quantity["ph"]["evidence"][0]["beyond"] == 2, "the suspect one does not count"
    assert by_quantity["dissolved_oxygen"]["alarms"] and by_quantity["dissolved_oxygen"]["closed"] is None
    assert "superseded limit, no alarm" in caplog.text
    city.time += 2 * HOUR
    measure(city, watch, "dissolved_oxygen", [5.0, 5.1], [1, 1])
    watch.round(city.time)
    still = await city.get("officer", "/api/v1/exceedances", open="true")
    assert [event["limit"]["quantity"] for event in still] == ["ph"]
    all_ = await city.get("technician", "/api/v1/exceedances", station="sea-01")
    assert {event["closed"] for event in all_} == {None, "2026-11-22T05:00:00.000Z"}


async def test_means_are_judged_as_they_are_written(city: City, watch: Watch) -> None:
    row = Row(quantity="pm2_5", medium="air", averaging="24h", high=45, unit="µg/m3", since="2026-01-01", source="r",
              certainty="certain")  # fmt: skip
    city.standards = Standards([row], FLEET.values())
    of_air = Watch(**{name: getattr(watch, name) for name in watch.__struct_fields__} | {"standards": city.standards})
    day = NOON - 12 * HOUR
    at = np.array([day - 24 * HOUR, day], np.int64)
    fields = {"pm2_5": np.array([50.0, 44.0]), "pm2_5_flag": np.array([1, 1], np.uint8),
              "pm2_5_coverage": np.array([96.0, 9.0])}  # fmt: skip
    tags = {"station": "air-01", "site": "s"}
    of_air.written([Frame(measurement=name, tags=tags, at=at, fields=fields) for name in ("air_24h", "air_1h", "air")])
    (event,) = await city.get("officer", "/api/v1/exceedances")
    assert (event["opened"], event["closed"]) == ("2026-11-20T17:00:00.000Z", "2026-11-21T17:00:00.000Z")
    assert event["evidence"][0]["coverage"] == 96.0


async def test_who_may_see_limits_and_what_is_refused(city: City) -> None:
    await city.get("police", "/api/v1/exceedances", 403)
    found = await city.get("officer", "/api/v1/limits", station="air-01", day="2025-06-01")
    assert [f["high"] for f in found if (f["quantity"], f["averaging"]) == ("pm2_5", "24h")] == [50]
    await city.get("officer", "/api/v1/limits", 400, station="air-01", day="2025-02-30")
    await city.get("officer", "/api/v1/limits", 404, station="cam-01")
    await city.get("officer", "/api/v1/exceedances", 404, station="air-1")


async def test_the_page_shows_broken_limits_with_how_sure_they_are(city: City, watch: Watch) -> None:
    measure(city, watch, "ph", [8.6], [1])
    watch.round(city.time)
    watch.show(watch.open(city.time))
    html = await page(city, "officer")
    for shown in ("8,600", "6,5 – 8,5", "superseded regulation"):
        assert shown in html, shown
    assert "Limits broken" not in await page(city, "police")


async def test_the_page_says_why_a_value_is_suspect_during_a_calibration(city: City) -> None:
    city.live.readings(FLEET["sea-01"], [city.latest("ph", 7.01, 3, status=1), city.latest("salinity", 31, 1)])
    html = await page(city, "technician")
    assert html.count("đang hiệu chuẩn") == 1 and "thiết bị lỗi" not in html
