"""A proxy before a real HTTP server that spoils its answers as told: what a store does to the collector on bad days.

    with FaultyHttp(influx.url) as proxy:
        store = Influx1Store(url=proxy.url, database="island")
        proxy.fault = Fault(kind="status", status=503)
        ...
        proxy.fault = None      # passes everything on again

Without a fault every request goes to the server and its answer comes back unchanged. A fault holds for every request
whose path and query `where` is found in until it is replaced; a request under way keeps the fault that it began with.
May be told from any thread. The server behind may be killed and started again at the same port; while it is gone the
connection is closed without an answer.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import msgspec

Kind = Literal["status", "slow", "half", "false_success", "reset", "silent"]
WRITES = r"^/(api/v2/)?write|^/api/v1/import"
"""The paths to which InfluxDB and VictoriaMetrics are sent points."""
SERVER_S = 60
_NOT_PASSED_ON = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"})
_LINGER_NONE = struct.pack("ii", 1, 0)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to a request.

    `status`: the answer is `status` with `headers` and `body`. `slow`: the true answer comes `seconds` late. `half`:
    half of the true answer, then the connection is closed. `false_success`: 204, though the server has got nothing.
    `reset`: the connection is reset. `silent`: the request is taken and never answered.
    """

    kind: Kind
    status: int = 503
    headers: dict[str, str] = {}
    body: bytes = b"no room\n"
    seconds: float = 30.0
    stored: bool = False
    """Whether the server gets the request all the same (`slow` and `half`: always), so that only its answer is lost."""
    where: str = ""
    """Part of the path and query that a request must have, an expression such as `WRITES`; all have the empty one."""


class FaultyHttp:
    """The proxy; it listens on `port` of 127.0.0.1 (0: any) while it is entered."""

    def __init__(self, behind: str, port: int = 0) -> None:
        self.fault: Fault | None = None
        self.spoiled: Counter[Kind] = Counter()
        """How many requests met a fault."""
        self.passed = 0
        """How many did not."""
        self._behind = urlsplit(behind).netloc
        self._ends = threading.Event()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="faulty http")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.set()
        self._server.shutdown()
        self._server.close_all()
        self._server.server_close()
        self._thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = proxy.fault
                if fault is not None and re.search(fault.where, self.path):
                    proxy.spoiled[fault.kind] += 1
                    proxy._spoil(self, body, fault)
                elif (answer := proxy._ask(self, body)) is not None:
                    proxy.passed += 1
                    _answer(self, *answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _spoil(self, request: BaseHTTPRequestHandler, body: bytes, fault: Fault) -> None:
        if fault.kind in ("slow", "half"):
            answer = self._ask(request, body)
            if answer is None:
                return
            if fault.kind == "slow":
                self._ends.wait(fault.seconds)
                _answer(request, *answer)
            else:
                _answer(request, *answer, half=True)
            return
        if fault.stored:
            self._ask(request, body)
        if fault.kind == "status":
            _answer(request, fault.status, fault.headers, fault.body)
        elif fault.kind == "false_success":
            _answer(request, 204, {}, b"")
        elif fault.kind == "silent":
            self._ends.wait()
            request.close_connection = True
        else:
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            request.close_connection = True

    def _ask(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """The server's answer; None, and the connection ends, where it gives none."""
        server = http.client.HTTPConnection(self._behind, timeout=SERVER_S)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
            server.request(request.command, request.path, body or None, headers)
            answer = server.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except (OSError, http.client.HTTPException):
            request.close_connection = True
            return None
        finally:
            server.close()


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that those that hang can be ended."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection as its options say: at once where it is to be reset."""
        self._open.discard(request)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is what this is for."""

    def close_all(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _answer(
    request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, *, half: bool = False
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        if name.lower() not in _NOT_PASSED_ON:
            request.send_header(name, value)
    if status != 204:
        request.send_header("Content-Length", str(len(body)))
    if not half:
        request.end_headers()
        request.wfile.write(body)
        return
    request.close_connection = True
    if body:
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
    else:  # breaks off within the status line: a client may take a whole one for an answer
        request.wfile.write(b"".join(request._headers_buffer)[:10])  # type: ignore[attr-defined]
