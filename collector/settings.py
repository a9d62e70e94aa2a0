"""The collector's one file of settings, checked as strictly as the boxes' files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from collector.averages.settings import AverageSettings
from collector.quality.settings import QualitySettings
from collector.regulator.settings import RegulatorSettings
from collector.standards.settings import StandardsSettings
from edge_agent.contract.broker import FilePath, TlsSettings
from edge_agent.contract.fleet import device_names
from edge_agent.contract.nodes import Mistake, locate, render, walk
from edge_agent.contract.secret_file import SecretFileError, read_secret
from edge_agent.contract.strict import build
from edge_agent.contract.yaml_nodes import read_yaml

Port = Annotated[int, Meta(ge=1, le=65535)]
Url = Annotated[str, Meta(pattern=r"^https?://[^/\s]+", title="an address such as http://127.0.0.1:8086")]
StoreName = Annotated[str, Meta(pattern=r'^[^"\\\n]{1,64}$')]
"""Of a bucket or database; without what ends a name in a query."""
ShareName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$", title="a name such as collectors")]
DatabaseName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]
_APART = "{} must not be {}: whoever reads the one could read the other; left out, plates are written without text"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SettingsError(Exception):
    """The file of settings cannot be used; the text names every mistake with its place."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class EmbeddedBroker(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="embedded"):
    """The broker that comes with the collector, for one machine; it has no TLS, so it stays on this machine."""

    host: str = "127.0.0.1"
    port: Port = 1883

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK:
            raise ValueError("the embedded broker has no TLS and listens on this machine only; use Mosquitto beyond it")


class BrokerSettings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="external"):
    """A broker that runs by itself, such as Mosquitto."""

    host: str
    port: Port = 8883
    user: str = "collector"
    password_file: FilePath | None = None
    tls: TlsSettings | None = None
    share: ShareName | None = None
    """Name of the group of collectors that share what the boxes send; the same for all of them."""

    def __post_init__(self) -> None:
        if self.tls is None and self.host not in LOOPBACK:
            raise ValueError("a broker on another machine needs tls: {ca: <its authority's certificate>}")


class SqliteSettings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="sqlite"):
    """The embedded database, a file in the state folder; for one collector."""


class PostgresqlSettings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="postgresql"):
    """A database on PostgreSQL 14 or newer, which several collectors may share. The tables are made in it."""

    host: str = "127.0.0.1"
    port: Port = 5432
    name: DatabaseName = "collector"
    user: DatabaseName = "collector"
    password_file: FilePath | None = None
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        if self.tls is None and self.host not in LOOPBACK:
            raise ValueError("a database on another machine needs tls: {ca: <its authority's certificate>}")


class DuckDbSettings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="duckdb"):
    """The embedded store, a file in the state folder."""


class Influx2Settings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="influx2"):
    """InfluxDB 2.x."""

    url: Url
    org: str
    bucket: StoreName
    plates_bucket: StoreName | None = None
    """Bucket for plates: environmental officers who read `bucket` must have no right to this one. Left out,
    plates go to `bucket` as what passed when, without the texts that tell which vehicle it was."""
    token_file: FilePath
    """Its token reads and writes in both buckets."""

    def __post_init__(self) -> None:
        if self.plates_bucket == self.bucket:
            raise ValueError(_APART.format("plates_bucket", "bucket"))


class Influx1Settings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="influx1"):
    """InfluxDB 1.x."""

    url: Url
    database: StoreName
    plates_database: StoreName | None = None
    """Database for plates: environmental officers who read `database` must have no right to this one. Left out,
    plates go to `database` as what passed when, without the texts that tell which vehicle it was."""
    user: str | None = None
    password_file: FilePath | None = None

    def __post_init__(self) -> None:
        if self.plates_database == self.database:
            raise ValueError(_APART.format("plates_database", "database"))


class VictoriaSettings(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="victoriametrics"):
    """VictoriaMetrics, a single server. It keeps no text: plates are there as what passed when."""

    url: Url
    user: str | None = None
    password_file: FilePath | None = None


