"""How many samples are due: from what a box says of its own files, over changes of it and restarts."""

from __future__ import annotations

import msgspec
import numpy as np
from sqlalchemy import Engine, event, func, select

from collector.averages.paces import KEPT, PACES, Paces
from edge_agent.contract.events import BoxStatus
from edge_agent.station.settings import StationSettings, paces

HOUR = 3_600_000
T0 = 1_780_000_200_000 // HOUR * HOUR
PM2_5, PM10, HUMIDITY = 2, 3, 13


def due(known: Paces, start: int, stop: int, quantity: str = "pm2_5") -> float:
    (found,) = known.due("air-01", quantity)(np.array([start]), np.array([stop]))
    return float(found)


def test_a_station_says_the_pace_of_what_it_stores() -> None:
    settings = msgspec.convert(
        {
            "medium": "air",
            "lines": {"a": {"kind": "serial", "port": "/dev/ttyS1"}, "b": {"kind": "serial", "port": "/dev/ttyS2"}},
            "sensors": {
                "one": {"driver": "pms5003", "line": "a", "every_s": 10},
                "two": {"driver": "sds011", "line": "b", "rename": {"pm2_5": "pm2_5_b", "pm10": "pm10_b"}},
            },
        },
        StationSettings,
    )
    assert paces(settings) == {1: 10, 2: 10, 3: 10, 20: 60, 21: 60}


def test_paces_are_the_last_word_of_a_status_and_older_boxes_leave_them_out() -> None:
    status = BoxStatus(online=True, at=T0, version="1", outbox=7, paces={PM2_5: 60})
    encoded = msgspec.msgpack.encode(status)
    assert msgspec.msgpack.decode(encoded, type=BoxStatus) == status
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(encoded)[:4])
    assert msgspec.msgpack.decode(old, type=BoxStatus).paces == {}


def test_until_a_pace_is_known_it_is_a_minute_and_the_first_holds_for_the_time_before(engine: Engine) -> None:
    known = Paces(engine)
    assert due(known, T0, T0 + HOUR) == 60
    known.tell("air-01", {PM2_5: 10}, T0 + 5 * HOUR)
    assert due(known, T0, T0 + HOUR) == 360
    assert due(known, T0, T0 + HOUR, "humidity") == 60
    assert due(known, T0, T0 + HOUR, "pm2_5_corrected") == 360, "it is made from each sample of pm2_5"


def test_polls_fall_on_whole_multiples_and_spans_are_half_open(engine: Engine) -> None:
    known = Paces(engine)
    known.tell("air-01", {PM2_5: 7, PM10: 7200, HUMIDITY: 60}, T0)
    day = T0 // (24 * HOUR) * 24 * HOUR
    assert due(known, day, day + 7_000) == 1
    assert due(known, day + 1, day + 7_000) == 0
    assert due(known, day, day + 7_001) == 2
    assert [due(known, day + h * HOUR, day + (h + 1) * HOUR, "pm10") for h in range(4)] == [1, 0, 1, 0]
    assert due(known, day, day + 24 * HOUR, "humidity") == 1440


def test_a_change_counts_from_when_it_was_told_also_after_a_restart(engine: Engine) -> None:
    known = Paces(engine)
    known.tell("air-01", {PM2_5: 60}, T0)
    known.tell("air-01", {PM2_5: 60}, T0 + HOUR)
    known.tell("air-01", {PM2_5: 30}, T0 + 90 * 60_000)
    for paces_ in (known, Paces(engine)):
        assert [due(paces_, T0 + h * HOUR, T0 + (h + 1) * HOUR) for h in range(-1, 4)] == [60, 60, 90, 120, 120]
    known.tell("air-01", {PM2_5: 60}, T0 + 30 * 60_000)
    assert due(known, T0 + 2 * HOUR, T0 + 3 * HOUR) == 60, "the last word counts, though the box's clock went back"
    assert due(Paces(engine), T0 + 2 * HOUR, T0 + 3 * HOUR) == 60


def test_what_cannot_be_a_pace_is_passed_over_and_what_is_known_costs_nothing(engine: Engine) -> None:
    known = Paces(engine)
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    known.tell("air-01", {PM2_5: 0, PM10: -5, HUMIDITY: 10**9, 10**12: 60}, T0)
    assert commits == []
    assert due(known, T0, T0 + HOUR) == 60
    for _ in range(3):
        known.tell("air-01", {PM2_5: 30}, T0)
    assert len(commits) == 1


def test_a_box_that_changes_its_pace_ever_again_is_remembered_within_bounds(engine: Engine) -> None:
    known = Paces(engine)
    for n in range(2 * KEPT):
        known.tell("air-01", {PM2_5: 60 + n % 2}, T0 + n)
    with engine.connect() as db:
        assert db.execute(select(func.count()).select_from(PACES)).scalar_one() == KEPT
    assert known.every_ms("air-01", PM2_5) == Paces(engine).every_ms("air-01", PM2_5) == 61_000
