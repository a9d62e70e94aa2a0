"""Calibration at the box: the file, the command, the orders of the centre, and what becomes of the values."""

from __future__ import annotations

import asyncio
import fcntl
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from disks import fill, small_disk
from hypothesis import given
from hypothesis import strategies as st
from test_station_poll import DUST, VALUES, dust, none, polling, station, value

from edge_agent import calibration
from edge_agent.__main__ import main
from edge_agent.calibration import FILE, KEPT, CalibrationError, Calibrations
from edge_agent.clock import now_ms
from edge_agent.commands import MAX_WAITING, Commands
from edge_agent.contract.events import Answer, Calibrate, Calibration, Command, Readings, Status
from edge_agent.health import Health
from edge_agent.station.drivers.modbus import Modbus
from scripts.simulated import modbus
from scripts.simulated.pty import SimulatedLine

HOUR = 3_600_000
NOON = 1_795_323_600_000
SENSORS = ("ph", "turbidity", "meter")


def calibrations(state: Path, health: Health | None = None) -> Calibrations:
    return Calibrations(state, SENSORS, health or Health())


# --- the file ---


def test_it_lasts_until_it_is_ended(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    assert there.under_way(NOON) == ()
    begun = there.start("ph", 7200, "minh", NOON)
    assert begun == Calibration(sensor="ph", since=NOON, until=NOON + 2 * HOUR, by="minh")
    assert there.covers("ph", NOON + HOUR)
    assert not there.covers("turbidity", NOON + HOUR)
    assert there.end("ph", "minh", NOON + HOUR)
    assert not there.covers("ph", NOON + HOUR)
    assert not there.end("ph", "minh", NOON + HOUR), "twice does no harm"
    assert [(line.at, line.action, line.by) for line in there.record] == [
        (NOON, "start", "minh"),
        (NOON + HOUR, "end", "minh"),
    ]


def test_a_forgotten_one_ends_by_itself(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    there.start("ph", 1800, "minh", NOON)
    assert there.covers("ph", NOON + HOUR // 2 - 1)
    assert not there.covers("ph", NOON + HOUR // 2)
    again = there.start("ph", 60, "lan", NOON + HOUR)
    assert (again.since, again.by) == (NOON + HOUR, "lan"), "it is another one"


def test_begun_again_it_is_prolonged_and_never_shortened(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    there.start("ph", 3600, "minh", NOON)
    assert there.start("ph", 60, "minh", NOON + 1000).until == NOON + HOUR
    longer = there.start("ph", 7200, "lan", NOON + 1000)
    assert (longer.since, longer.until, longer.by) == (NOON, NOON + 1000 + 2 * HOUR, "lan")
    assert there.under_way(NOON + 1000) == (longer,)


def test_a_clock_that_is_set_back_by_years_does_not_let_it_last_for_years(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    there.start("ph", 24 * 3600, "minh", NOON)
    assert there.covers("ph", NOON)
    assert not there.covers("ph", NOON - 1000 * 24 * HOUR)


@pytest.mark.parametrize("seconds", [-1, 0, 24 * 3600 + 1, 10**12])
def test_spans_beyond_a_day_are_refused(tmp_path: Path, seconds: int) -> None:
    with pytest.raises(CalibrationError, match=r"from 1 s to 24 h.*24 giờ"):
        calibrations(tmp_path).start("ph", seconds, "minh", NOON)
    assert not (tmp_path / FILE).exists()


def test_an_unknown_sensor_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    for change in (lambda: there.start("chlorine", 60, "minh", NOON), lambda: there.end("chlorine", "minh", NOON)):
        with pytest.raises(CalibrationError) as refused:
            change()
        assert refused.value.en == "there is no sensor 'chlorine' here; the sensors are: ph, turbidity, meter"
        assert "ph, turbidity, meter" in refused.value.vi


def test_what_another_process_writes_is_noticed_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    agent, technician = calibrations(tmp_path), calibrations(tmp_path)
    assert agent.under_way(NOON) == ()
    technician.start("ph", 3600, "minh", NOON)
    assert agent.covers("ph", NOON)
    agent.start("meter", 3600, "centre", NOON)
    assert [c.sensor for c in technician.under_way(NOON)] == ["ph", "meter"]
    technician.end("ph", "minh", NOON)
    assert [c.sensor for c in agent.under_way(NOON)] == ["meter"]
    assert calibrations(tmp_path).covers("meter", NOON)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def _begin_many(state: Path, names: list[str]) -> None:
    there = Calibrations(state, names, Health())
    for name in names:
        there.start(name, 3600, "minh", NOON)


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    halves = [[f"{letter}{i}" for i in range(25)] for letter in "ab"]
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=_begin_many, args=(tmp_path, names)) for names in halves]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    assert {c.sensor for c in calibrations(tmp_path).under_way(NOON)} == {*halves[0], *halves[1]}


def test_a_process_that_holds_the_file_for_ever_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "LOCK_S", 0.05)
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(CalibrationError, match="another process holds it"):
        calibrations(tmp_path).start("ph", 3600, "minh", NOON)
    os.close(folder)
    calibrations(tmp_path).start("ph", 3600, "minh", NOON)


def test_the_record_keeps_the_last(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    for i in range(KEPT + 5):
        there.start("ph", 60, f"user {i}", NOON + i)
    assert [line.by for line in there.record] == [f"user {i}" for i in range(5, KEPT + 5)]


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"{", b"[]", b"\xff\xfe", b'{"calibrating": [["ph"]]}', b'{"calibrating": 7}']
)
def test_a_damaged_file_is_a_fault_and_no_crash(tmp_path: Path, content: bytes) -> None:
    health = Health()
    there = calibrations(tmp_path, health)
    there.start("ph", 3600, "minh", NOON)
    (tmp_path / FILE).write_bytes(content)
    assert there.under_way(NOON) == there.under_way(NOON) == ()
    assert [fault.part for fault in health.faults] == ["calibrations"]
    assert "edge-agent calibrate" in health.faults[0].text
    there.start("turbidity", 3600, "minh", NOON)
    assert there.covers("turbidity", NOON)
    assert health.faults == ()


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="No such file"):
        calibrations(tmp_path / "none").start("ph", 60, "minh", NOON)
    with small_disk(tmp_path / "disk", 1) as disk:
        there = calibrations(disk)
        there.start("ph", 3600, "minh", NOON)
        fill(disk / "ballast")
        with pytest.raises(CalibrationError, match=r"No space left.*space on the disk"):
            there.start("meter", 3600, "minh", NOON)
        assert [c.sensor for c in there.under_way(NOON)] == ["ph"]
        (disk / "ballast").unlink()
        there.start("meter", 3600, "minh", NOON)
        assert [c.sensor for c in there.under_way(NOON)] == ["ph", "meter"]


# --- what becomes of the values ---


async def test_values_keep_their_numbers_and_get_the_status(tmp_path: Path) -> None:
    there = Calibrations(tmp_path, ("a",), Health())

    def calibrating(event: Readings) -> bool:
        return all(r.ticks is not None and r.status == Status.CALIBRATING for r in event.readings)

    async with (
        dust(tmp_path) as (line, settings),
        polling(station({"a": DUST}, dust=settings), calibrating=there.covers) as watched,
    ):
        plain = await watched.event("a", value)
        there.start("a", 3600, "minh", now_ms())
        marked = await watched.event("a", calibrating)
        assert [r.ticks for r in marked.readings] == [r.ticks for r in plain.readings]
        line.silent = True
        await watched.event("a", none)
        line.silent = False
        await watched.event("a", calibrating)
        there.end("a", "minh", now_ms())
        await watched.event("a", value)


async def test_a_fault_stays_one_while_the_sensor_is_under_calibration(tmp_path: Path) -> None:
    registers = {"ph": {"address": 0, "scale": 0.01}, "orp": {"address": 9, "missing": [VALUES["orp"]]}}
    probe = {"driver": "modbus", "line": "bus", "every_s": 1, "registers": registers}
    settings = station({"probe": probe}, bus={"kind": "serial", "port": str(tmp_path / "bus")})
    played = settings.sensors["probe"]
    assert isinstance(played, Modbus)
    async with (
        SimulatedLine(tmp_path / "bus") as line,
        modbus.rtu({"probe": (played, VALUES.__getitem__)}, line, tmp_path, "bus"),
        polling(settings, calibrating=lambda sensor, _now: sensor == "probe") as watched,
    ):
        event = await watched.event("probe", lambda _: True)
    assert [(r.ticks, r.status) for r in event.readings] == [(8120, Status.CALIBRATING), (None, Status.FAULT)]


# --- orders of the centre ---


def obey(commands: Commands, order: Calibrate, number: int = 7) -> Answer:
    said = commands.obey(msgspec.msgpack.encode(Command(id=number, by="hoa", order=order)))
    assert said is not None
    return msgspec.msgpack.decode(said, type=Answer)


def test_an_order_is_carried_out_and_answered(tmp_path: Path) -> None:
    there = calibrations(tmp_path)
    commands = Commands(there, Health(), now=lambda: NOON)
    for _ in range(2):
        answer = obey(commands, Calibrate(sensor="ph", seconds=1800))
        assert (answer.id, answer.ok) == (7, True)
        assert answer.en == "ph is under calibration until 12:30:00 22.11.2026; its values have status 01"
        assert answer.vi == "ph: đang hiệu chuẩn đến 12:30:00 22.11.2026; số liệu mang trạng thái 01"
    assert there.under_way(NOON)[0].by == "hoa"
    assert obey(commands, Calibrate(sensor="ph", seconds=0)).en == "ph: the calibration has ended"
    again = obey(commands, Calibrate(sensor="ph", seconds=0))
    assert (again.ok, again.en) == (True, "ph was not under calibration")
    unknown = obey(commands, Calibrate(sensor="chlorine", seconds=60))
    assert not unknown.ok and "the sensors are: ph, turbidity, meter" in unknown.en
    lost = obey(Commands(calibrations(tmp_path / "none"), Health()), Calibrate(sensor="ph", seconds=60))
    assert not lost.ok and "không ghi được" in lost.vi


GOOD: list[Any] = [7, "hoa", ["calibrate", "ph", 60]]


@pytest.mark.parametrize(
    "wire",
    [
        [],
        [7],
        [7, "hoa", ["reboot", "now"]],
        [7, "hoa", ["calibrate", "ph", -1]],
        [7, "hoa", ["calibrate", "ph", 86_401]],
        [7, "hoa", ["calibrate", "p" * 65, 60]],
        [7, "h" * 65, ["calibrate", "ph", 60]],
        ["7", "hoa", ["calibrate", "ph", 60]],
        {"id": 7},
        None,
    ],
)
def test_what_is_no_order_is_counted_and_changes_nothing(tmp_path: Path, wire: object) -> None:
    health = Health()
    commands = Commands(calibrations(tmp_path), health, now=lambda: NOON)
    assert commands.obey(msgspec.msgpack.encode(wire)) is None
    assert health.counters == {"commands.unreadable": 1}
    assert not (tmp_path / FILE).exists()
    assert commands.obey(msgspec.msgpack.encode([*GOOD, "from the future"])) is not None


@given(st.binary(max_size=200))
def test_no_bytes_whatever_crash_the_box(payload: bytes) -> None:
    commands = Commands(calibrations(Path("/nonexistent")), Health())
    said = commands.obey(payload)
    assert said is None or not msgspec.msgpack.decode(said, type=Answer).ok


async def test_more_orders_than_can_wait_are_dropped_and_counted(tmp_path: Path) -> None:
    health, answers = Health(), list[bytes]()
    commands = Commands(calibrations(tmp_path), health)
    for _ in range(MAX_WAITING + 3):
        commands.heard(msgspec.msgpack.encode(GOOD))
    task = asyncio.create_task(commands.run(answers.append))
    async with asyncio.timeout(20):
        while len(answers) < MAX_WAITING:
            await asyncio.sleep(0.01)
    task.cancel()
    assert health.counters == {"commands.dropped": 3}


# --- the command at the box ---

BOX = Path(__file__).parent.parent / "firmware_configs" / "devices" / "water-01.yaml"


def calibrate(state: Path, *arguments: str) -> int:
    return main(["calibrate", str(BOX), *arguments, "--set", f"state={state}"])


def test_the_command_begins_ends_and_lists_in_both_tongues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "minh")
    before = now_ms()
    assert calibrate(tmp_path, "analyser", "start", "--for", "30m") == 0
    said = capsys.readouterr().out
    assert "analyser: đang hiệu chuẩn đến" in said and "analyser is under calibration until" in said
    kept = json.loads((tmp_path / FILE).read_text())
    (_, since, until, by) = kept["calibrating"][0]
    assert (until - since, by) == (HOUR // 2, "minh") and before <= since <= now_ms()
    assert calibrate(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("analyser  ") and lines[0].endswith("  minh")
    assert "analyser start" in lines[1]
    assert calibrate(tmp_path, "analyser", "end") == 0
    assert "đã kết thúc hiệu chuẩn" in capsys.readouterr().out
    assert calibrate(tmp_path) == 0
    assert capsys.readouterr().out.startswith(
        "Không có cảm biến nào đang hiệu chuẩn. / No sensor is under calibration."
    )


def test_two_hours_are_meant_where_nothing_is_said(tmp_path: Path) -> None:
    assert calibrate(tmp_path, "analyser", "start") == 0
    begun = Calibrations(tmp_path, ("analyser",), Health()).under_way(now_ms())[0]
    assert begun.until - begun.since == 2 * HOUR


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("chlorine", "start"), 1, "there is no sensor 'chlorine' here; the sensors are: analyser, meter, pressure"),
        (("chlorine", "end"), 1, "trạm không có cảm biến"),
        (("analyser",), 1, "start (bắt đầu) hay / or end (kết thúc)?"),
        (("analyser", "start", "--for", "25h"), 2, "at most 24h"),
        (("analyser", "start", "--for", "soon"), 2, "viết như 30m hoặc 2h"),
        (("analyser", "begin"), 2, "invalid choice"),
    ],
)
def test_what_the_command_cannot_do_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, says: str
) -> None:
    try:
        found = calibrate(tmp_path, *arguments)
    except SystemExit as end:
        found = int(end.code or 0)
    assert found == status
    assert says in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()


def test_a_box_that_measures_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = BOX.with_name("cam-01.yaml")
    assert main(["calibrate", str(camera), "ph", "start", "--set", f"state={tmp_path}"]) == 1
    assert "the sensors are: –" in capsys.readouterr().err
