"""Modbus framing against vectors from makers' documents, noise, echoes, other slaves and arbitrary bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import FrameError
from edge_agent.station.conversation import take
from edge_agent.station.modbus import RefusedError, Request
from edge_agent.station.register_map import Register

ANSWER = bytes.fromhex("01 03 0a 00 00 dc 41 85 eb 01 41 00 00 12 d1")
TCP_ANSWER = bytes.fromhex("00 07 00 00 00 07 01 03 04 41 dc 00 00")


def rtu(slave: int = 1, function: int = 3, address: int = 0x2600, count: int = 5) -> Request:
    return Request(tcp=False, slave=slave, function=function, address=address, count=count, transaction=1)


def tcp(count: int = 2) -> Request:
    return Request(tcp=True, slave=1, function=3, address=0, count=count, transaction=7)


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (rtu(address=0, count=2), "01 03 00 00 00 02 c4 0b"),
        (rtu(slave=2, address=0, count=2), "02 03 00 00 00 02 c4 38"),
        (rtu(function=4, address=1, count=2), "01 04 00 01 00 02 20 0b"),
        (rtu(function=4, address=0, count=2), "01 04 00 00 00 02 71 cb"),
        (rtu(), "01 03 26 00 00 05 8e 81"),
        (rtu(address=5562, count=7), "01 03 15 ba 00 07 21 e1"),  # In-Situ Aqua TROLL: pH
        (rtu(address=5583, count=7), "01 03 15 cf 00 07 30 3b"),  # and dissolved oxygen
        (tcp(), "00 07 00 00 00 06 01 03 00 00 00 02"),
    ],
)
def test_requests_are_those_of_the_manuals(request_: Request, sent: str) -> None:
    assert request_.sent.hex(" ") == sent


def test_an_in_situ_parameter_block() -> None:
    request = rtu(address=5562, count=7)
    frame = bytes.fromhex("01 03 0e 41 00 cc cd 00 00 00 91 00 11 00 00 00 00 06 60")
    assert request.find_rtu(frame) == (len(frame), frame)
    registers = request.registers(frame)
    assert Register(address=5562, type="float32").raw(registers[:2]) == pytest.approx(8.05)
    assert registers[2:5] == [0, 145, 17]


@pytest.mark.parametrize(
    "before",
    [
        "",
        "00",
        "01",
        "01 03",
        "01 03 0a",
        "01 03 0a 01 03 0a",
        "01 83",
        "01 83 02 00 00",
        "ff" * 300,
        "01 03 26 00 00 05 8e 81",  # the adapter hears what it sends
        "02 03 04 00 00 c5 44 9a 50",  # slave 2 comes late
        "01 04 04 01 19 03 0c 2b 4a",  # another function
        "01 03 04 40 d3 33 33 4a ef",  # another count
        "01 03 0a 00 00 dc 41 85 eb 01 41 00 00 12 d2",  # damaged
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_the_answer_is_found_behind(before: str, size: int) -> None:
    data = bytes.fromhex(before) + ANSWER + b"\x00\x01"
    buffer, frame, dropped = bytearray(), None, 0
    for i in range(0, len(data), size):
        buffer += data[i : i + size]
        more, frame = take(buffer, rtu().find_rtu)
        dropped += more
        if frame is not None:
            break
    assert frame == ANSWER
    assert dropped == len(data) - len(ANSWER) - 2
    assert rtu().registers(ANSWER) == [0x0000, 0xDC41, 0x85EB, 0x0141, 0x0000]


@pytest.mark.parametrize("length", range(len(ANSWER)))
def test_a_part_of_an_answer_is_none(length: int) -> None:
    assert take(bytearray(ANSWER[:length]), rtu().find_rtu) == (0, None)


def test_a_refusal_says_what_it_means() -> None:
    frame = bytes.fromhex("01 83 02 c0 f1")
    assert rtu().find_rtu(frame) == (5, frame)
    with pytest.raises(RefusedError, match="registers 9728 to 9732: code 2, it has no such register"):
        rtu().registers(frame)


def test_a_refusal_is_found_behind_what_looks_like_a_longer_answer() -> None:
    refusal = bytes.fromhex("01 83 02 c0 f1")
    assert take(bytearray(ANSWER[:4] + refusal), rtu().find_rtu) == (4, refusal)


@given(st.binary(max_size=600))
def test_no_bytes_are_taken_for_an_answer_of_the_wrong_shape(data: bytes) -> None:
    _, frame = take(bytearray(data), rtu(slave=17, count=1).find_rtu)
    assert frame is None or (frame[0] == 17 and frame[1] in (3, 0x83) and len(frame) in (5, 7))


# --- TCP ---


def test_tcp_an_older_answer_is_passed_over() -> None:
    late = bytes.fromhex("00 06 00 00 00 07 01 03 04 11 11 11 11")
    assert take(bytearray(late + TCP_ANSWER), tcp().find_tcp) == (len(late), TCP_ANSWER)
    assert tcp().registers(TCP_ANSWER) == [0x41DC, 0]


@pytest.mark.parametrize("length", range(len(TCP_ANSWER)))
def test_tcp_a_part_of_an_answer_is_none(length: int) -> None:
    assert take(bytearray(TCP_ANSWER[:length]), tcp().find_tcp) == (0, None)


@pytest.mark.parametrize("header", ["48 54 54 50 2f 31", "00 07 00 00 ff ff", "00 07 00 00 00 00", "00 07 00 01 00 07"])
def test_tcp_what_is_not_modbus_is_given_up(header: str) -> None:
    with pytest.raises(FrameError, match="not Modbus TCP"):
        take(bytearray(bytes.fromhex(header)), tcp().find_tcp)


@pytest.mark.parametrize("count", [1, 3, 125])
def test_tcp_another_count_is_an_error(count: int) -> None:
    with pytest.raises(FrameError, match=f"asked for {count} registers"):
        tcp(count).registers(TCP_ANSWER)


@given(st.binary(max_size=300))
def test_tcp_no_bytes_are_believed_beyond_their_length(data: bytes) -> None:
    try:
        _, frame = take(bytearray(TCP_ANSWER[:6] + data), tcp().find_tcp)
        if frame is not None:
            tcp().registers(frame)
    except FrameError:
        return
    assert frame is None or len(frame) == 13


def test_tcp_an_answer_of_another_address_is_named() -> None:
    with pytest.raises(FrameError, match="asked as address 1, it answers as 0"):
        take(bytearray(TCP_ANSWER[:6] + b"\0" + TCP_ANSWER[7:]), tcp().find_tcp)


# --- two masters on one line ---

OTHERS = [
    "02 03 00 00 00 02 c4 38",  # the other master asks slave 2
    "02 03 04 00 00 c5 44 9a 50",  # and slave 2 answers
    "01 04 00 01 00 02 20 0b",  # it asks our slave, by another function
    "01 04 04 01 19 03 0c 2b 4a",
    "01 03 00 00 00 02 c4 0b",  # and for another count
    "01 03 04 40 d3 33 33 4a ef",
]


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
def test_what_another_master_says_and_hears_is_passed_over(size: int) -> None:
    data = b"".join(map(bytes.fromhex, OTHERS)) + ANSWER
    buffer, found = bytearray(), []
    for i in range(0, len(data), size):
        buffer += data[i : i + size]
        found.append(take(buffer, rtu().find_rtu)[1])
    assert [frame for frame in found if frame] == [ANSWER]


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
def test_where_nobody_can_tell_whose_answer_comes_none_is_believed(size: int) -> None:
    """The other master asks the same slave for as many registers, but others."""
    other = rtu(address=0x1100).sent
    data = other + ANSWER
    buffer = bytearray()
    with pytest.raises(FrameError, match="another master asks address 1 too"):
        for i in range(0, len(data), size):
            buffer += data[i : i + size]
            assert take(buffer, rtu().find_rtu)[1] is None


def test_the_echo_of_our_own_request_is_no_other_master() -> None:
    data = rtu().sent + ANSWER
    assert take(bytearray(data), rtu().find_rtu) == (8, ANSWER)
