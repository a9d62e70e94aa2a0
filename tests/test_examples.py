"""The examples for technicians: every driver has one, and `edge-agent check` accepts them all.

Those of instruments that have no register map to trust are to be filled in, and refused until they are.
An example is a self-contained device file, as a box receives it: it has no levels, so it can be copied anywhere.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_agent.config import check_file, load
from edge_agent.errors import ConfigError
from edge_agent.station.settings import StationSettings, driver_structs

FOLDER = Path(__file__).parent.parent / "firmware_configs" / "examples"
TO_FILL_IN = [FOLDER / f"{name}.yaml" for name in ("hach", "endress-hauser", "scan-spectro")]
EXAMPLES = sorted(path for path in FOLDER.glob("*.yaml") if path not in TO_FILL_IN)
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


@pytest.mark.parametrize("path", TO_FILL_IN, ids=lambda path: str(path.stem))
def test_what_is_to_be_filled_in_is_refused_and_every_place_named(path: Path) -> None:
    with pytest.raises(ConfigError):
        load(path)
    text = [line.partition("#")[0] for line in path.read_text().splitlines()]
    places = {(n, m.start() + 1) for n, line in enumerate(text, start=1) for m in re.finditer("FILL-IN", line)}
    named = {(mistake.line, mistake.column) for mistake in check_file(path)}
    assert len(places) > 5
    assert places <= named
    assert any("'host'" in mistake.message for mistake in check_file(path))
