"""Device configuration: broken files each give their errors, sound ones load, and no text breaks `check`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.config import check_file, load
from edge_agent.config_commands import add_check_arguments, add_show_arguments, run_check, run_show
from edge_agent.errors import EXIT_CONFIG, ConfigError
from edge_agent.station.settings import TcpLine

ROOT = Path(__file__).parent.parent
FLEET = ROOT / "firmware_configs"
BROKEN = sorted((Path(__file__).parent / "broken_configs").glob("*.yaml"))


def expected(path: Path) -> list[tuple[int, str]]:
    """What the comments `# wrong: ...` of a broken file announce: line and words of the mistake or its cure."""
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [(number, line.split("# wrong: ")[1]) for number, line in lines if "# wrong: " in line]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_files_give_just_their_errors(path: Path) -> None:
    announced = expected(path)
    mistakes = check_file(path)
    assert announced
    assert [mistake.line for mistake in mistakes] == [line for line, _ in announced]
    for mistake, (_, words) in zip(mistakes, announced, strict=True):
        assert words in f"{mistake.message}: {mistake.hint}"
        assert mistake.file == str(path)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert str(error.value).count(str(path)) >= len(announced)


def test_there_are_enough_broken_files() -> None:
    assert len(BROKEN) >= 10


def test_a_secret_is_never_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    path = next(path for path in BROKEN if path.stem == "password-in-yaml")
    assert "tuyetmat" in path.read_text()
    assert check(path) == EXIT_CONFIG
    assert show(path) == EXIT_CONFIG
    printed = capsys.readouterr()
    assert "password_file" in printed.out
    assert "tuyetmat" not in printed.out + printed.err


def check(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_check_arguments(parser)
    return run_check(parser.parse_args([str(argument) for argument in arguments]))


def show(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_show_arguments(parser)
    return run_show(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A copy of the fleet's files with one device, to be broken."""
    shutil.copytree(FLEET / "types", tmp_path / "types")
    shutil.copy(FLEET / "fleet.yaml", tmp_path)
    (tmp_path / "devices").mkdir()
    shutil.copy(FLEET / "devices" / "waste-01.yaml", tmp_path / "devices")
    return tmp_path


def test_levels_merge_and_the_command_line_wins(fleet: Path) -> None:
    config = load(fleet / "devices" / "waste-01.yaml", ["health.every_s=7", "broker={host: 127.0.0.1, tls: null}"])
    assert config.station is not None
    cabinet = config.station.lines["cabinet"]
    assert isinstance(cabinet, TcpLine)
    assert (cabinet.host, cabinet.port) == ("10.30.1.20", 502)  # host from the device, port from the type
    assert config.health.every_s == 7
    assert config.broker.tls is None
    assert config.broker.password_file == "/etc/edge-agent/password"
    assert config.uplink.window == 8


def test_a_mistake_is_named_in_the_file_that_makes_it(fleet: Path) -> None:
    type_file = fleet / "types" / "wastewater-station.yaml"
    type_file.write_text(type_file.read_text().replace("line: cabinet", "line: cabinett"))
    device = fleet / "devices" / "waste-01.yaml"
    device.write_text(device.read_text() + "    busss: {kind: serial}\nhealth: {every_s: 0}\n")
    mistakes = check_file(device, ["broker.prot=1"])
    assert [(Path(m.file).name, m.path) for m in mistakes] == [
        ("waste-01.yaml", "station.lines.busss"),
        ("waste-01.yaml", "health.every_s"),
        ("--set broker.prot=1", "broker.prot"),
    ]
    device.write_text(device.read_text().replace("    busss: {kind: serial}\n", ""))
    assert [(Path(m.file).name, m.path) for m in check_file(device)] == [
        ("waste-01.yaml", "health.every_s"),
        ("wastewater-station.yaml", "station.sensors.cabinet.line"),
    ]


def test_a_device_may_drop_what_its_type_has(fleet: Path) -> None:
    device = fleet / "devices" / "waste-01.yaml"
    device.write_text(device.read_text().replace("    cabinet: {host: 10.30.1.20}", "    cabinet: null"))
    [mistake] = check_file(device)
    assert (mistake.path, mistake.message) == ("station.sensors.cabinet.line", "no line is called cabinet")
    device.write_text(device.read_text() + "  sensors:\n    cabinet: null\n")
    station = load(device).station
    assert station is not None
    assert list(station.sensors) == ["sonde", "outlet"]


