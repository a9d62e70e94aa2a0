"""What many tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from city import City
from servers import influxd

from collector.stores import Store
from collector.stores.duckdb import DuckStore
from collector.stores.influx1 import Influx1Store

Opens = Callable[[str], Store]


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    """A small city whose web server runs while the test does."""
    city = City(tmp_path)
    async with city.served():
        yield city
    city.close()


@pytest.fixture(scope="module", params=["duckdb", "influx1"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opens]:
    """What opens a store of each kind by a name: DuckDB, and a real InfluxDB 1.6.7 that the module shares."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        yield lambda name: DuckStore(folder / f"{name}.duckdb")
    else:
        with influxd(folder) as server:
            yield lambda name: Influx1Store(url=server.url, database=name)


@pytest.fixture
def store(stores: Opens, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store for the test alone, of each kind."""
    store = stores(request.node.originalname)
    yield store
    store.close()
