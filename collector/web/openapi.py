"""The description of the API in OpenAPI 3.1, made of the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from collector.web.access import ROLES
from collector.web.answers import Error
from collector.web.context import json
from collector.web.guard import ROUTE_OF, Route

_REF = "#/components/schemas/{name}"
_PART = re.compile(r"{(\w+)(?::([^{}]*(?:{[^{}]*})?[^{}]*))?}")
"""A part of a path that varies, and its pattern."""


async def serve(request: web.Request) -> web.Response:
    """This description."""
    return json(describe(request.app[ROUTE_OF].values()))


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole description as JSON's values."""
    routes = list(routes)
    kinds = [kind for route in routes for kind in (route.query, route.body, route.answer) if kind is not None]
    _, components = msgspec.json.schema_components([Error, *kinds], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(_PART.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Smart island", "version": "1", "description": "Times are ISO 8601; errors say what to do."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    summary = (route.handler.__doc__ or "").split("\n", maxsplit=1)[0]
    operation: dict[str, Any] = {"summary": summary, "parameters": _parameters(route, components)}
    content: dict[str, Any] = {kind: {} for kind in route.media}
    if route.answer is not None:
        content["application/json"] = {"schema": _schema(route.answer)}
    done: dict[str, Any] = {"description": "Done."}
    refused = {"description": "Why not, and what to do.", "content": {"application/json": {"schema": _schema(Error)}}}
    operation["responses"] = {str(route.status): done | ({"content": content} if content else {}), "default": refused}
    if route.page:
        operation["responses"]["303"] = {"description": "To the login, or back from it.", "content": {"text/plain": {}}}
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(route.body)}},
        }
    if not route.public:
        operation["security"] = [{"token": []}, {"session": []}]
        may = [role for role, rights in ROLES.items() if route.right is None or route.right in rights]
        operation["x-roles"] = may
    return operation


def _parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name, pattern in _PART.findall(route.path):
        schema = {"type": "string"} | ({"pattern": f"^{pattern}$"} if pattern else {})
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if route.query is not None:
        struct = components[route.query.__name__]
        for name, schema in struct["properties"].items():
            required = name in struct["required"]
            parameters.append({"name": name, "in": "query", "required": required, "schema": _given(schema)})
    return parameters


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema: what may be left out cannot be given as null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema
