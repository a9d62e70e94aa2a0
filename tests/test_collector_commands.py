"""The commands of the collector: what they say when something is wrong, and what they show of what boxes send."""

from __future__ import annotations

import getpass
import io
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from collector_double import EXAMPLES
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from ports import free_port
from processes import Centre, wait_until
from servers import mosquitto

from collector.__main__ import main
from collector.credentials import Passwords, enrol
from edge_agent.contract.events import PlateRead, Readings
from edge_agent.contract.packs import encode_pack
from edge_agent.contract.topics import up

GOLDEN = Path(__file__).parent / "golden" / "events"
PLATE = "68A12345"


def settings_file(folder: Path, **changes: str) -> Path:
    lines = {
        "state": str(folder / "state"),
        "fleet": str(small_fleet(folder)),
        "plates": "{keep_days: 1, keep_hit_days: 2}",
        "broker": f"{{kind: embedded, port: {free_port()}}}",
        "web": f"{{port: {free_port()}}}",
    } | changes
    file = folder / "collector.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    return file


def small_fleet(folder: Path) -> Path:
    devices = folder / "fleet" / "devices"
    devices.mkdir(parents=True, exist_ok=True)
    (devices / "air-01.yaml").write_text(
        "device: air-01\ntype: air-a\nsite: pier\nlabel: Pier\nposition: {lat: 10.2, lon: 103.9}\n"
        "broker: {host: 127.0.0.1}\nstation: {medium: air, lines: {}, sensors: {}}\n"
    )
    (folder / "fleet" / "fleet.yaml").write_text("{}\n")
    (folder / "fleet" / "types").mkdir(exist_ok=True)
    (folder / "fleet" / "types" / "air-a.yaml").write_text("{}\n")
    return folder / "fleet"


def test_every_mistake_in_the_settings_is_named_with_place_and_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "collector.yaml"
    file.write_text(
        "state: /tmp/x\n"
        "flet: firmware_configs\n"
        "plates: {keep_days: 30, keep_hit_days: 3}\n"
        "broker: {kind: embeded}\n"
        'store: {kind: influx2, url: "http://x", org: a, bucket: b}\n'
        "web: {port: eighty}\n"
        "expected_every_s: 1\n"
    )
    assert main(["run", str(file)]) == 78
    said = capsys.readouterr().err
    for place in ("2:1", "3:40", "4:16", "5:1", "6:13", "7:19", "1:1"):
        assert f"{file}:{place}: " in said, said
    assert "did you mean 'fleet'?" in said
    assert "did you mean 'embedded'?" in said
    assert "add `token_file: " in said
    assert "Traceback" not in said


def test_check_names_all_mistakes_of_settings_and_fleet_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = settings_file(tmp_path)
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out == "no mistakes\n"
    file.write_text(
        file.read_text() + "quality:\n"
        "  quantities:\n"
        "    pm25: {rate_per_min: 3}\n"
        "    ph: {suspect_low: 11}\n"
        "  stations:\n"
        "    air-1: {pm10: {spike_suspect: 20, spike_fail: 10}}\n"
    )
    device = tmp_path / "fleet" / "devices" / "air-01.yaml"
    device.write_text(device.read_text().replace("site:", "sit:"))
    assert main(["check", str(file)]) == 78
    said = capsys.readouterr().err
    for words in (
        f"{file}:8:5: quality.quantities.pm25: 'pm25' is not a quantity\n  did you mean 'pm2_5'?",
        f"{file}:9:5: quality.quantities.ph: suspect_low (11) is above suspect_high (10)",
        f"{file}:11:5: quality.stations.air-1: there is no station 'air-1' in the fleet\n  did you mean 'air-01'?",
        f"{file}:11:13: quality.stations.air-1.pm10: spike_suspect (20) is above spike_fail (10)",
        f"{device}:1:1: missing key 'site'",
    ):
        assert words in said, said
    assert main(["run", str(file)]) == 78
    assert "air-01" in capsys.readouterr().err, "what check names, run names too"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("broker", "{kind: embedded, host: 0.0.0.0}", "the embedded broker has no TLS"),
        ("broker", "{kind: external, host: broker.example}", "a broker on another machine needs tls"),
        (
            "broker",
            "{kind: external, host: 127.0.0.1, tls: {ca: /none/ca.pem}}",
            "broker.tls.ca: /none/ca.pem: No such file",
        ),
        ("broker", "{kind: external, host: 127.0.0.1, password_file: /none/secret}", "broker.password_file: No such"),
        ("web", "{host: 0.0.0.0}", "beyond this machine the page needs certificate and key"),
        ("web", "{host: 0.0.0.0, certificate: /none/c.pem}", "work only together"),
        ("web", "{certificate: /none/c.pem, key: /none/k.pem}", "web.certificate: /none/c.pem: No such file"),
        ("store", "{kind: influx1, url: influx, database: b}", "expected an address such as"),
        ("fleet", "/none", "holds no devices"),
        ("state", "/proc/none", "state: No such file"),
    ],
)
def test_what_would_be_unsafe_or_cannot_be_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str, says: str
) -> None:
    assert main(["run", str(settings_file(tmp_path, **{key: value}))]) == 78
    assert says in capsys.readouterr().err


