"""A collector that is killed and started again shows what it knew: over HTTP, on the real process."""

from __future__ import annotations

from pathlib import Path
from urllib.request import Request, urlopen

from city import plate
from paho.mqtt.publish import single
from processes import Centre, wait_until

from collector.settings import load
from collector.state import database, now_ms
from collector.web.access import Access, Role
from edge_agent.contract.events import Reading, Readings
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.quantities import BY_NAME
from edge_agent.contract.topics import up

PM2_5 = BY_NAME["pm2_5"]


def test_the_page_is_not_empty_after_a_restart(tmp_path: Path) -> None:
    centre = Centre(tmp_path, "amqtt")
    engine = database(load(centre.settings))
    access = Access(engine)

    def get(path: str, role: Role) -> str:
        token = access.issue(role, role, now_ms())
        request = Request(f"http://127.0.0.1:{centre.web_port}{path}", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())

    with centre.collector:
        centre.ready()
        at = now_ms() - 60_000
        reading = Readings(at=at, readings=(Reading(PM2_5.number, PM2_5.ticks(31.7)),))
        for device, kind, event in (("air-01", "readings", reading), ("cam-01", "plates", plate("68A12345", at=at))):
            auth = {"username": device, "password": centre.enrol(device)}
            payload = encode_pack(7, kind, [(1, event)])
            single(up(device, kind), payload, 1, port=centre.mqtt_port, client_id=device, auth=auth)
        wait_until(lambda: centre.count("SELECT count(*) FROM ledger_runs") == 2, 20, "both packs are stored")
        counted = get("/metrics", "operator").splitlines()
        assert 'collector_packs_total{kind="readings"} 1' in counted
        assert "collector_readings_total 1" in counted

        centre.collector.kill()
        wait_until(lambda: centre.collector.log.read_bytes().count(b"page: ") == 2, 30, "the page is served again")
        officer, police = get("/", "officer"), get("/", "police")
        assert "31,7" in officer
        assert "68A" in police and "12345" in police
        assert "12345" not in officer
    engine.dispose()
