"""Points by column, and points taken back, in every store that can be had here."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from frames import MINUTE, T0, air, plates

from collector.points import Frame
from collector.stores import Store, StoreError
from collector.stores.influx1 import Influx1Store

FAR = 4_000_000_000_000


def plain(store: Store, measurement: str, *stations: str, start: int = 0, stop: int = FAR, names=None) -> object:
    """Tables as lists, absent numbers as None."""
    return {
        station: (
            [(at - T0) / MINUTE for at in table.at.tolist()],
            {
                name: [None if isinstance(v, float) and math.isnan(v) else v for v in column.tolist()]
                for name, column in table.fields.items()
            },
        )
        for station, table in store.tables(measurement, stations, start=start, stop=stop, names=names).items()
    }


def test_points_come_by_station_in_order_with_what_is_absent(store: Store) -> None:
    store.write([
        air("air-02", pm2_5=[7], pm2_5_flag=[1]),
        air("air-01", first=2, pm2_5=[3.5, None], pm2_5_flag=[1, 9], pm2_5_status=[0, 2]),
        air("air-01", first=0, pm10=[20.0], pm10_flag=[4]),
        air("air-03", pm10=[1.0], pm10_flag=[1]),
    ])  # fmt: skip
    assert plain(store, "air", "air-01", "air-02", "no-such") == {
        "air-01": ([0, 2, 3], {
            "pm2_5": [None, 3.5, None], "pm2_5_flag": [None, 1, 9], "pm2_5_status": [None, None, 2],
            "pm10": [20, None, None], "pm10_flag": [4, None, None],
        }),
        "air-02": ([0], {"pm2_5": [7], "pm2_5_flag": [1]}),
    }  # fmt: skip


def test_spans_are_half_open_and_only_named_fields_come(store: Store) -> None:
    store.write([air(pm2_5=[1, 2, 3, 4], pm2_5_flag=[1] * 4, pm10=[5, 6, None, None], pm10_flag=[1, 1, 0, 0])])
    assert plain(store, "air", "air-01", start=T0 + MINUTE, stop=T0 + 3 * MINUTE, names=["pm2_5"]) == {
        "air-01": ([1, 2], {"pm2_5": [2, 3]})
    }
    assert plain(store, "air", "air-01", names=["pm10", "no_such"]) == {"air-01": ([0, 1], {"pm10": [5, 6]})}
    assert plain(store, "air", "air-01", names=["no_such"]) == {}
    assert plain(store, "air", "air-01", names=[]) == {}
    assert plain(store, "air", "air-01", start=T0 + 9 * MINUTE) == {}
    assert plain(store, "air") == {}


def test_what_is_not_there_or_is_no_name_gives_nothing(store: Store) -> None:
    assert plain(store, "air", "air-01") == {}
    store.write([air(pm2_5=[1.0]), plates("51A00001")])
    assert plain(store, "seawater", "air-01") == {}
    assert plain(store, "air", "' OR ''='") == {}


def test_a_station_that_moved_is_one(store: Store) -> None:
    store.write([air(pm2_5=[1.0], site="one"), air(first=2, pm2_5=[3.0], site="other"), air(first=1, pm2_5=[2.0])])
    assert plain(store, "air", "air-01") == {"air-01": ([0, 1, 2], {"pm2_5": [1, 2, 3]})}


def test_text_and_whole_numbers(store: Store) -> None:
    store.write([
        Frame(
            measurement="air_1h",
            tags={"station": "air-01", "site": "here"},
            at=np.array([T0, T0 + MINUTE], np.int64),
            fields={"rule": ["flags 1+2", None], "aqi": np.array([0, 500], np.int64)},
        )
    ])  # fmt: skip
    assert plain(store, "air_1h", "air-01") == {"air-01": ([0, 1], {"aqi": [0, 500], "rule": ["flags 1+2", None]})}


def test_points_are_erased_and_can_be_written_anew(store: Store) -> None:
    store.write([air(pm2_5=[1, 2, 3], pm10=[4, 5, 6]), air("air-02", pm2_5=[7, 8, 9])])
    store.erase("air", "air-01", [T0, T0 + 2 * MINUTE, T0 + 9 * MINUTE])
    store.erase("air", "air-01", [])
    store.erase("no_such", "air-01", [T0])
    assert plain(store, "air", "air-01", "air-02") == {
        "air-01": ([1], {"pm2_5": [2], "pm10": [5]}),
        "air-02": ([0, 1, 2], {"pm2_5": [7, 8, 9]}),
    }
    store.write([air(pm10=[40.0])])
    assert plain(store, "air", "air-01") == {"air-01": ([0, 1], {"pm2_5": [None, 2], "pm10": [40, 5]})}


def test_a_server_that_is_gone_is_said(tmp_path: Path) -> None:
    store = Influx1Store(url="http://127.0.0.1:9", database="x")
    with pytest.raises(StoreError):
        store.tables("air", ["air-01"], start=0, stop=FAR)
    with pytest.raises(StoreError):
        store.erase("air", "air-01", [T0])