def test_a_database_that_is_damaged_or_anothers_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = settings_file(tmp_path)
    database = tmp_path / "state" / "collector.sqlite"
    database.parent.mkdir()
    database.write_bytes(b"this is no database of SQLite, though long enough for one" * 100)
    assert main(["run", str(file)]) == 1
    said = capsys.readouterr().err
    assert f"{database} cannot be opened: file is not a database\n  it is damaged, or no file of ours" in said
    database.unlink()
    database.mkdir()
    assert main(["run", str(file)]) == 1
    assert "must belong to the user that runs the collector" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["broker", "web"])
def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        value = f"{{{'kind: embedded, ' if part == 'broker' else ''}port: {other.getsockname()[1]}}}"
        assert main(["run", str(settings_file(tmp_path, **{part: value}))]) == 1
    said = capsys.readouterr().err
    assert f"{part}.port: " in said
    assert "address already in use" in said


def test_a_box_is_enrolled_by_its_name_in_the_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = settings_file(tmp_path)
    assert main(["enrol", str(file), "air-99"]) == 78
    assert "air-99 is not a box of" in capsys.readouterr().err
    assert main(["enrol", str(file), "air-01"]) == 0
    first = capsys.readouterr().out.strip()
    assert main(["enrol", str(file), "air-01"]) == 0
    second = capsys.readouterr().out.strip()
    passwords = Passwords(tmp_path / "state" / "boxes.passwords")
    assert passwords.accepts("air-01", second)
    assert not passwords.accepts("air-01", first), "the old password ends"
    assert (tmp_path / "state" / "boxes.passwords").stat().st_mode & 0o077 == 0


def test_mosquitto_takes_the_access_list_and_the_passwords(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["access-list"]) == 0
    (tmp_path / "access").write_text(capsys.readouterr().out)
    enrol(tmp_path / "passwords", "air-01")
    config = f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}\nacl_file {tmp_path / 'access'}"
    with mosquitto(tmp_path, config) as broker:
        log = broker.log.read_text()
    assert "running" in log
    assert [
        line for line in log.splitlines() if re.search("(?i)error|warning|invalid", line) and "root" not in line
    ] == []


