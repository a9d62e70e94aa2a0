"""The parts of InfluxDB 2.x's API that provisioning and writing use, with a memory; written from its documentation.

Of Flux it understands what asks whether a value is there; anything else is answered as a mistake of the asker.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TIME = "2026-01-01T00:00:00Z"
_LINE = re.compile(r"(?P<series>(?:\\.|[^ ])+) (?P<fields>.+) (?P<at>-?\d+)")
_FIELD = re.compile(r'(\w+)=("(?:\\.|[^"\\])*"|[^,]+)')
_ASKED = re.compile(
    r'from\(bucket: "(?P<bucket>\w+)"\) '
    r"\|> range\(start: time\(v: (?P<start>-?\d+)\), stop: time\(v: (?P<stop>-?\d+)\)\)"
    r" \|> filter\(fn: \(r\) => (?P<which>[^|]+)\)"
)
_ESCAPED, _BACKSLASH = re.compile("([,= ])"), r"\\\1"
_INTEGER = re.compile(r"-?\d+i")
_WHICH = re.compile(r'r\.(\w+) == "((?:\\.|[^"\\])*)"')


class Influx2Double:
    """What was made, by kind."""

    def __init__(self) -> None:
        self.kept: dict[str, list[dict[str, Any]]] = {
            "orgs": [{"id": "00000000000000aa", "name": "island"}],
            **{kind: [] for kind in ("buckets", "tasks", "authorizations", "dashboards")},
        }
        self.changes: list[tuple[str, str]] = []
        """Method and path of everything that changed something."""
        self.values: dict[tuple[str, str, str, int], str] = {}
        """What was written: by bucket, series as line protocol has it, field and nanoseconds."""

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

    def write(self, bucket: str, body: str) -> None:
        """Take lines."""
        for line in body.split("\n"):
            found = _LINE.fullmatch(line)
            assert found is not None, line
            for name, value in _FIELD.findall(found["fields"]):
                self.values[bucket, found["series"], name, int(found["at"])] = value

    def query(self, flux: str) -> str:
        """The values asked for, as annotated CSV."""
        found = _ASKED.fullmatch(flux)
        assert found is not None, flux
        which = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _WHICH.findall(found["which"])}
        measurement, field = which.pop("_measurement"), which.pop("_field")
        tags = "".join(f",{name}={_ESCAPED.sub(_BACKSLASH, which[name])}" for name in sorted(which))
        rows = [
            value
            for (bucket, series, name, at), value in self.values.items()
            if (bucket, series, name) == (found["bucket"], measurement + tags, field)
            and int(found["start"]) <= at < int(found["stop"])
        ]
        kind = "long" if all(_INTEGER.fullmatch(value) for value in rows) else "string"
        head = [
            f"#datatype,string,long,{kind}",
            "#group,false,false,false",
            "#default,_result,,",
            ",result,table,_value",
        ]
        cells = [value.removesuffix("i") if kind == "long" else json.dumps(value) for value in rows]
        return "\r\n".join([*head, *(f",,0,{cell}" for cell in cells)]) + "\r\n\r\n" if rows else "\r\n"

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Its address."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts, kind = urlsplit(self.path), "application/json"
                if parts.path == "/api/v2/write":
                    double.write(parse_qs(parts.query)["bucket"][0], text.decode())
                    status, data = 204, b""
                elif parts.path == "/api/v2/query":
                    status, data, kind = 200, double.query(json.loads(text)["query"]).encode(), "text/csv"
                else:
                    body, token = json.loads(text or b"{}"), self.headers["Authorization"]
                    status, said = double.answer(self.command, self.path, body, token)
                    data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
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
