"""The examples for technicians: every driver has one, and `edge-agent check` accepts them all.

An example is a self-contained device file, as a box receives it: it has no levels, so it can be copied anywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import load
from edge_agent.station.settings import StationSettings, driver_structs

EXAMPLES = sorted((Path(__file__).parent.parent / "firmware_configs" / "examples").glob("*.yaml"))
DRIVERS = [str(struct.__struct_config__.tag) for struct in driver_structs()]


def station(path: Path) -> StationSettings:
    """The station of an example; ConfigError names what is wrong with the file."""
    found = load(path).station
    assert found is not None
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.stem))
def test_every_example_is_accepted(path: Path) -> None:
    assert station(path).sensors


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_driver_has_an_example_of_its_name(driver: str) -> None:
    [path] = [path for path in EXAMPLES if path.stem == driver]
    assert driver in {str(sensor.__struct_config__.tag) for sensor in station(path).sensors.values()}