@contextmanager
def tapped(centre: Centre, *options: str) -> Iterator[Callable[[str, bytes], None]]:
    """`collector tap` running, and a way to send as air-01; in the end the tap must have ended well by itself."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="air-01")
    client.username_pw_set("air-01", centre.enrol("air-01"))
    with (centre.folder / "mosquitto.conf").open("a") as conf:
        conf.write("log_type all\n")
    assert centre.mosquitto is not None
    log = centre.mosquitto.log
    with centre.mosquitto, ThreadPoolExecutor(1) as threads:
        wait_until(lambda: "running" in log.read_text(), 20, "mosquitto runs")
        client.connect("127.0.0.1", centre.mqtt_port)
        client.loop_start()
        tap = threads.submit(main, ["tap", str(centre.settings), *options])
        wait_until(lambda: "SUBACK to collector-tap" in log.read_text(), 20, "the tap has subscribed")
        yield lambda topic, payload: client.publish(topic, payload) and None
        assert tap.result(timeout=20) == 0
        client.disconnect()
        client.loop_stop()


def test_tap_masks_plates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    centre = Centre(tmp_path, "mosquitto")
    payload = encode_pack(7, "plates", [(3, EXAMPLES[PlateRead])])
    with tapped(centre, "--count", "1") as send:
        send(up("air-01", "plates"), payload)
    out = capsys.readouterr().out
    line = json.loads(out)
    assert (line["device"], line["number"], line["text"], line["raw"]) == ("air-01", 3, "68••••••", "68••••••")
    assert PLATE not in out
    assert centre.count("SELECT count(*) FROM sqlite_master WHERE name = 'audit'") == 0, "nothing to record"


def test_a_reason_unmasks_plates_and_is_recorded_with_who(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    centre = Centre(tmp_path, "mosquitto")
    payload = encode_pack(7, "plates", [(3, EXAMPLES[PlateRead])])
    with tapped(centre, "--count", "1", "--plates-because", "vụ án 12/2026") as send:
        send(up("air-01", "plates"), payload)
    assert json.loads(capsys.readouterr().out)["text"] == PLATE
    assert main(["audit", str(centre.settings)]) == 0
    (entry,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (entry["what"], entry["who"]) == ("tap", getpass.getuser())
    assert entry["parameters"] == {"reason": "vụ án 12/2026"}


def test_tap_goes_on_after_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    centre = Centre(tmp_path, "mosquitto")
    plate_bytes = b"\xc1" + PLATE.encode()
    with tapped(centre, "--count", "4") as send:
        send("v1/up/air-01/a/b/c", b"?")
        send(up("air-01", "readings"), b"\xc1\x02")
        send(up("air-01", "plates"), plate_bytes)
        send(up("air-01", "readings"), encode_pack(7, "readings", [(3, EXAMPLES[Readings])]))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["error" in line for line in lines] == [True, True, True, False]
    assert lines[3]["readings"] == {"pm2_5": 0.7}
    assert lines[1]["payload"] == "c102"
    assert plate_bytes.hex() not in json.dumps(lines), "what cannot be read may still hold a plate"


def test_tap_without_a_broker_or_with_a_wrong_password_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    centre = Centre(tmp_path, "mosquitto")
    assert main(["tap", str(centre.settings)]) == 1
    assert "does the collector run?" in capsys.readouterr().err
    (tmp_path / "collector.secret").write_text("guessed")
    assert centre.mosquitto is not None
    with centre.mosquitto:
        wait_until(lambda: "running" in centre.mosquitto.log.read_text(), 20, "mosquitto runs")
        assert main(["tap", str(centre.settings)]) == 1
    assert "refused us" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["readings", "plates", "wifi", "health"])
def test_decode_shows_golden_payloads_as_bytes_and_as_hex(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    golden = json.loads((GOLDEN / f"{kind}.json").read_text())
    (tmp_path / "bytes").write_bytes(bytes.fromhex(golden["payload"]))
    (tmp_path / "hex").write_text(golden["payload"] + "\n")
    outputs = []
    for name in ("bytes", "hex"):
        assert main(["decode", kind, str(tmp_path / name)]) == 0
        outputs.append(capsys.readouterr().out)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(golden["payload"].encode())))
    assert main(["decode", kind, "-"]) == 0
    outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] == outputs[2]
    lines = [json.loads(line) for line in outputs[0].splitlines()]
    assert [line["at"] for line in lines] == [event["at"] for event in golden["events"]]
    if kind == "plates":
        assert {line["text"] for line in lines} == {"68••••••"}


def test_decode_says_what_is_wrong_with_garbage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "garbage").write_bytes(b"\xc1\x00\xff")
    assert main(["decode", "readings", str(tmp_path / "garbage")]) == 1
    line = json.loads(capsys.readouterr().out)
    assert "malformed" in line["error"]
    assert line["payload"] == "c100ff"
    assert main(["decode", "readings", str(tmp_path / "none")]) == 1
    assert "none: No such file" in capsys.readouterr().err
