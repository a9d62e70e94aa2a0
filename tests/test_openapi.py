"""The API against its own description: every path is in it, and hostile requests of every role get what it says.

SCHEMATHESIS_EXAMPLES sets how many requests are made of each operation and role (6 by default).
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import pytest
import schemathesis
from city import City, jpeg, plate
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import one_of
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from collector.web.access import ROLES, Role
from collector.web.app import make_app
from collector.web.guard import STATIC
from collector.web.openapi import describe
from collector.web.rates import Rate
from collector.web.routes import ROUTES
from edge_agent.contract.events import Lost

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "6"))
ENDLESS = {"/live", "/api/v1/alerts/stream"}
LIKELY = {
    "station": ["air-01", "sea-01"],
    "device": ["air-01", "sea-01"],
    "quantity": ["pm2_5", "ph"],
    "camera": ["cam-01"],
    "id": ["1", "2", "cam-01.7.1"],
    "start": ["2026-11-21T00:00:00Z"],
    "stop": ["2026-11-23T00:00:00+07:00"],
    "every": ["1h", "15m"],
    "day": ["2026-11-22"],
    "plate": ["68A12345", "68*", "?"],
}
"""What random text would never find."""
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
)


def test_every_path_is_described_and_nothing_else_is(city: City) -> None:
    app = make_app(city.context)
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith(STATIC)
    }
    described = {(method, path) for path, methods in describe(ROUTES)["paths"].items() for method in methods}
    assert served == described


async def test_it_is_served_to_whoever_has_a_token(city: City) -> None:
    answer = await city.get("technician", "/api/v1/openapi.json")
    assert answer["openapi"] == "3.1.0"
    assert answer["paths"]["/api/v1/plates"]["get"]["x-roles"] == ["police"]


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_hostile_requests_get_what_the_description_says(
    city: City, role: Role | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rate, "allows", lambda *_: True)  # test_web_limits_of_use.py is about these
    city.morning()
    for number, text in enumerate(("68A12345", "51K99999"), 1):
        city.arrive(number, plate(text, jpeg=jpeg(text)))
    city.watch("68A*")
    city.ledger.enter([("air-01", 7, (1, 5, 2, 1), None), ("air-01", 7, (6,), Lost(kind="wifi", reason="full"))])
    city.measure("air-01", "pm2_5", [20.0, float("nan"), 900.0], [1, 9, 4])
    with caplog.at_level(logging.ERROR):
        await asyncio.to_thread(hunt, city, role)
    assert not [record for record in caplog.records if record.exc_info], "an error that nobody foresaw"


def hunt(city: City, role: Role | None) -> None:
    """Ask every operation, with what its description allows and with what it does not."""
    description = describe(route for route in ROUTES if route.path not in ENDLESS | {"/login", "/logout"})
    for path in description["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if likely := LIKELY.get(parameter["name"]):
                    parameter["schema"] = {"anyOf": [{"enum": likely}, {"type": "string"}]}
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=city.url)
    headers = {} if role is None else {"Authorization": f"Bearer {city.tokens[role]}"}
    for result in schema.get_all_operations():
        operation = result.ok()
        everybody = operation.definition.raw.get("x-roles") is None
        probe(operation, headers, may=everybody or role in operation.definition.raw["x-roles"])


def probe(operation: Any, headers: dict[str, str], *, may: bool) -> None:
    """Make requests of one operation and look at the answers."""
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @seed(5)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=one_of(modes))
    def ask(case: Any) -> None:
        case.headers = {**dict(case.headers or {}), **headers}
        case.cookies = {}
        answer = case.call(timeout=10, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)
        if not may and answer.status_code not in (404, 405):  # a path that does not exist is nobody's
            assert answer.status_code in (401, 403, 303), answer.text

    ask()
