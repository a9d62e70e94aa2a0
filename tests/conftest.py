"""What many tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from city import City
from hypothesis import settings
from servers import POSTGRESQL_PASSWORD, Server, influxd, postgresql
from sqlalchemy import URL, Engine, text

from collector.database import open_database
from collector.stores import Store
from collector.stores.duckdb import DuckStore
from collector.stores.influx1 import Influx1Store

settings.register_profile("here", deadline=None)  # figures are measured elsewhere, and a machine may be busy
settings.load_profile("here")
Opens = Callable[[str], Store]


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL for all tests of one process."""
    with postgresql(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of each kind, with the collector's tables."""
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}")
    else:
        port = request.getfixturevalue("postgresql_server").port
        url = URL.create("postgresql+psycopg", "collector", POSTGRESQL_PASSWORD, "127.0.0.1", port, "collector")
        before = open_database(url)
        with before.begin() as db:
            db.execute(text("DROP SCHEMA public CASCADE"))
            db.execute(text("CREATE SCHEMA public"))
        before.dispose()
        engine = open_database(url)
    yield engine
    engine.dispose()


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
