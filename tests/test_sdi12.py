"""SDI-12 instruments behind a transparent adapter."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcripts import asked, carry, reply, sensor

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Ask, Pause
from edge_agent.station.drivers.sdi12 import answers
from edge_agent.station.drivers.wxt530 import crc

PH = {"ph": {"position": 1}}
LEVEL = sensor(driver="sdi12", values=PH)
OLD = sensor(driver="sdi12", values=PH, crc=False)


def test_the_vectors_of_the_specification_hold() -> None:
    for text in ("0+3.14OqZ", "0+3.14+2.718+1.414Ipz"):
        values = {name: {"position": i} for i, name in enumerate(["ph", "orp", "tds"][: text.count("+")], start=1)}
        found = asked(sensor(driver="sdi12", values=values), f"0000{len(values)}\r\n".encode(), f"{text}\r\n".encode())
        assert [value.value for value in found.values] == [float(part) for part in re.findall(r"[0-9.]+", text[2:])]


def test_every_value_arrives_whatever_its_crc() -> None:
    """A character of the CRC may be any from 40 to 7f; the last is no printable one."""
    texts = [f"0+{i / 1000:.3f}".encode() for i in range(1000)]
    assert any(b"\x7f" in crc(text) for text in texts)
    for i, text in enumerate(texts):
        [value] = asked(LEVEL, b"00001\r\n", text + crc(text) + b"\r\n").values
        assert value.value == i / 1000


def test_the_service_request_is_waited_for_as_long_as_was_said_and_the_line_is_kept() -> None:
    steps = LEVEL.poll("serial")
    assert next(steps).send == b"0MC!"
    waits = steps.send(b"00171\r\n")
    assert isinstance(waits, Ask)
    assert (waits.wait_s, waits.send) == (17, b"")
    assert waits.find(b"0\r\n") == (3, b"0\r\n")
    assert steps.throw(Silence("late")).send == b"0D0!", "without a service request it is asked when its time is over"


def test_concurrent_measurements_leave_the_line_to_others() -> None:
    steps = sensor(driver="sdi12", values=PH, command="C2").poll("serial")
    assert next(steps).send == b"0CC2!"
    assert steps.send(b"003001\r\n") == Pause(seconds=30)
    assert steps.send(b"").send == b"0D0!"


def test_a_measurement_that_takes_too_long_is_not_waited_for() -> None:
    with pytest.raises(FrameError, match="needs 61 s, more than max_wait_s"):
        asked(LEVEL, b"00611\r\n")


@pytest.mark.parametrize(
    ("announced", "pages", "why"),
    [
        (0, [], "measures nothing"),
        (1, [b"0+1+2"], "announced 1 values and sent 2"),
        (3, [b"0+1+2", b"0+3+4"], "announced 3 values and sent 4"),
        (2, [b"0+1"] + [b"0"] * 9, "announced 2 values and sent 1"),
    ],
)
def test_the_number_of_values_must_be_the_one_announced(announced: int, pages: list[bytes], why: str) -> None:
    with pytest.raises(FrameError, match=why):
        asked(OLD, f"0000{announced}\r\n".encode(), *(page + b"\r\n" for page in pages))


def test_values_may_come_in_several_answers() -> None:
    probe = sensor(driver="sdi12", values={"ph": {"position": 3}}, crc=False)
    found, sent = reply(probe.poll("serial"), [b"", b"00003\r\n", b"0+1+2\r\n", b"0+3\r\n"])
    assert found.values[0].value == 3
    assert sent == [b"0M!", b"0D0!", b"0D1!"]


@pytest.mark.parametrize("echo", [b"", b"0MC!", b"\x00", b"\xff\x00\x00", b"0MC!\x00"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_echo_break_and_pieces_are_of_no_matter(echo: bytes, size: int) -> None:
    said = echo + b"00001\r\n" + echo.replace(b"MC", b"D0") + b"0+3.14OqZ\r\n"
    found, sent = carry(LEVEL.poll("serial"), [said[i : i + size] for i in range(0, len(said), size)])
    assert found.values[0].value == 3.14
    assert sent == [b"0MC!", b"0D0!"]


@pytest.mark.parametrize("said", [b"0+3.15OqZ", b"0+3.14OqY", b"1+3.14OqZ", b"0+3.14", b"0+3.14+OqZ", b"0", b""])
def test_a_wrong_crc_is_never_believed(said: bytes) -> None:
    with pytest.raises((FrameError, Silence)):
        asked(LEVEL, b"00001\r\n", said + b"\r\n")


@pytest.mark.parametrize(
    "said",
    [b"0+3.14+2", b"1+3.14", b"9+1.0+3.14", b"0 3.14", b"03.14", b"0+3.1.4", b"0+", b"0+1e3", b"0+123456789", b"0+nan"],
)
def test_without_a_crc_only_whole_answers_of_the_right_address_count(said: bytes) -> None:
    with pytest.raises((FrameError, Silence)):
        asked(OLD, b"00001\r\n", said + b"\r\n")
    assert asked(OLD, b"00001\r\n", b"0-3.5\r\n").values == (("ph", -3.5, Status.MEASURING),)


@pytest.mark.parametrize(
    ("said", "value"), [("+7", 7), ("-0.001", -0.001), ("+.5", 0.5), ("+7.", 7), ("+1234567", 1234567)]
)
def test_numbers_as_the_specification_allows_them(said: str, value: float) -> None:
    assert asked(OLD, b"00001\r\n", f"0{said}\r\n".encode()).values[0].value == value


def test_positions_units_scales_and_what_is_missing() -> None:
    probe = sensor(
        driver="sdi12",
        crc=False,
        values={
            "water_level": {"position": 2, "unit": "cm", "offset": -35},
            "orp": {"position": 1, "missing": [-9999]},
            "salinity": {"position": 5},
            "conductivity": {"position": 3, "unit": "mS/cm", "scale": 10},
        },
    )
    found = asked(probe, b"00003\r\n", b"0-9999+135\r\n", b"0+0.05\r\n")
    assert [(v.quantity, v.value) for v in found.values] == [
        ("water_level", pytest.approx(1.0)), ("orp", None), ("salinity", None), ("conductivity", pytest.approx(500)),
    ]  # fmt: skip
    assert "orp: it says that it has none" in found.complaint
    assert "salinity: it gives 3 values, none at position 5" in found.complaint


def test_a_letter_may_be_an_address() -> None:
    probe = sensor(driver="sdi12", values=PH, crc=False, address="z", command="M3")
    found, sent = reply(probe.poll("serial"), [b"", b"z0001\r\n", b"z+7.5\r\n"])
    assert found.values[0].value == 7.5
    assert sent == [b"zM3!", b"zD0!"]


@given(st.binary(max_size=400))
def test_no_bytes_make_the_framing_fail(data: bytes) -> None:
    used, frame = answers(lambda text: text.startswith("0"), behind_noise=True)(data)
    assert 0 <= used <= len(data)
    assert frame is None or (frame.endswith(b"\r\n") and data[:used].endswith(frame))


@pytest.mark.parametrize(
    ("values", "path", "text"),
    [
        ({"pH": {"position": 1}}, ("values", "pH"), "not a quantity"),
        ({"ph": {"position": 1, "unit": "mg/L"}}, ("values", "ph", "unit"), "cannot be given in mg/L"),
        ({"ph": {"position": 1, "scale": 0}}, ("values", "ph", "scale"), "leaves nothing"),
    ],
)
def test_mistakes(values: dict[str, object], path: tuple[str, ...], text: str) -> None:
    [(where, what, hint)] = sensor(driver="sdi12", values=values).mistakes()
    assert where == path
    assert text in what
    assert hint
