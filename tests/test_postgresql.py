"""PostgreSQL as the collector's database: what is said where it cannot be reached, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from servers import POSTGRESQL_PASSWORD, Server, postgresql
from sqlalchemy import text

from collector.errors import Failure
from collector.settings import Settings, SettingsError, load
from collector.state import database


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgresql(tmp_path_factory.mktemp("server")) as server:
        yield server


def settings(folder: Path, port: int, password: str = POSTGRESQL_PASSWORD, **changes: str) -> Settings:
    """Settings with these words for the database."""
    (folder / "secret").write_text(password)
    (folder / "secret").chmod(0o600)
    words = "".join(f", {key}: {value}" for key, value in changes.items())
    file = folder / "collector.yaml"
    file.write_text(
        f"state: {folder}\nfleet: {folder}\nplates: {{keep_days: 1, keep_hit_days: 1}}\n"
        f"database: {{kind: postgresql, port: {port}, password_file: {folder / 'secret'}{words}}}\n"
    )
    return load(file)


def opened(folder: Path, port: int, **changes: str) -> None:
    """Open the database and let go of it."""
    database(settings(folder, port, **changes)).dispose()


def test_tables_are_made_once(server: Server, tmp_path: Path) -> None:
    opened(tmp_path, server.port)
    opened(tmp_path, server.port)


@pytest.mark.parametrize(
    ("changes", "said", "cure"),
    [
        ({"password": "another"}, "password authentication failed", "ALTER ROLE collector LOGIN PASSWORD"),
        ({"name": "other"}, 'database "other" does not exist', "CREATE DATABASE other OWNER collector"),
        ({"user": "nobody"}, "password authentication failed", "ALTER ROLE nobody LOGIN PASSWORD"),
        ({"user": "guest", "password": "guest"}, "permission denied", "ALTER DATABASE collector OWNER TO guest"),
    ],
)
def test_what_is_refused_is_told_with_its_cure(
    server: Server, tmp_path: Path, changes: dict[str, str], said: str, cure: str
) -> None:
    if changes.get("user") == "guest":
        engine = database(settings(tmp_path, server.port))
        with engine.begin() as db:
            db.execute(text("CREATE ROLE guest LOGIN PASSWORD 'guest'"))
            db.execute(text("DROP SCHEMA public CASCADE"))
            db.execute(text("CREATE SCHEMA public"))
            db.execute(text("GRANT USAGE ON SCHEMA public TO guest"))
        engine.dispose()
    with pytest.raises(Failure) as failure:
        opened(tmp_path, server.port, **changes)
    assert said in str(failure.value)
    assert cure in str(failure.value)
    assert POSTGRESQL_PASSWORD not in str(failure.value)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(Failure, match=f"pg_isready -h 127.0.0.1 -p {port}"):
        opened(tmp_path, port)


def test_beyond_this_machine_it_needs_tls(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs tls"):
        opened(tmp_path, 5432, host="db.example")


def test_a_commit_is_on_disk_before_it_returns_also_where_the_server_was_set_otherwise(
    server: Server, tmp_path: Path
) -> None:
    engine = database(settings(tmp_path, server.port))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("ALTER ROLE collector SET synchronous_commit = off"))
    engine.dispose()
    with engine.connect() as db:
        assert db.scalar(text("SHOW synchronous_commit")) == "on"
    engine.dispose()
