"""Boxes and collector known by certificates alone, on a real Mosquitto with the settings that are shipped."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from authority import Authority as Strange
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from processes import FLEET, Centre, Program, wait_until

from collector import certificate_watch
from collector.__main__ import main
from collector.authority import Authority
from collector.credentials import access_list
from collector.settings import load
from edge_agent.certificate import PART, check_name, watch
from edge_agent.contract.broker import TlsSettings, read_certificate
from edge_agent.errors import ConfigError
from edge_agent.health import Health
from edge_agent.settings import BrokerSettings

SHIPPED = FLEET / "mosquitto.conf"


class City:
    """An authority of ours, and a collector and Mosquitto as docs/certificates.md says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "authority")
        self.centre = Centre(folder, "mosquitto")
        certificate, key = self.authority.issue("broker", days=300, addresses=["127.0.0.1"])
        (folder / "access").write_text(access_list())
        self.conf = folder / "mosquitto.conf"
        text = SHIPPED.read_text().replace("listener 8883", f"user root\nlistener {self.centre.mqtt_port} 127.0.0.1")
        for shipped, real in (
            ("/etc/mosquitto/certs/ca.pem", self.authority.ca),
            ("/etc/mosquitto/certs/broker.pem", certificate),
            ("/etc/mosquitto/certs/broker.key", key),
            ("/etc/mosquitto/certs/crl.pem", self.authority.crl),
            ("/etc/mosquitto/access", folder / "access"),
        ):
            text = text.replace(shipped, str(real))
        self.conf.write_text(text)
        mine, key = self.authority.issue("collector", days=300)
        tls = f"tls: {{ca: {self.authority.ca}, certificate: {mine}, key: {key}}}"
        settings = self.centre.settings.read_text()
        self.centre.settings.write_text(re.sub(r"password_file: [^},]*", tls, settings))

    def box(self, device: str, chain: tuple[Path, Path] | None) -> Program:
        """An agent that shows `chain`."""
        sets = {
            "state": self.folder / device,
            "broker.host": "127.0.0.1",
            "broker.port": self.centre.mqtt_port,
            "broker.password_file": "null",
            "broker.tls.ca": self.authority.ca,
            "health.every_s": 1,
        }
        if chain is not None:
            sets |= {"broker.tls.certificate": chain[0], "broker.tls.key": chain[1]}
        arguments = [argument for key, value in sets.items() for argument in ("--set", f"{key}={value}")]
        file = str(FLEET / "devices" / f"{device}.yaml")
        return Program(device, [sys.executable, "-m", "edge_agent", "run", file, *arguments], self.folder)

    def stored(self, device: str) -> bool:
        """Whether anything of a box is in the ledger."""
        return self.centre.count(f"SELECT count(*) FROM ledger_runs WHERE device = '{device}'") > 0


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    city = City(tmp_path_factory.mktemp("city"))
    assert city.centre.mosquitto is not None
    with city.centre.mosquitto, city.centre.collector:
        city.centre.ready()
        yield city


def says(program: Program, text: str) -> None:
    wait_until(lambda: text in program.log.read_text(), 30, f"{program.name} says {text!r}")
    assert "Traceback" not in program.log.read_text()


def test_a_box_is_known_by_its_certificate_and_needs_no_password(city: City) -> None:
    with city.box("air-01", city.authority.issue("air-01", days=300)) as box:
        wait_until(lambda: city.stored("air-01"), 30, "a heartbeat is stored")
        assert box.stop() == 0


def expired(city: City) -> tuple[Path, Path]:
    """A certificate that our authority signed and that ended yesterday."""
    home = city.folder / "expired"
    home.mkdir()
    ca = city.authority.ca
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout air-02.key"
    for command in (
        f"req {new_key} -out air-02.csr -subj /CN=air-02",
        f"x509 -req -in air-02.csr -CA {ca} -CAkey {ca.with_name('ca.key')} -days -1 -out air-02.pem",
    ):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=home)
    return home / "air-02.pem", home / "air-02.key"


