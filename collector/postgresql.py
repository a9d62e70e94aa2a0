"""The relational state on a PostgreSQL server: how it is reached, and what to do where it cannot be."""

from __future__ import annotations

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DBAPIError

from collector.database import open_database
from collector.errors import Failure
from collector.settings import PostgresqlSettings

_CURES = (
    ("password authentication failed", "set it as in the file: ALTER ROLE {user} LOGIN PASSWORD '...'"),
    ("no password supplied", "put its password alone into a file and name that in database.password_file"),
    ("fe_sendauth", "put its password alone into a file and name that in database.password_file"),
    ("does not exist", "an administrator makes it: CREATE ROLE {user} LOGIN PASSWORD '...'; "
     "CREATE DATABASE {name} OWNER {user}"),
    ("permission denied", "the tables are this user's own: ALTER DATABASE {name} OWNER TO {user}, and in it "
     "ALTER SCHEMA public OWNER TO {user}"),
    ("must be owner", "the tables are this user's own: REASSIGN OWNED BY ... TO {user}"),
    ("pg_hba.conf", "let this machine in: a line for it in the server's pg_hba.conf, then reload the server"),
    ("too many", "raise max_connections: a collector needs up to 15"),
    ("remaining connection slots", "raise max_connections: a collector needs up to 15"),
    ("starting up", "it recovers; try again when it is ready"),
    ("certificate", "database.tls.ca must be the authority that signed the server's certificate, and the server's "
     "certificate be made for database.host"),
    ("SSL", "switch TLS on in the server (ssl = on), with a certificate of the authority in database.tls.ca"),
    ("translate host name", "is database.host right?"),
)  # fmt: skip
_ELSE = "does PostgreSQL run there, and listen for this machine? `pg_isready -h {host} -p {port}` says so"


def postgresql(settings: PostgresqlSettings, password: str | None) -> Engine:
    """Open the database and make the tables that are missing. Raises Failure with what to do."""
    url = URL.create("postgresql+psycopg", settings.user, password, settings.host, settings.port, settings.name)
    try:
        return open_database(url, _tls(settings))
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        cure = next((cure for sign, cure in _CURES if sign in said), _ELSE)
        where = f"database: {settings.user}@{settings.host}:{settings.port}/{settings.name}"
        known = {name: getattr(settings, name) for name in ("user", "name", "host", "port")}
        raise Failure(f"{where}: {said}\n  {cure.format(**known)}") from error


def _tls(settings: PostgresqlSettings) -> dict[str, str]:
    if settings.tls is None:
        return {"sslmode": "prefer"}
    options = {"sslmode": "verify-full", "sslrootcert": settings.tls.ca}
    if settings.tls.certificate is not None and settings.tls.key is not None:
        options |= {"sslcert": settings.tls.certificate, "sslkey": settings.tls.key}
    return options
