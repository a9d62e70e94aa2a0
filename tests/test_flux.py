"""Every Flux text of ours is accepted by InfluxData's compiler: officers' questions, our own, tasks, dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from flux import complaints
from test_officers_document import IDS, QUESTIONS, query

from collector.provisioning.questions import QUESTIONS as SAVED
from collector.provisioning.questions import mean_task
from collector.stores import Series
from collector.stores.influx import Influx2Store
from collector.stores.requests import Witness
from edge_agent.contract.quantities import MEDIA

WRONG = {
    "a call that is not closed": ('from(bucket: "e" |> range(start: -1h)', "RPAREN"),
    "a function that there is not": ('from(bucket: "e") |> range(start: -1h) |> nosuch()', "nosuch"),
    "an argument that there is not": ('from(bucket: "e") |> range(begin: -1h)', "start"),
    "a filter that is no condition": ('from(bucket: "e") |> range(start: -1h) |> filter(fn: (r) => "x")', "bool"),
}


def test_the_compiler_finds_what_is_wrong() -> None:
    for found, (text, word) in zip(complaints([text for text, _ in WRONG.values()]), WRONG.values(), strict=True):
        assert any(word in complaint for complaint in found), (text, found)


def test_it_accepts_the_officers_questions() -> None:
    found = complaints([query(question, "flux") for question in QUESTIONS])
    assert dict(zip(IDS, found, strict=True)) == {name: [] for name in IDS}


def test_it_accepts_the_tasks_and_the_saved_questions() -> None:
    # what a dashboard's page gives to every text of its cells
    given = "option v = {timeRangeStart: -1h, timeRangeStop: now()}\n"
    texts = [mean_task(medium, "environment", "environment_five_minutes") for medium in MEDIA]
    texts += [given + text.replace("BUCKET", "environment") for text in SAVED.values()]
    assert complaints(texts) == [[] for _ in texts]


def test_it_accepts_what_the_store_asks() -> None:
    with listener() as (url, heard):
        store = Influx2Store(url=url, token="any", org="island", bucket="environment", plates_bucket="police")
        series = Series(measurement="air", station="air-01", quantity="pm2_5", start=0, stop=60_000)
        store.readings(series)
        store.readings(series, every_ms=60_000)
        store.tables("air", ["air-01", "air-02"], start=0, stop=60_000)
        store.tables("air", ["air-01"], start=0, stop=60_000, names=["pm2_5", "pm2_5_flag"])
        store.latest(since=0)
        store.counts("plates", 0, 60_000)
        store._has("environment", Witness(measurement="air", tags={"site": 'a "b" ${c} \\'}, field="pm2_5", at_ns=1))
        store.close()
    assert len(heard) == 8
    assert complaints(heard) == [[] for _ in heard]


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server that answers every query with nothing, and the Flux texts that it was asked."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["query"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True, scope="module")
def compiler() -> None:
    """Skip all where it cannot be had."""
    complaints([])