def revoked(city: City) -> tuple[Path, Path]:
    """Copies of a certificate that was revoked afterwards; Mosquitto reads the new list."""
    certificate, key = city.authority.issue("air-02", days=300)
    copies = city.folder / "air-02.revoked.pem", city.folder / "air-02.revoked.key"
    copies[0].write_bytes(certificate.read_bytes())
    copies[1].write_bytes(key.read_bytes())
    assert main(["certificate", str(city.folder / "authority"), "air-02", "--revoke"]) == 0
    assert city.centre.mosquitto is not None
    os.kill(city.centre.mosquitto.pid, signal.SIGHUP)
    time.sleep(0.5)
    return copies


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("none", "it asks for a certificate and we have none: set broker.tls.certificate and key"),
        ("strange", "it does not know the authority that signed our certificate"),
        ("expired", "our certificate has ended"),
        ("revoked", "our certificate was revoked"),
    ],
)
def test_whom_the_broker_refuses_says_why_and_what_to_do(city: City, which: str, said: str) -> None:
    chain = {
        "none": lambda: None,
        "strange": lambda: Strange(city.folder / "strange").issue("air-02", "DNS:air-02"),
        "expired": lambda: expired(city),
        "revoked": lambda: revoked(city),
    }[which]()
    with city.box("air-02", chain) as box:
        says(box, said)
        assert box.stop() == 0
    assert not city.stored("air-02")


def test_a_certificate_that_was_replaced_is_taken_without_a_restart(city: City) -> None:
    chain = city.folder / "air-03.pem", city.folder / "air-03.key"
    for mine, theirs in zip(chain, Strange(city.folder / "stranger").issue("air-03", "DNS:air-03"), strict=True):
        mine.write_bytes(theirs.read_bytes())
    with city.box("air-03", chain) as box:
        says(box, "it does not know the authority")
        for mine, ours in zip(chain, city.authority.issue("air-03", days=10), strict=True):
            mine.write_bytes(ours.read_bytes())
        wait_until(lambda: city.stored("air-03"), 40, "a heartbeat is stored")
        assert box.stop() == 0


def test_the_certificate_of_another_is_refused_by_the_agent_itself(city: City) -> None:
    with city.box("air-05", city.authority.issue("air-04", days=300)) as box:
        assert box.wait(20) == 78
        assert "is the certificate of 'air-04', and this is air-05" in box.log.read_text()
        assert "put in the one that was made for air-05" in box.log.read_text()


def test_nobody_writes_or_reads_what_is_anothers(city: City) -> None:
    """A box that was broken into: its own certificate, another's topics and client id."""
    heard: dict[str, list[str]] = {}

    def connect(name: str, client_id: str, *topics: str) -> mqtt.Client:
        context = ssl.create_default_context(cafile=str(city.authority.ca))
        context.load_cert_chain(*city.authority.issue(name, days=300))
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        client.tls_set_context(context)
        client.username_pw_set("collector", "whatever")
        heard[name] = []
        client.on_message = lambda _c, _u, message: heard[name].append(message.topic)
        client.connect("127.0.0.1", city.centre.mqtt_port)
        client.loop_start()
        wait_until(client.is_connected, 10, f"{name} is connected")
        client.subscribe([(topic, 1) for topic in topics])
        return client

    victim = connect("air-06", "air-06", "v1/down/air-06/#")
    thief = connect("air-07", "air-06", "#", "v1/down/air-06/#", "v1/up/#", "v1/down/air-07/#", "$SYS/#")
    listener = connect("collector-2", "x", "v1/up/#")  # not in the access list: no collector yet
    try:
        for topic in ("v1/up/air-06/readings", "v1/down/air-06/stored", "v1/down/air-06/command", "v1/up/air-07/wifi"):
            thief.publish(topic, b"forged", qos=1).wait_for_publish(10)
        time.sleep(0.5)
        assert victim.is_connected(), "another's client id ended nobody's connection"
        assert heard == {"air-06": [], "air-07": [], "collector-2": []}
        refused = "SELECT count(*) FROM quarantine WHERE topic = 'v1/up/{}'"
        wait_until(lambda: city.centre.count(refused.format("air-07/wifi")) == 1, 20, "its own topic goes through")
        assert city.centre.count(refused.format("air-06/readings")) == 0
    finally:
        for client in (victim, thief, listener):
            client.disconnect()
            client.loop_stop()


