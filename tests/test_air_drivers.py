"""Drivers of air and weather, all of them: what lines do to their frames, and played sensors on a line.

Transcripts with bits turned over, and noise before them, are in test_drivers.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from air import AIR, TRANSCRIPTS, correct, meant, playing, poll
from transcripts import Transcript, sensor

from edge_agent.contract.quantities import BY_NAME
from edge_agent.station.conversation import Answer, Conversation, Pause
from edge_agent.station.sensor import Recognised

ONE_ANSWER = [t for t in TRANSCRIPTS.values() if sum(direction == "<" for direction, _ in t.lines) == 1]

every = pytest.mark.parametrize("said", TRANSCRIPTS.values(), ids=lambda t: t.name)


@every
def test_frames_may_be_split_at_every_byte(said: Transcript) -> None:
    for i in range(1, len(said.heard)):
        assert meant(poll(said.sensor, said.heard[:i], said.heard[i:])) == said.meaning, i


@pytest.mark.parametrize("said", ONE_ANSWER, ids=lambda t: t.name)
def test_two_frames_in_one_are_two(said: Transcript) -> None:
    assert meant(poll(said.sensor, said.heard + said.heard)) == said.meaning
    # one that is cut off, or damaged in its middle, runs into the next
    for damaged in (said.heard[: len(said.heard) // 2], said.heard[:9] + b"\x00" + said.heard[10:]):
        answer = meant(poll(said.sensor, damaged + said.heard))
        assert answer == said.meaning, damaged


@pytest.mark.parametrize(
    "options",
    [
        {"driver": "pms5003"},
        {"driver": "pms5003", "sleep": True, "passive": True},
        {"driver": "sds011"},
        {"driver": "sds011", "sleep": True, "passive": True},
        {"driver": "sps30"},
        {"driver": "sps30", "sleep": True},
        {"driver": "wxt530", "address": "a"},
        {"driver": "wxt530", "address": "a", "crc": True},
        {"driver": "nmea_weather"},
        {"driver": "nmea_weather", "wind": "true"},
        {"driver": "nmea_weather", "wind": "mda"},
    ],
    ids=lambda options: "-".join(str(value) for value in options.values()),
)
async def test_played_sensors_are_read_again_and_again(options: dict[str, object], tmp_path: Path) -> None:
    noise: list[int] = []
    played = sensor(**options)
    async with playing(played, tmp_path, noise) as port:
        for _ in range(2):
            answer = await port.converse(played.poll("serial"))
            assert correct(answer), answer
            assert tuple(v.quantity for v in answer.values) == played.gives
    assert noise == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"driver": "sps30"}, {}),
        ({"driver": "wxt530", "address": "3"}, {"address": "3"}),
        (
            {"driver": "wxt530", "values": ["wind_direction", "rain"]},
            {"address": "0", "values": ["wind_direction", "rain"]},
        ),
        ({"driver": "nmea_weather"}, {}),
        ({"driver": "nmea_weather", "values": ["wind_speed"]}, {"values": ["wind_speed"]}),
    ],
)
async def test_a_sensor_nobody_knows_is_recognised_also_after_others_were_asked_for(
    options: dict[str, object], found: dict[str, object], tmp_path: Path
) -> None:
    recognised: list[Recognised | None] = []
    played = sensor(**options)

    def recognise() -> Conversation:
        yield Pause(send=bytes.fromhex("01 03 00 00 00 01 84 0a"))
        recognised.append((yield from type(played).recognise("serial", 0)))
        return Answer(values=())

    async with playing(played, tmp_path) as port:
        await port.converse(recognise(), 0.5)
    assert recognised[0] is not None
    assert recognised[0].options == found
    assert recognised[0].why


def test_what_drivers_give_are_quantities() -> None:
    for driver in AIR:
        assert set(sensor(driver=driver).gives) <= BY_NAME.keys()
