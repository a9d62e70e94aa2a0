"""A refusal for good, after which boxes forget, is only what the store itself says, by a clock that is right."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from servers import influxd, victoria_metrics

from collector.points import Frame
from collector.stores import RejectedError, StoreError
from collector.stores.influx1 import Influx1Store
from collector.stores.victoria import VictoriaStore
from scripts.fault_matrix.faulty_http import WRITES, Fault, FaultyHttp

DAY_MS = 86_400_000
STRANGERS = {
    "the server itself, which expects TLS now": b"Client sent an HTTP request to an HTTPS server.\n",
    "nginx": b"<html><head><title>400 Bad Request</title></head></html>",
    "a gateway": b'{"message": "Bad Request"}',
}


def now_and(*ages_ms: int) -> Frame:
    """Samples of now and of some earlier times."""
    at = np.array([round(time.time() * 1000) - age for age in ages_ms])
    fields = {"pm2_5": np.ones(len(ages_ms))}
    return Frame(measurement="air", tags={"station": "air-01", "site": "a"}, at=at, fields=fields)


@pytest.mark.parametrize("body", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_at_the_store_s_address_refuses_nothing(body: bytes, tmp_path: Path) -> None:
    with influxd(tmp_path) as server, FaultyHttp(server.url) as proxy:
        store = Influx1Store(url=proxy.url, database="island")
        proxy.fault = Fault(kind="status", status=400, body=body, where=WRITES)
        with pytest.raises(StoreError, match=r"400: .*is it http or https") as failed:
            store.write([now_and(0)])
        assert not isinstance(failed.value, RejectedError), "or all packs would be given up as lost"
        proxy.fault = None
        store.write([now_and(0)])
        store.close()


@pytest.mark.parametrize(("days", "side"), [(-3, "behind"), (40, "ahead of")])
def test_victoriametrics_with_a_wrong_clock_refuses_nothing(
    days: int, side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with victoria_metrics(tmp_path, flags=["-retentionPeriod=30d"]) as server:
        store = VictoriaStore(url=server.url)
        store.write([now_and(0)])
        right = time.time  # the clocks of the boxes and ours are right, the server's is off by days
        monkeypatch.setattr("time.time", lambda: right() - days * 86_400)
        with pytest.raises(StoreError, match=f"{abs(days) * 24} h {side} the collector's: set both right") as failed:
            store.write([now_and(0)])
        assert not isinstance(failed.value, RejectedError), "or all packs would be given up as lost"
        store.close()


def test_influxdb_with_a_wrong_clock_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with influxd(tmp_path) as server:
        store = Influx1Store(url=server.url, database="island")
        store.write([now_and(0)])
        store._ask('ALTER RETENTION POLICY "autogen" ON "island" DURATION 30d')
        with pytest.raises(RejectedError, match="beyond retention policy"):
            store.write([now_and(40 * DAY_MS)])
        right = time.time
        monkeypatch.setattr("time.time", lambda: right() - 40 * 86_400)
        with pytest.raises(StoreError, match=r"beyond retention policy.*960 h ahead of the collector's") as failed:
            store.write([now_and(0)])
        assert not isinstance(failed.value, RejectedError)
        store.close()
