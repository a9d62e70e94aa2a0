"""Which store the settings name."""

from __future__ import annotations

from pathlib import Path

from collector.settings import DuckDbSettings, Influx1Settings, Influx2Settings, VictoriaSettings, secret
from collector.stores import Store

FILE = "timeseries.duckdb"
"""The embedded store, in the state folder."""


def open_store(settings: DuckDbSettings | Influx2Settings | Influx1Settings | VictoriaSettings, state: Path) -> Store:
    """Open the store; the library of each is loaded only where it is used."""
    if isinstance(settings, DuckDbSettings):
        from collector.stores.duckdb import DuckStore

        return DuckStore(state / FILE)
    if isinstance(settings, Influx2Settings):
        from collector.stores.influx import Influx2Store

        token = secret(settings.token_file, "store.token_file")
        return Influx2Store(
            url=settings.url,
            org=settings.org,
            bucket=settings.bucket,
            plates_bucket=settings.plates_bucket,
            token=token or "",
        )
    password = secret(settings.password_file, "store.password_file")
    if isinstance(settings, VictoriaSettings):
        from collector.stores.victoria import VictoriaStore

        return VictoriaStore(url=settings.url, user=settings.user, password=password)
    from collector.stores.influx1 import Influx1Store

    return Influx1Store(
        url=settings.url,
        database=settings.database,
        plates_database=settings.plates_database,
        user=settings.user,
        password=password,
    )
