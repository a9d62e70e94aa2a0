"""What a collector's settings lead to: its database, the fleet, the broker and the passwords; and what time it is."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from sqlalchemy import Engine

from collector.credentials import write_secret
from collector.postgresql import postgresql
from collector.settings import BrokerSettings, PostgresqlSettings, Settings, SettingsError, listed, secret
from collector.sqlite import sqlite
from collector.standards.table import Row, read_limits
from edge_agent.contract.device import COLLECTOR, Box
from edge_agent.contract.fleet import read_fleet


def now_ms() -> int:
    """Milliseconds since 1970 in UTC."""
    return time.time_ns() // 1_000_000


def database(settings: Settings) -> Engine:
    """The collector's relational database; its tables are made if they are missing.

    Raises SettingsError for files that cannot be read, Failure where file or server does not let us in.
    """
    if isinstance(settings.database, PostgresqlSettings):
        return postgresql(settings.database, secret(settings.database.password_file, "database.password_file"))
    return sqlite(_folder(settings) / "collector.sqlite")


def password_file(settings: Settings) -> Path:
    """The boxes' MQTT passwords."""
    return _folder(settings) / "boxes.passwords"


def _folder(settings: Settings) -> Path:
    folder = Path(settings.state)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        cure = "it must be a folder that belongs to the user that runs the collector"
        raise SettingsError(f"state: {error.strerror}: {error.filename}\n  {cure}") from error
    return folder


def fleet(settings: Settings) -> dict[str, Box]:
    """The fleet's boxes. Raises SettingsError if a file is wrong."""
    boxes, mistakes = read_fleet(Path(settings.fleet))
    if mistakes:
        raise SettingsError(listed(mistakes))
    return boxes


def limits(settings: Settings) -> tuple[Row, ...]:
    """The table of legal limits. Raises SettingsError if it is wrong."""
    rows, mistakes = read_limits(Path(settings.fleet))
    if mistakes:
        raise SettingsError(listed(mistakes))
    return rows


def broker_access(settings: Settings) -> tuple[BrokerSettings, str | None]:
    """Where the broker is and the collector's password for it; that of the embedded broker is made here."""
    if isinstance(settings.broker, BrokerSettings):
        return settings.broker, secret(settings.broker.password_file, "broker.password_file")
    file = _folder(settings) / "collector.password"
    if not file.exists():
        write_secret(file, secrets.token_urlsafe(24))
    return BrokerSettings(host=settings.broker.host, port=settings.broker.port, user=COLLECTOR), file.read_text()
