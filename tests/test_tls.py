"""Agent, Mosquitto and collector over TLS, with certificates that are right, of a stranger, or of another machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from authority import Authority
from processes import FLEET, Centre, Program, wait_until

DEVICE = "air-01"


class City:
    """A collector and an agent, each with the authority that it believes, and a Mosquitto with a certificate."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path], *, agent_ca: Path, collector_ca: Path) -> None:
        self.centre = Centre(folder, "mosquitto")
        password = folder / "box.secret"
        password.write_text(self.centre.enrol(DEVICE))
        with (folder / "mosquitto.conf").open("a") as conf:
            conf.write("certfile {}\nkeyfile {}\n".format(*certificate))
        settings = self.centre.settings.read_text()
        self.centre.settings.write_text(
            settings.replace("{kind: external,", f"{{kind: external, tls: {{ca: {collector_ca}}},")
        )
        sets = {
            "state": folder / "box",
            "broker.host": "127.0.0.1",
            "broker.port": self.centre.mqtt_port,
            "broker.password_file": password,
            "broker.tls.ca": agent_ca,
            "health.every_s": 1,
        }
        arguments = [argument for key, value in sets.items() for argument in ("--set", f"{key}={value}")]
        file = str(FLEET / "devices" / f"{DEVICE}.yaml")
        self.agent = Program(DEVICE, [sys.executable, "-m", "edge_agent", "run", file, *arguments], folder)

    @contextmanager
    def running(self) -> Iterator[None]:
        assert self.centre.mosquitto is not None
        with ExitStack() as stack:
            for program in (self.centre.mosquitto, self.centre.collector, self.agent):
                stack.enter_context(program)
            yield


def said(program: Program, *texts: str) -> None:
    for text in texts:
        wait_until(lambda text=text: text in program.log.read_text(), 40, f"{program.name} says {text!r}")


def test_events_travel_encrypted_to_a_broker_that_proves_itself(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ours")
    certificate = authority.issue("broker", "IP:127.0.0.1")
    city = City(tmp_path, certificate, agent_ca=authority.ca, collector_ca=authority.ca)
    with city.running():
        city.centre.ready()
        stored = f"SELECT count(*) FROM ledger_runs WHERE device = '{DEVICE}'"
        wait_until(lambda: city.centre.count(stored) > 0, 40, "a heartbeat is stored")
        assert city.agent.stop() == 0
        assert city.centre.collector.stop() == 0


@pytest.mark.parametrize("wrong", ["the authority", "the machine"])
def test_a_broker_that_cannot_prove_itself_gets_nothing_and_both_sides_say_why(tmp_path: Path, wrong: str) -> None:
    ours, strange = Authority(tmp_path / "ours"), Authority(tmp_path / "strange")
    signer, name = (strange, "IP:127.0.0.1") if wrong == "the authority" else (ours, "DNS:elsewhere.example")
    city = City(tmp_path, signer.issue("broker", name), agent_ca=ours.ca, collector_ca=ours.ca)
    with city.running():
        for program in (city.agent, city.centre.collector):
            said(program, "its certificate does not satisfy broker.tls.ca")
            assert "Traceback" not in program.log.read_text()
        assert city.agent.stop() == 0
        assert city.centre.collector.stop() == 0
    reason = "unable to get local issuer" if wrong == "the authority" else "IP address mismatch"
    assert reason in city.agent.log.read_text()
    assert "broker: connected" not in city.centre.collector.log.read_text()


def test_a_port_without_tls_is_said(tmp_path: Path) -> None:
    """The usual slip: port 1883 with the settings of 8883."""
    authority = Authority(tmp_path / "ours")
    city = City(tmp_path, authority.issue("broker", "IP:127.0.0.1"), agent_ca=authority.ca, collector_ca=authority.ca)
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(
        "\n".join(line for line in conf.read_text().splitlines() if not line.startswith(("certfile", "keyfile")))
    )
    with city.running():
        for program in (city.agent, city.centre.collector):
            said(program, "no TLS", "is it the port for TLS")