def test_the_names_of_device_file_and_type_must_agree(fleet: Path) -> None:
    device = fleet / "devices" / "waste-02.yaml"
    text = (fleet / "devices" / "waste-01.yaml").read_text()
    device.write_text(text.replace("wastewater-station", "waste-water-station"))
    name, type_ = check_file(device)
    assert (name.line, name.message) == (2, "'waste-01' is not the name of the file, 'waste-02'")
    assert (type_.line, type_.hint) == (3, "did you mean 'wastewater-station'?")


@pytest.mark.parametrize("level", ["fleet.yaml", *(f"types/{path.name}" for path in (FLEET / "types").glob("*.yaml"))])
def test_a_level_can_be_checked_by_itself(fleet: Path, level: str) -> None:
    assert check_file(fleet / level) == []
    (fleet / level).write_text((fleet / level).read_text() + "\nbrokr: {}\nuplink: {window: 0}\n")
    assert {"brokr", "uplink.window"} & {mistake.path for mistake in check_file(fleet / level)}


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    [mistake] = check_file(tmp_path / "absent.yaml")
    assert mistake.message == "cannot be read: No such file or directory"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_only_this_machine_s_broker_goes_without_tls(fleet: Path, host: str) -> None:
    device = fleet / "devices" / "waste-01.yaml"
    assert check_file(device, ["broker.tls=null", f"broker.host='{host}'"]) == []
    [mistake] = check_file(device, ["broker.tls=null", "broker.host=128.0.0.1"])
    assert mistake.path == "broker.host"


def test_check_prints_place_cure_and_count(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [path for path in BROKEN if path.stem in ("unknown-key", "tab-indentation")]
    assert check(*paths) == EXIT_CONFIG
    printed = capsys.readouterr()
    unknown = paths[1]
    assert (
        f"{unknown}:15:7: station.sensors.dust.every: unknown key 'every'\n    did you mean 'every_s'?\n" in printed.out
    )
    assert printed.err == "2 files checked, 2 mistakes\n"
    assert check(FLEET / "devices" / "air-01.yaml") == 0
    assert capsys.readouterr().out == "1 file checked, no mistakes\n"


@pytest.mark.parametrize("name", ["air-01", "sea-01", "waste-01", "water-01", "cam-01", "ap-01"])
@pytest.mark.parametrize("arguments", [[], ["--defaults"]])
def test_what_is_shown_is_a_file_that_means_the_same(
    name: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FLEET / "devices" / f"{name}.yaml"
    assert show(path, "--set", "outbox.max_mb=7.5", *arguments) == 0
    printed = capsys.readouterr().out
    assert "# --set" in printed
    assert f"# devices/{name}.yaml:2" in printed
    alone = tmp_path / "box.yaml"
    alone.write_text(printed)
    assert load(alone) == load(path, ["outbox.max_mb=7.5"])


def test_the_schema_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_schema.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_loading_a_station_stays_light() -> None:
    heavy = "{'numpy', 'cv2', 'onnxruntime', 'rich', 'pymodbus', 'asyncio.sslproto'} & set(sys.modules)"
    code = f"import sys, pathlib; from edge_agent.config import load; load(pathlib.Path(sys.argv[1])); print({heavy})"
    device = FLEET / "devices" / "air-01.yaml"
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


AIR = (FLEET / "devices" / "air-01.yaml").read_text() + (FLEET / "types" / "air-station-b.yaml").read_text()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_text_breaks_check(tmp_path: Path, data: st.DataObject) -> None:
    """Arbitrary bytes, and a real file with a piece of it replaced: always a list of mistakes, never a crash."""
    start = data.draw(st.integers(0, len(AIR)))
    end = data.draw(st.integers(start, min(len(AIR), start + 60)))
    piece = data.draw(st.text("abz019 :-{}[],.#&*!'\"\n\t°é\x00", max_size=30))
    whole = data.draw(st.binary(max_size=300))
    path = tmp_path / "air-01.yaml"
    for content in ((AIR[:start] + piece + AIR[end:]).encode(), whole):
        path.write_bytes(content)
        for mistake in check_file(path):
            assert mistake.line >= 1
            assert mistake.message
            assert "Traceback" not in mistake.message
