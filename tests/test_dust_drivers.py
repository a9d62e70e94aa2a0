"""Plantower, Nova and Sensirion: sleeping, waking, being asked; and what of an SPS30 is no dust."""

from __future__ import annotations

import math
import struct
from functools import partial
from pathlib import Path

import pytest
from air import TRANSCRIPTS, VALUES, correct, meant, playing, poll
from hypothesis import given
from hypothesis import strategies as st
from transcripts import asked, carry, sensor

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Pause, take
from edge_agent.station.drivers import pms5003, sds011, sps30
from scripts.simulated.pty import SimulatedLine
from scripts.simulated.sensors import NovaSds011

PMS5003, SDS011 = sensor(driver="pms5003"), sensor(driver="sds011")


def test_a_sleeping_laser_is_woken_waited_for_and_put_to_sleep() -> None:
    for driver, wake, rest in (
        ("pms5003", pms5003.WAKE, pms5003.SLEEP),
        ("sds011", sds011.WAKE, sds011.SLEEP),
    ):
        heard = TRANSCRIPTS[f"{driver}-1"].heard
        steps = sensor(driver=driver, sleep=True, warm_up_s=20).poll("serial")
        assert next(steps) == Pause(send=wake, seconds=20)
        steps.send(b"")
        assert steps.send(heard) == Pause(send=rest)


def test_a_laser_is_put_to_sleep_also_after_a_poll_that_failed() -> None:
    for played, rest in (
        (sensor(driver="pms5003", sleep=True, warm_up_s=20), pms5003.SLEEP),
        (sensor(driver="sds011", sleep=True, warm_up_s=20), sds011.SLEEP),
        (sensor(driver="sps30", sleep=True, warm_up_s=20), sps30.framed(bytes((0, sps30.END, 0)))),
    ):
        for failure in (Silence("no answer"), FrameError("noise")):
            steps = played.poll("serial")
            step = next(steps)
            sent = []
            if not isinstance(step, Pause):  # the SPS30 answers to its waking
                step = steps.send(bytes.fromhex("7e 00 00 00 00 ff 7e"))
            steps.send(b"")
            step = steps.throw(failure)
            with pytest.raises(type(failure)):
                while True:
                    assert isinstance(step, Pause)
                    sent.append(step.send)
                    step = steps.send(b"")
            assert sent[-1] == rest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"passive": True}, {}),
        ({"sleep": True, "warm_up_s": 0}, {}),
        ({"sleep": True, "warm_up_s": 0, "passive": True}, {}),
        ({"sleep": True, "warm_up_s": 0}, {"passive": True}),
    ],
)
async def test_a_plantower_that_was_left_asleep_or_passive_is_heard_at_the_next_poll(
    before: dict[str, object], after: dict[str, object], tmp_path: Path
) -> None:
    async with playing(PMS5003, tmp_path) as port:
        assert correct(await port.converse(sensor(driver="pms5003", **before).poll("serial")))
        changed = sensor(driver="pms5003", **after)
        with pytest.raises(Silence):
            await port.converse(changed.poll("serial"), 0.2)
        assert correct(await port.converse(changed.poll("serial")))


async def test_a_nova_that_was_left_asleep_is_heard_at_the_next_poll(tmp_path: Path) -> None:
    async with playing(SDS011, tmp_path) as port:
        assert correct(await port.converse(sensor(driver="sds011", sleep=True).poll("serial")))
        with pytest.raises(Silence):
            await port.converse(sensor(driver="sds011").poll("serial"), 0.2)
        assert correct(await port.converse(sensor(driver="sds011").poll("serial")))


def test_a_played_nova_hears_commands_that_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, said = SimulatedLine(tmp_path / "line"), list[bytes]()
    monkeypatch.setattr(line, "say", said.append)
    NovaSds011(line, VALUES.__getitem__)
    line.hears(sds011.SLEEP + sds011.WAKE + sds011.QUERY)
    assert [frame[1] for frame in said] == [0xC5, 0xC5, 0xC0]


async def test_a_plantower_that_is_passive_says_nothing_between_polls(tmp_path: Path) -> None:
    noise: list[int] = []
    async with playing(PMS5003, tmp_path, noise) as port:
        for _ in range(2):
            assert correct(await port.converse(sensor(driver="pms5003", passive=True).poll("serial")))
        with pytest.raises(Silence):
            await port.converse(sensor(driver="pms5003").poll("serial"), 0.3)
    assert noise == []


async def test_a_nova_is_told_once_to_wait_for_queries(tmp_path: Path) -> None:
    passive = sensor(driver="sds011", passive=True)
    async with playing(SDS011, tmp_path) as port:
        assert correct(await port.converse(passive.poll("serial")))
        assert correct(await port.converse(passive.poll("serial")))
    already = TRANSCRIPTS["sds011-6"]
    assert sds011.WHEN_QUERIED not in carry(already.sensor.poll("serial"), [already.heard])[1]


def test_a_nova_frame_must_end_as_one() -> None:
    with pytest.raises(FrameError):
        poll(SDS011, TRANSCRIPTS["sds011-1"].heard[:-1] + b"\xaa")


