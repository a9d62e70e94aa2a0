"""Stores whose server fails in every way that HTTP allows: no yes that is not true, and soon at work again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from itertools import count
from pathlib import Path

import pytest
from disks import fill, small_disk
from frames import air, series
from ports import free_port
from servers import influxd, victoria_metrics

from collector.stores import RejectedError, Store, StoreError
from collector.stores import server as server_module
from collector.stores.influx1 import Influx1Store
from collector.stores.server import LONGEST_REST_S, seconds
from collector.stores.victoria import VictoriaStore
from scripts.fault_matrix.faulty_http import WRITES, Fault, FaultyHttp

LIMIT_S = 0.4
STATION = (f"air-{number}" for number in count(10))
FRAMES = [air(pm2_5=[1, 2, 3], pm2_5_flag=[1, 1, 1]), air("air-02", pm2_5=[4], pm2_5_flag=[1])]
STORES = {
    "influx1": (influxd, Influx1Store, {"database": "island"}),
    "victoriametrics": (victoria_metrics, VictoriaStore, {}),
}
FAULTS = {
    "503": (
        Fault(kind="status", status=503),
        "answers 503: no room; it has too much to do, starts, or its disk is full",
    ),
    "500": (Fault(kind="status", status=500), "answers 500: no room; its own log says more"),
    "500 though stored": (Fault(kind="status", status=500, stored=True, where=WRITES), "answers 500"),
    "502": (Fault(kind="status", status=502, body=b"<html>"), "502: <html>; something stands before it"),
    "a redirection": (Fault(kind="status", status=301, headers={"Location": "/"}), "answers 301"),
    "too late": (Fault(kind="slow", seconds=2 * LIMIT_S), "nothing within 0.4 s: is it overloaded, or its disk full"),
    "never": (Fault(kind="silent"), "nothing within 0.4 s"),
    "half an answer": (Fault(kind="half"), "does not answer: .*does it run"),
    "a reset": (Fault(kind="reset"), "does not answer: .*reset"),
    "a reset though stored": (Fault(kind="reset", stored=True, where=WRITES), "does not answer: .*reset"),
    "a yes without the points": (
        Fault(kind="false_success", where=WRITES),
        "said yes but has not got what it was sent",
    ),
    "nonsense instead of JSON": (Fault(kind="status", status=200, body=b"OK"), "answers what .* does not: b'OK'"),
    "JSON of another kind": (Fault(kind="status", status=200, body=b"[1]"), r"answers what .* does not: b'\[1\]'"),
}


@pytest.fixture(scope="module", params=STORES)
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Kind and address of a real server."""
    with STORES[request.param][0](tmp_path_factory.mktemp(request.param)) as server:
        yield request.param, server.url


@pytest.fixture
def proxy(behind: tuple[str, str]) -> Iterator[FaultyHttp]:
    with FaultyHttp(behind[1]) as proxy:
        yield proxy


@pytest.fixture
def store(behind: tuple[str, str], proxy: FaultyHttp) -> Iterator[Store]:
    _, make, more = STORES[behind[0]]
    store = make(url=proxy.url, **more)
    yield store
    store.close()


@contextmanager
def spoiled(proxy: FaultyHttp, fault: Fault) -> Iterator[None]:
    """A fault for a while, with a short limit where it makes the store wait."""
    with pytest.MonkeyPatch.context() as patch:
        if fault.kind in ("slow", "silent"):
            patch.setattr(server_module, "TIMEOUT_S", LIMIT_S)
        proxy.fault = fault
        yield
        proxy.fault = None


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
def test_no_yes_that_is_not_true_and_at_work_again_at_once(proxy: FaultyHttp, store: Store, fault: Fault, said: str):
    station = next(STATION)
    store.write([air(station, pm2_5=[1, 2, 3], pm2_5_flag=[1, 1, 1])])
    with spoiled(proxy, fault):
        for _ in range(2):
            with pytest.raises(StoreError, match=said) as failed:
                store.write([air(station, first=3, pm2_5=[5], pm2_5_flag=[1])])
            assert not isinstance(failed.value, RejectedError)
    store.write([air(station, first=3, pm2_5=[5], pm2_5_flag=[1])])
    assert [row.value for row in store.readings(series(station=station))] == [1, 2, 3, 5]


