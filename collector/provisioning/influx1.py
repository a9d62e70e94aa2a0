"""InfluxDB 1.x, by InfluxQL: databases, retention, five-minute means, users; checked against a real server, 1.6.7."""

# ruff: noqa: S608 - InfluxQL takes names as text: they are the settings' checked names and our own
from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from collector.errors import Failure
from collector.provisioning.steps import FIVE_MINUTES, OFFICER, State, Step, averaged, secret_in
from collector.settings import Influx1Settings
from edge_agent.contract.quantities import MEDIA

TIMEOUT_S = 10
RESAMPLED = "3h"
"""Data that come so late still reach the five-minute means."""
_NONE = "NO PRIVILEGES"


class Influx1:
    """A server, asked as its administrator; raises Failure with what it says."""

    def __init__(self, url: str, user: str | None, password: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers: dict[str, str] = urllib3.make_headers(basic_auth=f"{user}:{password or ''}") if user else {}
        self._http = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False)

    def ask(self, influxql: str) -> list[dict[str, Any]]:
        """The rows of one statement, with the name of their series; it may hold a password and is not repeated."""
        answer = self._post(influxql, self._headers)
        said = json.loads(answer.data) if answer.data[:1] == b"{" else {}
        wrong = said.get("error") or next((r["error"] for r in said.get("results", ()) if "error" in r), "")
        if answer.status == 401:
            raise Failure(f"{self._url}: {wrong}\n  give --admin and --admin-password-file of an administrator")
        if answer.status == 403:
            cure = "if it has no administrator yet: CREATE USER admin WITH PASSWORD '...' WITH ALL PRIVILEGES"
            raise Failure(f"{self._url}: {wrong}\n  {cure}")
        if answer.status >= 300 or wrong:
            raise Failure(f"{self._url} answers {answer.status}: {wrong or 'it does not seem to be InfluxDB 1.x'}")
        return [
            {"series": series.get("name", ""), **dict(zip(series["columns"], values, strict=True))}
            for result in said["results"]
            for series in result.get("series", ())
            for values in series.get("values", ())
        ]

    def asks_for_passwords(self) -> bool:
        """Whether it turns away who gives none; 403: it does, and waits for its first administrator."""
        return self._post("SHOW DATABASES", {}).status in {401, 403}

    def _post(self, influxql: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request("POST", f"{self._url}/query", fields={"q": influxql}, headers=headers)
        except HTTPError as error:
            raise Failure(f"{self._url} does not answer: {error}") from error


def steps(server: Influx1, settings: Influx1Settings, password: str | None, officer_file: Path) -> Iterator[Step]:
    """Everything that must be there, each as it stands when the ones before it are done."""
    databases = [name for name in (settings.database, settings.plates_database) if name is not None]
    for database in databases:
        there = database in _databases(server)
        yield _step(server, f"database {database}", f'CREATE DATABASE "{database}"', there=there)
    yield _kept(server, settings.database)
    for medium in MEDIA:
        yield _means(server, settings.database, medium)
    if settings.user is not None:
        yield from _user(server, settings.user, lambda: _given(password), dict.fromkeys(databases, "ALL PRIVILEGES"))
    none = {} if settings.plates_database is None else {settings.plates_database: _NONE}
    yield from _user(server, OFFICER, lambda: secret_in(officer_file), {settings.database: "READ", **none})


def _given(password: str | None) -> str:
    if not password:
        raise Failure("store.password_file: is missing\n  the collector's own user is not made without a password")
    return password


def _databases(server: Influx1) -> set[str]:
    return {row["name"] for row in server.ask("SHOW DATABASES")}


def _kept(server: Influx1, database: str) -> Step:
    policies = server.ask(f'SHOW RETENTION POLICIES ON "{database}"') if database in _databases(server) else []
    make = f'CREATE RETENTION POLICY "{FIVE_MINUTES}" ON "{database}" DURATION INF REPLICATION 1'
    there = any(policy["name"] == FIVE_MINUTES for policy in policies)
    return _step(server, f"retention policy {FIVE_MINUTES}, for ever", make, there=there)


def _means(server: Influx1, database: str, medium: str) -> Step:
    """The continuous queries of a medium, one for each quantity, since the flag of each is its own."""
    known = {row["name"]: row["query"] for row in server.ask("SHOW CONTINUOUS QUERIES") if row["series"] == database}
    todo, changed = [], False
    for quantity in averaged(medium):
        name = f"{medium}_{quantity}_5m"
        make = (
            f'CREATE CONTINUOUS QUERY "{name}" ON "{database}" RESAMPLE EVERY 5m FOR {RESAMPLED} BEGIN '
            f'SELECT mean("{quantity}") AS "{quantity}", count("{quantity}") AS "{quantity}_n" '
            f'INTO "{database}"."{FIVE_MINUTES}"."{medium}_5m" FROM "{database}"."autogen"."{medium}" '
            f'WHERE "{quantity}_flag" <= 2 GROUP BY time(5m), station, site END'
        )
        if name not in known:
            todo.append(make)
        elif _plain(known[name]) != _plain(make):
            changed = True
            todo += [f'DROP CONTINUOUS QUERY "{name}" ON "{database}"', make]

    def do() -> None:
        for influxql in todo:
            server.ask(influxql)

    state: State = "different" if changed else "missing" if todo else "there"
    return Step(what=f"{medium}_5m in {FIVE_MINUTES}, by continuous queries", state=state, do=do)


def _plain(influxql: str) -> str:
    return re.sub(r'["\s]+', " ", influxql.replace('"', "")).lower()


def _user(server: Influx1, user: str, password: Callable[[], str], rights: dict[str, str]) -> Iterator[Step]:
    def make() -> None:
        secret = password().replace("\\", "\\\\").replace("'", "\\'")
        server.ask(f"CREATE USER \"{user}\" WITH PASSWORD '{secret}'")

    def there() -> bool:
        return user in {row["user"] for row in server.ask("SHOW USERS")}

    yield Step(what=f"user {user}", state="there" if there() else "missing", do=make)
    known = {row["database"]: row["privilege"] for row in server.ask(f'SHOW GRANTS FOR "{user}"')} if there() else {}
    for database, right in rights.items():
        now = known.get(database, _NONE)
        state: State = "there" if now == right else "missing" if now == _NONE else "different"
        change = f'GRANT {right.removesuffix(" PRIVILEGES")} ON "{database}" TO "{user}"'
        if right == _NONE:
            change = f'REVOKE ALL PRIVILEGES ON "{database}" FROM "{user}"'
        yield Step(what=f"{right.lower()} on {database} for {user}", state=state, do=partial(server.ask, change))


def _step(server: Influx1, what: str, influxql: str, *, there: bool) -> Step:
    return Step(what=what, state="there" if there else "missing", do=partial(server.ask, influxql))
