"""Where the fleet's boxes stand, held against the island's outline (golden/geography, © OpenStreetMap contributors).

shapely is installed with ioos_qc, which needs it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely

from edge_agent.contract.device import Position
from edge_agent.contract.fleet import read_fleet

ROOT = Path(__file__).parent.parent
COAST = Path(__file__).parent / "golden" / "geography" / "phuquoc-coast.geojson"
METRES_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6371 km."""
MIDDLE = math.cos(math.radians(10.2))
"""The islands reach over 60 km: with one scale for all its longitudes, distances are right to 0.1 per cent."""
ALLOWED_M = 500
"""Jetties, buoys, and the outline itself, which is good to 250 m."""

BOXES, _ = read_fleet(ROOT / "firmware_configs")


def metres(degrees: np.ndarray) -> np.ndarray:
    """Longitude and latitude in degrees, shape (n, 2), as metres to the east and north."""
    return degrees * METRES_PER_DEGREE * np.array([MIDDLE, 1.0])


LAND = shapely.transform(
    shapely.union_all(
        [shapely.from_geojson(json.dumps(f["geometry"])) for f in json.loads(COAST.read_text())["features"]]
    ),
    metres,
)


def from_land(position: Position) -> float:
    """Metres to the nearest land; 0 on it."""
    return float(shapely.distance(LAND, shapely.Point(metres(np.array([[position.lon, position.lat]]))[0])))


def test_the_outline_is_that_of_the_island() -> None:
    assert LAND.is_valid
    assert shapely.area(LAND) / 1e6 == pytest.approx(567, rel=0.02), "km2; the official figure"
    assert "© OpenStreetMap contributors, ODbL 1.0" in json.loads(COAST.read_text())["attribution"]


@pytest.mark.parametrize(
    ("lat", "lon", "away"),
    [(10.2200, 103.9640, 0), (10.22352, 103.94969, 419), (10.01258, 104.01480, 222), (10.05294, 104.03741, 202)],
    ids=["Dương Đông", "cruise port", "An Thới port", "Bãi Sao"],
)
def test_known_places_are_as_far_out_as_they_are(lat: float, lon: float, away: float) -> None:
    assert from_land(Position(lat=lat, lon=lon)) == pytest.approx(away, abs=5)


def test_every_box_stands_on_the_island_or_close_to_it() -> None:
    assert len(BOXES) == 125
    far = {name: round(out) for name, box in BOXES.items() if (out := from_land(box.position)) > ALLOWED_M}
    assert far == {}


def test_buoys_float_and_stations_stand() -> None:
    """Seawater is measured off the outline; what stands outside of it stands on a jetty or a beach, not at sea."""
    out = {name: from_land(box.position) for name, box in BOXES.items() if box.medium is not None}
    assert all(out[name] > 100 for name in out if BOXES[name].medium == "seawater"), out
    assert all(out[name] < 250 for name in out if BOXES[name].medium != "seawater"), out