def test_what_is_larger_than_a_pack_is_cut_off_by_the_broker(city: City) -> None:
    context = ssl.create_default_context(cafile=str(city.authority.ca))
    context.load_cert_chain(*city.authority.issue("air-08", days=300))
    client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    client.tls_set_context(context)
    client.connect("127.0.0.1", city.centre.mqtt_port)
    client.loop_start()
    wait_until(client.is_connected, 10, "connected")
    client.publish("v1/up/air-08/readings", b"x" * 300_000)
    wait_until(lambda: not client.is_connected(), 10, "cut off")
    client.loop_stop()


async def test_the_end_of_a_certificate_is_a_fault_in_time(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "authority").issue("air-01", days=100)
    ends = read_certificate(str(certificate)).ends
    assert abs(ends / 1000 - (datetime.now(UTC) + timedelta(days=100)).timestamp()) < 60
    day = 86_400_000
    for now, said in (
        (ends - 31 * day, None),
        (ends - 29 * day, "in 29 days; replace it before"),
        (ends + 1, "the broker takes nothing from us until it is replaced"),
        (ends - 101 * day, "is our clock right?"),
    ):
        health = Health()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watch(str(certificate), health, now=lambda now=now: now)
        faults = [fault for fault in health.faults if fault.part == PART]
        assert not faults if said is None else said in faults[0].text and str(certificate) in faults[0].text
    tls = TlsSettings(ca="ca.pem", certificate=str(certificate), key=str(key))
    check_name("air-01", BrokerSettings(host="broker.example", tls=tls))
    check_name("air-02", BrokerSettings(host="broker.example", tls=tls, password_file="/it/is/the/password"))
    with pytest.raises(ConfigError, match="certificate of 'air-01', and this is air-02"):
        check_name("air-02", BrokerSettings(host="broker.example", tls=tls))
    certificate.write_text("no certificate")
    with pytest.raises(ConfigError, match="must be PEM"):
        check_name("air-01", BrokerSettings(host="broker.example", tls=tls))


def test_the_collector_knows_which_certificates_are_its_own(tmp_path: Path) -> None:
    file = tmp_path / "collector.yaml"
    file.write_text(
        f"state: {tmp_path}\nfleet: {FLEET}\nplates: {{keep_days: 1, keep_hit_days: 2}}\n"
        "broker: {kind: external, host: broker.example, tls: {ca: ca.pem}}\n"
        "database: {kind: postgresql, host: db.example, tls: {ca: ca.pem, certificate: db.pem, key: db.key}}\n"
        "web: {host: 0.0.0.0, certificate: page.pem, key: page.key}\n"
    )
    assert certificate_watch.own_certificates(load(file)) == {"database": "db.pem", "web": "page.pem"}


async def test_the_collector_says_how_long_its_certificates_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, _ = Authority(tmp_path / "authority").issue("collector", days=100)
    ends, counters = read_certificate(str(certificate)).ends, Counter[str]()
    for days, warned in ((50, False), (20, True)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                now = ends - days * 86_400_000
                await certificate_watch.run({"broker": str(certificate)}, counters, lambda now=now: now)
        assert counters['certificate_days_left{use="broker"}'] == days
        assert ("replace it before" in caplog.text) == warned


def test_the_command_makes_certificates_that_openssl_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "authority"
    assert main(["certificate", str(folder), "broker", "--address", "broker.example", "--address", "10.0.0.1"]) == 0
    assert f"crlfile {folder}/crl.pem" in capsys.readouterr().out
    assert main(["certificate", str(folder), "air-01"]) == 0
    assert "certificate: .../air-01.pem" in capsys.readouterr().out
    assert main(["certificate", str(folder), "air-01"]) == 1, "not a second one by a slip"
    assert main(["certificate", str(folder), "../air-01"]) == 1
    assert main(["certificate", str(folder), "air-02", "--revoke"]) == 1
    for name, purpose in (("broker", "sslserver"), ("air-01", "sslclient")):
        check = ["openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "crl.pem"]
        subprocess.run([*check, "-purpose", purpose, f"{name}.pem"], check=True, cwd=folder)
    wrong = ["openssl", "verify", "-CAfile", "ca.pem", "-purpose", "sslserver", "air-01.pem"]
    assert subprocess.run(wrong, check=False, cwd=folder, capture_output=True).returncode != 0, "no box is the broker"
    assert all(file.stat().st_mode & 0o77 == 0 for file in folder.glob("*.key"))
