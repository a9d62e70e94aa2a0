"""Frames and blocks for the tests of points and stores."""

from __future__ import annotations

import numpy as np

from collector.points import Frame
from collector.stores import Series
from edge_agent.contract.device import Box, Position

T0 = 1_780_000_000_000
MINUTE = 60_000


def box(device: str, **more: object) -> Box:
    given = {
        "type": "test", "site": "an-thoi", "label": "", "position": Position(lat=10.0, lon=104.0),
        "medium": None, "camera": False, "access_point": False,
    }  # fmt: skip
    return Box(device=device, **{**given, **more})


def air(station: str = "air-01", first: int = 0, *, site: str = "duong-dong", **columns: list[float | None]) -> Frame:
    """Values (or, under a name with _flag or _status, codes; None: absent), a point a minute from minute `first` on."""
    fields = {
        name: np.array([0 if v is None else v for v in column], np.uint8)
        if name.endswith(("_flag", "_status"))
        else np.array(column, np.float64)
        for name, column in columns.items()
    }
    n = len(next(iter(fields.values())))
    at = T0 + (first + np.arange(n, dtype=np.int64)) * MINUTE
    return Frame(measurement="air", tags={"station": station, "site": site}, at=at, fields=fields)


def plates(*texts: str, camera: str = "cam-01", at: int = T0) -> Frame:
    """Plate reads of one millisecond, kept apart by their offsets."""
    n = len(texts)
    return Frame(
        measurement="plates",
        tags={"camera": camera, "site": "an-thoi"},
        at=np.full(n, at, np.int64),
        offset_ns=np.arange(n, dtype=np.int64) * 1000,
        fields={
            "plate": list(texts),
            "raw": [text.lower() for text in texts],
            "confidence": np.full(n, 0.75),
            "valid": np.full(n, True),
            "repaired": np.full(n, True),
            "classes": ["car" for _ in texts],
            "colour": ["white" for _ in texts],
            "layout": ["one" for _ in texts],
            "frames": np.full(n, 7, np.int64),
            "seconds": np.full(n, 0.5),
            "rendered": np.full(n, False),
        },
    )


def series(quantity: str = "pm2_5", station: str = "air-01") -> Series:
    """All of one quantity of an air station."""
    return Series(measurement="air", station=station, quantity=quantity, start=0, stop=4_000_000_000_000)