def test_eight_bytes_in_answer_to_a_command_are_no_frame() -> None:
    said = bytes.fromhex("42 4d 00 04 e1 00 01 74 42 4d 00 04 e4 01 01 78")
    assert meant(poll(sensor(driver="pms5003"), said + TRANSCRIPTS["pms5003-1"].heard)) == {
        "pm1": 0,
        "pm2_5": 8,
        "pm10": 8,
    }


# --- SPS30 ---


def sps30_says(*floats: float, state: int = 0, form: str = ">10f") -> bytes:
    data = struct.pack(form, *floats)
    return sps30.framed(bytes((0, sps30.READ, state, len(data))) + data)


@given(st.binary(max_size=255))
def test_what_is_stuffed_is_what_was_meant(data: bytes) -> None:
    held = bytes((0, sps30.READ, 0, len(data))) + data
    frame = sps30.framed(held)
    assert not {0x7E, 0x11, 0x13} & set(frame[1:-1])
    assert sps30.content(frame) == held
    assert take(bytearray(frame), partial(sps30.find, command=sps30.READ)) == (0, frame)


@pytest.mark.parametrize(
    "frame", ["7e 00 11 00 ee 7e", "7e 00 03 00 fc 7e", "7e 00 00 43 00 bc 7e", "7e 00 d2 01 00 2c 7e"]
)
def test_frames_of_the_data_sheet_have_the_right_check(frame: str) -> None:
    assert sps30.content(bytes.fromhex(frame)) == bytes.fromhex(frame)[1:-2]


def test_a_frame_that_a_real_sps30_sent_when_it_was_woken() -> None:
    assert sps30.content(bytes.fromhex("7e 00 7d 31 43 00 ab 7e")) == bytes.fromhex("00 11 43 00")


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.5, 3e38, 65_536])
def test_a_float_that_is_no_dust_is_none(wrong: float) -> None:
    answer = poll(sensor(driver="sps30"), sps30_says(4, wrong, 6, 7, 1, 1, 1, 1, 1, 1))
    assert meant(answer) == {"pm1": 4, "pm2_5": None, "pm10": 7}
    assert [v.status for v in answer.values] == [Status.MEASURING, Status.FAULT, Status.MEASURING]
    assert "pm2_5" in answer.complaint


def test_whole_numbers_are_read_as_well() -> None:
    answer = poll(sensor(driver="sps30"), sps30_says(4, 5, 6, 7, 1, 1, 1, 1, 1, 600, form=">10H"))
    assert meant(answer) == {"pm1": 4, "pm2_5": 5, "pm10": 7}


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        (1 << 4, "the fan is blocked"),
        (1 << 5, "the laser has failed"),
        (1 << 21 | 1 << 4, "too fast or too slow; the fan is blocked"),
        (0, "something has failed"),
    ],
)
def test_a_failed_fan_or_laser_marks_the_values_and_is_named(status: int, complaint: str) -> None:
    values = sps30_says(4, 5, 6, 7, 1, 1, 1, 1, 1, 1, state=0x80)
    told = sps30.framed(bytes((0, sps30.STATUS, 0x80, 5)) + status.to_bytes(4, "big") + b"\0")
    answer = poll(sensor(driver="sps30"), values, told)
    assert meant(answer) == {"pm1": 4, "pm2_5": 5, "pm10": 7}
    assert {v.status for v in answer.values} == {Status.FAULT}
    assert complaint in answer.complaint


def test_a_failure_that_is_never_explained_still_marks_the_values() -> None:
    answer = asked(sensor(driver="sps30"), sps30_says(4, 5, 6, 7, 1, 1, 1, 1, 1, 1, state=0x80))
    assert [(v.value, v.status) for v in answer.values] == [(v, Status.FAULT) for v in (4, 5, 7)]


def test_nothing_new_is_waited_for_and_then_a_fault() -> None:
    empty = bytes.fromhex("7e 00 03 00 00 fc 7e")
    answer, sent = carry(sensor(driver="sps30").poll("serial"), [empty] * 9)
    assert {v.value for v in answer.values} == {None}
    assert "nothing new" in answer.complaint
    assert len(sent) == sps30.TRIES


@pytest.mark.parametrize("size", [1, 4, 39, 41])
def test_a_reading_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(FrameError, match=f"{size} bytes of values"):
        poll(sensor(driver="sps30"), sps30.framed(bytes((0, sps30.READ, 0, size)) + bytes(size)))


def test_a_length_that_is_not_that_of_the_data_is_refused() -> None:
    with pytest.raises(FrameError, match="no frame"):
        poll(sensor(driver="sps30"), sps30.framed(bytes((0, sps30.READ, 0, 40)) + bytes(20)))


def test_the_answer_to_another_command_is_passed_over() -> None:
    begun = bytes.fromhex("7e 00 00 43 00 bc 7e")
    assert meant(poll(sensor(driver="sps30"), begun + TRANSCRIPTS["sps30-1"].heard)) == TRANSCRIPTS["sps30-1"].meaning
