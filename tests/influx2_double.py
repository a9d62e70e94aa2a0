"""The part of InfluxDB 2.x's API that provisioning uses, with a memory; written from its documented interface."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TIME = "2026-01-01T00:00:00Z"


class Influx2Double:
    """What was made, by kind."""

    def __init__(self) -> None:
        self.kept: dict[str, list[dict[str, Any]]] = {
            "orgs": [{"id": "00000000000000aa", "name": "island"}],
            **{kind: [] for kind in ("buckets", "tasks", "authorizations", "dashboards")},
        }
        self.changes: list[tuple[str, str]] = []
        """Method and path of everything that changed something."""

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, dict[str, Any]]:
        """One request."""
        if token != "Token all":
            return 401, {"code": "unauthorized", "message": "unauthorized access"}
        parts, asked = urlsplit(path).path.removeprefix("/api/v2/").split("/"), parse_qs(urlsplit(path).query)
        kind = parts[0]
        if method == "GET":
            names = asked.get("name", []) + asked.get("org", [])
            return 200, {kind: [each for each in self.kept[kind] if not names or each.get("name") in names]}
        self.changes.append((method, path))
        if kind == "dashboards" and len(parts) > 1:
            board = next(each for each in self.kept[kind] if each["id"] == parts[1])
            if method == "POST":
                board["cells"].append(body | {"id": f"{len(board['cells']):x}"})
                return 201, board["cells"][-1]
            board["cells"][int(parts[3], 16)]["view"] = body
            return 200, body
        if method == "PATCH":
            known = next(each for each in self.kept[kind] if each["id"] == parts[1])
            known |= {name: value for name, value in body.items() if value is not None}
            return 200, known
        made = body | {"id": f"{len(self.kept[kind]) + 1:016x}", "createdAt": TIME}
        if kind == "tasks":
            made |= {"name": body["flux"].split('"')[1]}
        if kind == "authorizations":
            made |= {"token": "the officers' token"}
        if kind == "dashboards":
            made |= {"cells": []}
        self.kept[kind].append(made)
        return 201, made

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Its address."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                status, said = double.answer(self.command, self.path, body, self.headers["Authorization"])
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - names of the standard library

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)
