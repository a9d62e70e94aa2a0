"""Who may see what: every route for every role, and that everything about persons leaves a trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from city import HOUR, NOON, City, plate
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import DBAPIError

from collector.web.access import AUDIT, ROLES, SESSION_MS, SESSIONS, TOKENS
from collector.web.guard import COOKIE
from collector.web.routes import ROUTES

PICTURE = "/api/v1/plates/cam-01.7.1/picture"
READINGS = "/api/v1/readings?station=air-01&quantity=pm2_5"
CALIBRATE = "/api/v1/devices/air-01/calibration"
AVERAGES = READINGS.replace("readings", "averages")
CURVE = READINGS.replace("readings", "curve.png")
WATCH = {"pattern": "51K12345", "reason": "xe mất cắp", "expires": "2026-11-23T00:00:00Z"}

TECHNICAL = {"technician", "operator"}
EVERYBODY = {"technician", "officer", "police", "operator"}
MATRIX: dict[tuple[str, str], tuple[str, Any, set[str]]] = {
    # (method, path of the route): (what to ask for, body, who may); written out again on purpose
    ("GET", "/"): ("/", None, EVERYBODY),
    ("GET", "/live"): ("/live", None, EVERYBODY),
    ("POST", "/logout"): ("/logout", None, EVERYBODY),
    ("GET", "/metrics"): ("/metrics", None, {"operator"}),
    ("GET", "/api/v1/devices"): ("/api/v1/devices", None, EVERYBODY),
    ("GET", "/api/v1/openapi.json"): ("/api/v1/openapi.json", None, EVERYBODY),
    ("GET", "/api/v1/notices"): ("/api/v1/notices", None, EVERYBODY),
    ("GET", "/api/v1/readings"): (READINGS, None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/regulator"): ("/api/v1/regulator", None, {"officer", "operator"}),
    ("GET", "/api/v1/averages"): (AVERAGES, None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/aqi"): ("/api/v1/aqi?station=air-01", None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/gaps"): ("/api/v1/gaps?station=air-01", None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/curve.png"): (CURVE, None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/reports/{station}"): ("/api/v1/reports/air-01", None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/limits"): ("/api/v1/limits?station=air-01", None, {"technician", "officer", "operator"}),
    ("GET", "/api/v1/exceedances"): ("/api/v1/exceedances", None, {"technician", "officer", "operator"}),
    ("POST", "/api/v1/devices/{device}/calibration"): (CALIBRATE, {"sensor": "ph", "action": "end"}, {"technician"}),
    ("GET", "/api/v1/ledger"): ("/api/v1/ledger", None, TECHNICAL),
    ("GET", "/api/v1/plates"): ("/api/v1/plates", None, {"police"}),
    ("GET", "/api/v1/plates/{id}/picture"): (PICTURE, None, {"police"}),
    ("GET", "/api/v1/alerts"): ("/api/v1/alerts", None, {"police"}),
    ("GET", "/api/v1/alerts/stream"): ("/api/v1/alerts/stream", None, {"police"}),
    ("GET", "/api/v1/watchlist"): ("/api/v1/watchlist", None, {"police"}),
    ("POST", "/api/v1/watchlist"): ("/api/v1/watchlist", WATCH, {"police"}),
    ("DELETE", "/api/v1/watchlist/{id:[0-9]{1,9}}"): ("/api/v1/watchlist/1", None, {"police"}),
}
PUBLIC = {("GET", "/healthz"), ("GET", "/login"), ("POST", "/login")}


@pytest.fixture
async def city(tmp_path: Path, engine: Engine) -> AsyncIterator[City]:
    city = City(tmp_path, engine)
    city.watch("68A12345")
    city.arrive(1, plate())
    city.measure("air-01", "pm2_5", [20.0], [1])
    async with city.served():
        yield city
    city.close()


def trail(city: City) -> list[tuple[str, str, Any]]:
    """The audit, oldest first: who, what, parameters."""
    return [(line.who, line.what, msgspec.json.decode(line.parameters)) for line in reversed(city.access.trail())]


def test_every_route_is_judged_here() -> None:
    assert {(route.method, route.path) for route in ROUTES} == MATRIX.keys() | PUBLIC
    assert {(route.method, route.path) for route in ROUTES if route.public} == PUBLIC


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_every_route_for_every_role(city: City, role: str | None) -> None:
    async with city.session(role) as client:
        for (method, _), (path, body, may) in MATRIX.items():
            async with client.request(method, path, json=body, allow_redirects=False) as answer:
                page = path in ("/", "/logout")
                if role is None:
                    assert answer.status == (303 if page else 401), path
                elif role not in may:
                    assert answer.status == 403, path
                    said = await answer.json()
                    assert said["error"].keys() == said["what_to_do"].keys() == {"vi", "en"}
                else:
                    assert answer.status in (200, 201, 303), (path, await answer.text())


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}, {"Cookie": "session=x"}]
)
async def test_wrong_secrets(city: City, headers: dict[str, str]) -> None:
    async with city.session(None) as client, client.get("/api/v1/devices", headers=headers) as answer:
        assert answer.status == 401


async def test_roles_see_only_the_boxes_that_concern_them(city: City) -> None:
    seen = {}
    for role in ROLES:
        async with city.session(role) as client, client.get("/api/v1/devices") as answer:
            seen[role] = [device["device"] for device in await answer.json()]
    assert seen["police"] == ["cam-01"]
    assert seen["officer"] == ["air-01", "sea-01"]
    assert seen["technician"] == seen["operator"] == ["air-01", "ap-01", "cam-01", "sea-01"]


@pytest.mark.parametrize("role", ["officer", "technician", "operator"])
async def test_no_page_shows_plates_to_others(city: City, role: str) -> None:
    async with city.session(role) as client:
        async with client.get("/") as answer:
            page = await answer.text()
        async with client.get("/live") as answer:
            first = (await answer.content.readuntil(b"\n\n")) + (await answer.content.readuntil(b"\n\n"))
    assert "Thiết bị" in page
    for hidden in ("68A12345", "picture", "Cảnh báo", "xe mất cắp"):
        assert hidden not in page
        assert hidden not in first.decode()


async def test_secrets_are_not_in_the_database(city: City) -> None:
    session = city.access.open_session(city.tokens["police"], NOON)
    assert session is not None
    with city.engine.connect() as connection:
        kept = repr([*connection.execute(select(TOKENS)), *connection.execute(select(SESSIONS))])
    assert city.tokens["police"] not in kept
    assert session not in kept


async def test_revoked_tokens_and_ended_sessions(city: City) -> None:
    session = city.access.open_session(city.tokens["police"], NOON)
    assert session is not None
    who = city.access.holder(city.tokens["police"])
    assert who is not None and who.role == "police"
    assert city.access.session_holder(session, NOON + SESSION_MS - 1) == who
    assert city.access.session_holder(session, NOON + SESSION_MS) is None
    assert city.access.revoke("police-1", NOON) == 1
    assert city.access.holder(city.tokens["police"]) is None
    assert city.access.session_holder(session, NOON) is None
    assert city.access.open_session(city.tokens["police"], NOON) is None
    assert city.access.revoke("police-1", NOON) == 0


def test_no_token_of_an_unknown_role(tmp_path: Path) -> None:
    city = City(tmp_path)
    with pytest.raises(ValueError, match="technician, officer, police, operator"):
        city.access.issue("boss", "everything", NOON)  # type: ignore[arg-type]
    city.close()


async def test_every_look_at_persons_is_recorded(city: City) -> None:
    async with city.session("police") as client:
        for path in ("/api/v1/plates?plate=68A*", "/api/v1/plates?format=csv", PICTURE, "/api/v1/alerts"):
            async with client.get(path) as answer:
                assert answer.status == 200
        async with client.post("/api/v1/watchlist", json=WATCH) as answer:
            entry = (await answer.json())["id"]
        async with client.delete(f"/api/v1/watchlist/{entry}") as answer:
            assert answer.status == 200
        async with client.get("/") as answer:
            assert answer.status == 200
    async with city.session("officer") as client, client.get(PICTURE) as answer:
        assert answer.status == 403
    shown = trail(city)
    assert [(who, what) for who, what, _ in shown] == [
        ("police-1", "plates.search"),
        ("police-1", "plates.export"),
        ("police-1", "picture.view"),
        ("police-1", "alerts.list"),
        ("police-1", "watchlist.add"),
        ("police-1", "watchlist.remove"),
        ("police-1", "page.view"),
        ("officer-1", "refused"),
    ]
    parameters = [parameters for _, _, parameters in shown]
    assert parameters[0] == {"plate": "68A*"}
    assert parameters[2] == {"id": "cam-01.7.1"}
    assert parameters[4]["reason"] == "xe mất cắp"
    assert parameters[6] == {"plates": ["cam-01.7.1"], "alerts": [1]}
    assert parameters[7] == {"method": "GET", "path": PICTURE}
    assert {line.address for line in city.access.trail()} == {"127.0.0.1"}


async def test_the_audit_only_grows(city: City) -> None:
    who = city.access.holder(city.tokens["police"])
    assert who is not None
    city.access.record(who, "plates.search", {"plate": "68A*"}, now=NOON)
    for change in (update(AUDIT).values(who="nobody"), delete(AUDIT)):
        refused = pytest.raises(DBAPIError, match="append-only")
        with refused if city.engine.dialect.name == "sqlite" else nullcontext(), city.engine.begin() as connection:
            connection.execute(change)
    assert [(line.who, line.at) for line in city.access.trail()] == [("police-1", NOON)]


async def login(city: City, client: Any, token: str, **headers: str) -> int:
    """Log in as the page does; the status."""
    headers = {"Origin": city.url} | headers
    async with client.post("/login", data={"token": token}, headers=headers, allow_redirects=False) as answer:
        return int(answer.status)


async def test_the_cookie_is_kept_from_scripts_and_other_sites(city: City) -> None:
    async with city.session(None) as client:
        data, headers = {"token": city.tokens["police"]}, {"Origin": city.url}
        async with client.post("/login", data=data, headers=headers, allow_redirects=False) as answer:
            cookie = answer.cookies[COOKIE]
            assert (answer.status, answer.headers["Location"]) == (303, "/")
        assert cookie["httponly"] and cookie["samesite"] == "Strict"
        assert cookie.value != city.tokens["police"]
        data, headers = {"token": city.tokens["police"]}, {"Origin": city.url, "X-Forwarded-Proto": "https"}
        async with client.post("/login", data=data, headers=headers, allow_redirects=False) as answer:
            assert answer.cookies[COOKIE]["secure"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "same", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "same"}, 201),
    ],
)
async def test_other_sites_cannot_write_with_the_cookie(city: City, headers: dict[str, str], status: int) -> None:
    if headers.get("Origin") == "same":
        headers = headers | {"Origin": city.url}
    async with city.session(None) as client:
        session = city.access.open_session(city.tokens["police"], NOON)
        async with client.post(
            "/api/v1/watchlist", json=WATCH, headers=headers | {"Cookie": f"{COOKIE}={session}"}
        ) as a:
            assert a.status == status
        assert await login(city, client, city.tokens["police"], **({"Origin": ""} | headers)) == (
            303 if status == 201 else 403
        )


async def test_logout_ends_the_session(city: City) -> None:
    session = city.access.open_session(city.tokens["officer"], NOON)
    headers = {"Cookie": f"{COOKIE}={session}", "Origin": city.url}
    async with city.session(None) as client:
        async with client.get("/api/v1/devices", headers=headers) as answer:
            assert answer.status == 200
        async with client.post("/logout", headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        async with client.get("/api/v1/devices", headers=headers) as answer:
            assert answer.status == 401


async def test_a_wrong_token_does_not_log_in(city: City) -> None:
    async with city.session(None) as client:
        assert await login(city, client, "wrong") == 403
        async with client.get("/", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login"


async def test_every_answer_wears_the_security_headers(city: City) -> None:
    async with city.session("police") as client:
        for path in ("/", "/healthz", "/nothing", PICTURE, "/api/v1/alerts", "/static/page.js", "/login"):
            async with client.get(path, allow_redirects=False) as answer:
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert path.startswith("/static/") or answer.headers["Cache-Control"] == "no-store"


async def test_a_session_of_the_page_lasts_a_working_day(city: City) -> None:
    session = city.access.open_session(city.tokens["officer"], NOON)
    headers = {"Cookie": f"{COOKIE}={session}"}
    async with city.session(None) as client:
        for hours, status in ((11, 200), (12, 401)):
            city.time = NOON + hours * HOUR
            async with client.get("/api/v1/devices", headers=headers) as answer:
                assert answer.status == status
