"""The proxy that spoils a server's answers: what it says it does, a client sees."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from scripts.fault_matrix.faulty_http import WRITES, Fault, FaultyHttp


class Echo(BaseHTTPRequestHandler):
    """Answers with what it got, and keeps it."""

    got: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append(body)
        self.send_response(204 if self.path == "/empty" else 200)
        self.send_header("X-Own", "kept")
        self.end_headers()
        if self.path != "/empty":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[FaultyHttp]:
    Echo.got.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with FaultyHttp(f"http://127.0.0.1:{server.server_port}") as proxy:
        yield proxy
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def http() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=0.5, retries=False)


def test_without_a_fault_everything_passes(proxy: FaultyHttp, http: urllib3.PoolManager):
    for _ in range(3):
        answer = http.request("POST", f"{proxy.url}/x?a=b", body=b"points")
        assert (answer.status, answer.data, answer.headers["X-Own"]) == (200, b"points", "kept")
    assert http.request("POST", f"{proxy.url}/empty", body=b"points").status == 204
    assert proxy.passed == 4 and Echo.got == [b"points"] * 4


def test_a_status_with_or_without_the_request_stored(proxy: FaultyHttp, http: urllib3.PoolManager):
    proxy.fault = Fault(kind="status", status=429, headers={"Retry-After": "2"})
    answer = http.request("POST", f"{proxy.url}/x", body=b"points")
    assert (answer.status, answer.headers["Retry-After"], Echo.got) == (429, "2", [])
    proxy.fault = Fault(kind="status", status=500, stored=True)
    assert http.request("POST", f"{proxy.url}/x", body=b"points").status == 500
    assert Echo.got == [b"points"] and proxy.spoiled == {"status": 2}


def test_a_false_success_only_where_it_is_asked(proxy: FaultyHttp, http: urllib3.PoolManager):
    proxy.fault = Fault(kind="false_success", where=WRITES)
    assert http.request("POST", f"{proxy.url}/write?db=x", body=b"points").status == 204
    assert Echo.got == []
    assert http.request("POST", f"{proxy.url}/query", body=b"points").status == 200


@pytest.mark.parametrize("path", ["/x", "/empty"])
@pytest.mark.parametrize("kind", ["half", "reset"])
def test_an_answer_that_breaks_off(proxy: FaultyHttp, http: urllib3.PoolManager, kind: str, path: str):
    proxy.fault = Fault(kind=kind)
    with pytest.raises(ProtocolError) as failed:
        http.request("POST", proxy.url + path, body=b"points" * 100)
    assert (kind == "reset") == ("reset" in str(failed.value).lower())
    assert len(Echo.got) == (kind == "half")
    proxy.fault = None
    assert http.request("POST", proxy.url + path, body=b"points").status in (200, 204)


@pytest.mark.parametrize("fault", [Fault(kind="slow", seconds=1.5), Fault(kind="silent", stored=True)])
def test_an_answer_that_does_not_come_in_time(proxy: FaultyHttp, http: urllib3.PoolManager, fault: Fault):
    proxy.fault = fault
    with pytest.raises(ReadTimeoutError):
        http.request("POST", f"{proxy.url}/x", body=b"points")
    assert Echo.got == [b"points"]
    proxy.fault = None
    assert http.request("POST", f"{proxy.url}/x", body=b"points").status == 200


def test_a_server_that_is_gone(http: urllib3.PoolManager):
    with FaultyHttp("http://127.0.0.1:9") as proxy, pytest.raises(HTTPError):
        http.request("POST", f"{proxy.url}/x", body=b"points")
