"""No password, token, session, plate or MAC address stands in a log, an error page or /metrics, not even at DEBUG."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from city import plate
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from processes import FLEET, Centre, Program, wait_until
from servers import influxd
from sqlalchemy import create_engine
from test_access_point import settings_of, watching

from collector.web.access import Access, Role
from edge_agent.access_point.settings import SocketSettings
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.topics import up
from edge_agent.health import Health
from scripts.simulated_access_point import simulate_access_point

WATCHED, SEEN, SPOILT = "68A77701", "51K66602", "29B55503"
DEBUG = (
    "import logging, runpy, sys; logging.getLogger().setLevel(logging.DEBUG);"
    "basic = logging.basicConfig; logging.basicConfig = lambda **k: basic(**{**k, 'level': logging.DEBUG});"
    "sys.argv[:] = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=False)"
)
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)


def debugged(name: str, folder: Path, *command: str) -> Program:
    """A program of ours that logs everything."""
    return Program(name, [sys.executable, "-c", DEBUG, *command], folder)


def asked(url: str, headers: dict[str, str], body: bytes | None = None) -> str:
    """An answer with its headers, of an error too; cookies that are set are left out."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
            return f"{answer.status}\n{answer.read().decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        return f"{error.code}\n{error.read().decode(errors='replace')}"


def test_a_centre_under_all_kinds_of_trouble_tells_no_secret(tmp_path: Path) -> None:
    with influxd(tmp_path) as influx:
        port = influx.port
    store = f"kind: influx1, url: 'http://127.0.0.1:{port}', database: island"  # which is down
    centre = Centre(tmp_path, "amqtt", store)
    secrets = {device: centre.enrol(device) for device in ("air-01", "cam-01")}
    centre.state.mkdir(exist_ok=True)
    (tmp_path / "air-01.secret").write_text(secrets["air-01"])
    collector = debugged("collector", tmp_path, "collector", "run", str(centre.settings))
    sets = {
        "state": tmp_path / "box",
        "broker.host": "127.0.0.1",
        "broker.port": centre.mqtt_port,
        "broker.tls": "null",
        "broker.password_file": tmp_path / "air-01.secret",
        "health.every_s": 1,
    }
    given = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    box = debugged("box", tmp_path, "edge_agent", "run", str(FLEET / "devices" / "air-01.yaml"), *given)
    told: list[str] = []
    with collector, box:
        wait_until(lambda: b"broker: connected" in collector.log.read_bytes(), 40, "the collector connects")
        secrets |= tokens(centre)
        secrets["collector"] = (centre.state / "collector.password").read_text()
        told += [page(centre, secrets, role) for role in ("police", "technician", "operator")]
        with_plates(centre, secrets["cam-01"])
        wait_until(lambda: centre.count("SELECT count(*) FROM alerts") > 0, 30, "the alert")
        wait_until(lambda: centre.count("SELECT count(*) FROM quarantine") >= 3, 30, "what is spoilt is set aside")
        told += [page(centre, secrets, role) for role in ("technician", "operator")]
        (centre.state / "collector.sqlite").chmod(0o600)
        time.sleep(1)
    texts = {program.name: program.log.read_text(errors="replace") for program in (collector, box)}
    assert "DEBUG" in texts["collector"]
    assert "the boxes keep their data" in texts["collector"], "the store's failure was logged"
    texts["answers to those who may not see plates"] = "\n".join(told[1:])
    for where, text in texts.items():
        for name, secret in secrets.items():
            assert secret not in text, f"{name}'s secret in {where}"
        for seen in (WATCHED, SEEN, SPOILT):
            assert seen not in text, f"a plate in {where}"


def tokens(centre: Centre) -> dict[str, str]:
    """A token for each of some roles."""
    engine = create_engine(f"sqlite:///{centre.state / 'collector.sqlite'}")
    roles: tuple[Role, ...] = ("police", "technician", "operator")
    made = {role: Access(engine).issue(role, role, 0) for role in roles}
    engine.dispose()
    return made


def page(centre: Centre, secrets: dict[str, str], role: str) -> str:
    """What somebody is told by many addresses, right and wrong ones."""
    base = f"http://127.0.0.1:{centre.web_port}"
    headers = {"Authorization": f"Bearer {secrets[role]}"}
    told = [
        asked(base + path, headers)
        for path in (
            "/metrics",
            "/api/v1/ledger",
            "/api/v1/devices",
            f"/api/v1/plates?plate={SEEN}",
            f"/api/v1/readings?station={SEEN[:3]}&quantity=pm2_5",
            "/api/v1/readings?station=air-01&quantity=pm2_5",
            "/api/v1/plates/cam-01.7.1/picture",
            "/nothing",
        )
    ]
    expires = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    entry = {"pattern": WATCHED, "reason": "x", "expires": expires}
    told.append(asked(f"{base}/api/v1/watchlist", headers, msgspec.json.encode(entry)))
    own = {"Sec-Fetch-Site": "same-origin"}
    asked(f"{base}/login", own, f"token={secrets[role]}".encode())
    return "\n".join(told)


def with_plates(centre: Centre, password: str) -> None:
    """Good plates, one that is looked for, and spoilt ones of every kind."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="cam-01")
    client.username_pw_set("cam-01", password)
    client.connect("127.0.0.1", centre.mqtt_port)
    client.loop_start()
    at = time.time_ns() // 1_000_000
    good = encode_pack(7, "plates", [(1, plate(WATCHED, at=at)), (2, plate(SEEN, at=at))])
    whole: list[Any] = msgspec.msgpack.decode(encode_pack(7, "plates", [(3, plate(SPOILT, at=at))]))
    whole[2][0][3] = float("nan")
    spoilt = [
        msgspec.msgpack.encode(whole),
        encode_pack(7, "plates", [(4, plate(SPOILT, at=at))])[:-9],
        f'{{"plate": "{SPOILT}"}}'.encode(),
    ]
    for payload in (good, *spoilt, good, *spoilt):
        client.publish(up("cam-01", "plates"), payload, qos=1).wait_for_publish(10)
    client.publish(f"v1/up/cam-01/{SPOILT}", b"x", qos=1)
    client.disconnect()
    client.loop_stop()


async def test_an_access_point_tells_no_address_of_its_guests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    health = Health()
    async with asyncio.timeout(30), simulate_access_point(tmp_path / "radio", guests=5) as sets:
        settings = settings_of(sets)
        assert isinstance(settings.hostapd, SocketSettings)
        assert settings.leases is not None
        async with watching(settings, tmp_path / "state", health) as events:
            await events.get()
            leases = Path(settings.leases)
            assert MAC.search(leases.read_text()), "there is something to tell"
            leases.write_text(leases.read_text().replace(" ", "", 3))
            (Path(settings.hostapd.folder) / "wlan1").rename(Path(settings.hostapd.folder) / "gone")
            while not health.faults:
                await events.get()
    assert not MAC.search(caplog.text)
    assert not any(MAC.search(fault.text) for fault in health.faults)
