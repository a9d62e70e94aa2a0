"""Frames as lines of JSON for each series; that VictoriaMetrics takes them is shown in test_store_victoria.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
from frames import air

from collector.points import Frame
from collector.stores.series import series


def test_a_line_for_each_column_with_what_it_has() -> None:
    frame = Frame(
        measurement="health",
        tags={"device": "air-01", "site": 'chợ "số 1"'},
        at=np.array([1000, 2000, 3000]),
        offset_ns=np.array([0, 1_000, 2_000_000]),
        fields={
            "load": np.array([0.5, np.nan, np.inf]),
            "status": np.array([0, 2, 0], np.uint8),
            "ok": np.array([True, False, True]),
            "drops": np.array([0, -1, 2**40]),
            "nothing": np.array([np.nan] * 3),
            "text": ["a", None, "b"],
        },
    )
    found = {line["metric"].pop("__name__"): line for line in map(json.loads, series(frame))}
    assert {name: (line["timestamps"], line["values"]) for name, line in found.items()} == {
        "health_load": ([1000], [0.5]),
        "health_status": ([2000], [2]),
        "health_ok": ([1000, 2000, 3002], [1, 0, 1]),
        "health_drops": ([1000, 2000, 3002], [0, -1, 2**40]),
    }
    assert all(line["metric"] == frame.tags for line in found.values())


@pytest.mark.parametrize("site", ["", "a\nb", "a\\b"])
def test_a_tag_that_no_store_takes_is_refused(site: str) -> None:
    with pytest.raises(ValueError, match="not a tag"):
        series(air(site=site, pm2_5=[1]))