def test_what_the_server_had_before_proves_nothing_of_its_yes(proxy: FaultyHttp, store: Store):
    """Revised flags, and packs that come again, stand beside what is new."""
    station = next(STATION)
    again = air(station, pm2_5=[1.5] * 1000, pm2_5_flag=[1] * 1000)
    store.write([again])
    proxy.fault = Fault(kind="false_success", where=WRITES)
    for _ in range(20):
        with pytest.raises(StoreError, match="said yes but has not got"):
            store.write([again, air(station, first=1000, pm2_5=[2], pm2_5_flag=[1])])
    proxy.fault = None
    for _ in range(20):
        store.write([again])


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS.values() if not fault.where])
def test_questions_fail_as_clearly(proxy: FaultyHttp, store: Store, fault: Fault):
    store.write(FRAMES)
    with spoiled(proxy, fault):
        with pytest.raises(StoreError):
            store.readings(series())
        with pytest.raises(StoreError):
            store.latest(0)


def test_a_server_that_asks_for_rest_gets_it(proxy: FaultyHttp, store: Store):
    proxy.fault = Fault(kind="status", status=429, headers={"Retry-After": "1"})
    with pytest.raises(StoreError, match="429: no room; it asks to be left alone for 1 s; it has too much to do"):
        store.write(FRAMES)
    proxy.fault, before = None, proxy.passed
    with pytest.raises(StoreError, match="asked for a rest"):
        store.write(FRAMES)
    assert proxy.passed == before, "nothing was sent"
    store.latest(0)  # questions are no burden
    time.sleep(1)
    store.write(FRAMES)


def test_rest_is_bounded_whatever_is_asked():
    assert [seconds(asked) for asked in ("2", "0.5", "-3", "1e9", "nan", "soon", "", None)] == [
        *(2, 0.5, 0, LONGEST_REST_S, 0, 0, 0, 0)
    ]
    assert 25 < seconds(formatdate(time.time() + 30, usegmt=True)) <= 30
    assert seconds(formatdate(time.time() + 1e6, usegmt=True)) == LONGEST_REST_S


def test_what_influx_1_will_not_keep_is_a_refusal(tmp_path: Path):
    with influxd(tmp_path) as server:
        store = Influx1Store(url=server.url, database="island")
        store.write(FRAMES)
        store._ask('ALTER RETENTION POLICY "autogen" ON "island" DURATION 30d')
        with pytest.raises(RejectedError, match="400: partial write: points beyond retention policy dropped=2"):
            store.write([air(first=-1440 * 400, pm2_5=[1])])


@pytest.mark.parametrize("kind", STORES)
def test_a_full_disk_under_the_server(kind: str, tmp_path: Path):
    """InfluxDB 1.x refuses from then on, VictoriaMetrics ends: both are started again; what they took is there."""
    start, make, more = STORES[kind]
    port, taken = free_port(), 1
    with small_disk(tmp_path / "disk", 28) as disk:
        with start(disk, port) as server:
            store = make(url=server.url, **more)
            store.write([air(pm2_5=[1.0] * 100)])
            fill(disk / "ballast")
            with pytest.raises(StoreError, match=r"no space left.* make room|ends when its disk is full"):
                while taken < 100:
                    store.write([air(first=1000 * taken, pm2_5=[1.5] * 100)])
                    taken += 1
            for _ in range(2):
                with pytest.raises(StoreError):
                    store.write([air(first=1000 * taken, pm2_5=[1.5] * 100)])
            (disk / "ballast").unlink()
        with start(disk, port):
            assert len(store.readings(series())) == 100 * taken
            store.write([air(first=1000 * taken, pm2_5=[1.5] * 100)])
            assert len(store.readings(series())) == 100 * (taken + 1)
        store.close()


def test_a_server_that_is_not_there():
    store = Influx1Store(url=f"http://127.0.0.1:{free_port()}", database="island")
    with pytest.raises(StoreError, match="does not answer: no connection: does it run, and is the address right"):
        store.write(FRAMES)