class WebSettings(_Strict, frozen=True, kw_only=True):
    """The HTTP API and page."""

    host: str = "127.0.0.1"
    port: Port = 8080
    certificate: FilePath | None = None
    key: FilePath | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key work only together")
        if self.certificate is None and self.host not in LOOPBACK:
            raise ValueError("beyond this machine the page needs certificate and key (TLS)")


class PlateSettings(_Strict, frozen=True, kw_only=True):
    """How long personal data is kept. The law names no figure, so there is no default: decide and write it down."""

    keep_days: Annotated[
        float, Meta(gt=0, le=3650, description="Days for plates that nobody looked for, with their pictures")
    ]
    keep_hit_days: Annotated[
        float, Meta(gt=0, le=3650, description="Days for plates that raised an alert, with picture and alert")
    ]

    def __post_init__(self) -> None:
        if self.keep_hit_days < self.keep_days:
            raise ValueError("keep_hit_days is less than keep_days")


class Settings(_Strict, frozen=True, kw_only=True):
    """Everything that a collector is told."""

    state: Annotated[FilePath, Meta(description="Folder for the databases and the password file")]
    fleet: Annotated[FilePath, Meta(description="Folder with fleet.yaml, types/ and devices/")]
    plates: Annotated[
        PlateSettings, Meta(description="How long personal data is kept: {keep_days: ..., keep_hit_days: ...}")
    ]
    broker: EmbeddedBroker | BrokerSettings = EmbeddedBroker()
    store: DuckDbSettings | Influx2Settings | Influx1Settings | VictoriaSettings = DuckDbSettings()
    database: SqliteSettings | PostgresqlSettings = SqliteSettings()
    web: WebSettings = WebSettings()
    quality: QualitySettings = QualitySettings()
    averages: AverageSettings = AverageSettings()
    standards: StandardsSettings = StandardsSettings()
    regulator: RegulatorSettings | None = None
    expected_every_s: Annotated[int, Meta(ge=5, le=86_400)] = 180
    """A box from which nothing came for so long is late."""
    short_days: Annotated[float, Meta(ge=0, le=3650)] = 3
    """A box that cannot send is named on the page once its outbox has room for less than so many days."""

    def __post_init__(self) -> None:
        embedded = isinstance(self.database, SqliteSettings) or isinstance(self.store, DuckDbSettings)
        if isinstance(self.broker, BrokerSettings) and self.broker.share is not None and embedded:
            raise ValueError(
                "collectors that share (broker.share) need a database and a store that all of them reach: "
                "database: {kind: postgresql, ...} and a store that is a server"
            )


def load(path: Path) -> Settings:
    """Read the file. Raises SettingsError with every mistake."""
    settings, mistakes = read(path)
    if settings is None or mistakes:
        raise SettingsError(listed(mistakes))
    return settings


def read(path: Path) -> tuple[Settings | None, list[Mistake]]:
    """The settings, and all mistakes; with mistakes the first may be partial."""
    node, mistakes = read_yaml(path)
    if node is None:
        return None, mistakes
    settings, more = build(node, Settings)
    mistakes += more
    if settings is not None:
        stations = device_names(Path(settings.fleet))
        found = [("quality", mistake) for mistake in settings.quality.mistakes(stations)]
        if settings.regulator is not None:
            servers = {str(path[2]) for path, _, _ in walk(node) if path[:2] == ("regulator", "servers") and path[2:]}
            found += [("regulator", mistake) for mistake in settings.regulator.mistakes(stations, servers)]
        for part, (below, message, hint) in found:
            place = (part, *below)
            mistakes.append(Mistake.at(locate(node, place), render(place), message, hint))
    return settings, sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column))


def secret(file: str | None, key: str) -> str | None:
    """What a secret's file holds. Raises SettingsError if it cannot be read."""
    if file is None:
        return None
    try:
        return read_secret(file)
    except SecretFileError as error:
        raise SettingsError(f"{key}: {error}\n  put the secret alone into this file, mode 600") from error


def listed(mistakes: list[Mistake]) -> str:
    """Every mistake with its cure, a line each."""
    return "\n".join(f"{mistake}\n  {mistake.hint}" if mistake.hint else str(mistake) for mistake in mistakes)
