"""Register maps in stations' files: types and orders, what is never believed, what points outside the instrument."""

from __future__ import annotations

import math
import struct

import msgspec
import pytest
from frames_of_slaves import answer, big, refusal, request, swapped, with_crc
from transcripts import asked, reply, sensor

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Ask, Pause
from edge_agent.station.register_map import Register

MEASURING, FAULT = Status.MEASURING, Status.FAULT


def register(**options: object) -> Register:
    return msgspec.convert({"address": 0} | options, Register)


@pytest.mark.parametrize(
    ("kind", "words", "order", "raw"),
    [
        ("int8", "12fe", "big/big", -2),
        ("uint8", "12fe", "big/big", 254),
        ("uint8", "12fe", "big/little", 0x12),
        ("int64", "ffff ffff ffff ff38", "big/big", -200),
        ("uint64", "0000 0000 0001 86a0", "big/big", 100_000),
        ("uint64", "86a0 0001 0000 0000", "little/big", 100_000),
        ("int64", "38ff ffff ffff ffff", "little/little", -200),
        ("float64", "3b40 0080 0000 0000", "big/little", 27.5),
        ("float64", "0000 0000 0080 3b40", "little/little", 27.5),
    ],
)
def test_types_and_orders(kind: str, words: str, order: str, raw: float) -> None:
    word_order, _, byte_order = order.partition("/")
    found = register(type=kind, word_order=word_order, byte_order=byte_order)
    assert found.raw([int(word, 16) for word in words.split()]) == raw


@pytest.mark.parametrize(("mask", "raw"), [(0x0FFF, 0x234), (0xF000, 1), (0x00F0, 3), (0x8000, 0), (0xFFFF, 0x1234)])
def test_a_mask_takes_bits_and_moves_them_down(mask: int, raw: int) -> None:
    assert register(mask=mask).raw([0x1234]) == raw


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"type": "float32", "missing": [-9999.9]}, big(-9999.9)),
        ({"type": "float32", "missing": [-9999]}, big(-9999)),
        ({"type": "float64", "missing": [-9999.9]}, struct.unpack(">4H", struct.pack(">d", -9999.9))),
        ({"type": "uint16", "missing": [65_535]}, (65_535,)),
        ({"type": "int16", "missing": [-32_768, -9999]}, (0x8000,)),
        ({"type": "uint16", "mask": 0x0FFF, "missing": [4095]}, (0xFFFF,)),
        ({"type": "float32"}, big(math.nan)),
        ({"type": "float32"}, big(-math.inf)),
        ({"type": "float32"}, swapped(27.5)),  # the words of 27.5 in the wrong order: 2.4e-41
        ({"type": "float32"}, (0x0080, 0x0041)),
        ({"type": "float32"}, big(3e38)),
        ({"type": "float64"}, (0, 0, 0, 0x403B)),
    ],
)
def test_what_is_no_number_gives_no_value(options: dict[str, object], words: tuple[int, ...]) -> None:
    assert register(**options).value("turbidity", list(words), MEASURING) == ("turbidity", None, FAULT)


@pytest.mark.parametrize(
    ("quantity", "options", "words"),
    [
        ("ph", {"type": "float32"}, swapped(8.05)),  # -1.1e8
        ("water_temperature", {"type": "uint16", "scale": 0.1}, (0xFFF0,)),  # -1.6 read without its sign
        ("conductivity", {"type": "uint32"}, (0x86A0, 0x0001)),
        ("water_temperature", {"type": "int16"}, (285,)),  # tenths
    ],
)
def test_numbers_far_from_anything_possible_are_kept_as_a_fault_and_the_order_is_questioned(
    quantity: str, options: dict[str, object], words: tuple[int, ...]
) -> None:
    found = asked(sensor(driver="modbus", registers={quantity: {"address": 7} | options}), answer(*words))
    [value] = found.values
    assert value.value is not None
    assert value.status == FAULT
    assert found.complaint.startswith(f"{quantity}: register 7 gives ")
    assert "word_order" in found.complaint
    assert f"{words[0]:04x}" in found.complaint


def test_values_a_little_outside_are_measured() -> None:
    found = asked(
        sensor(driver="modbus", registers={"dissolved_oxygen": {"address": 0, "type": "int16", "scale": 0.01}}),
        answer(0xFFFE),
    )
    assert found.values == (("dissolved_oxygen", pytest.approx(-0.02), MEASURING),)
    assert found.complaint == ""


# --- what is not there ---

FOUR = sensor(
    driver="modbus",
    registers={
        "ph": {"address": 0, "scale": 0.01},
        "orp": {"address": 1, "type": "int16"},
        "turbidity": {"address": 2, "type": "float32"},
        "flow": {"function": 4, "address": 0},
    },
)


def test_a_map_that_points_outside_costs_only_what_is_not_there() -> None:
    found, sent = reply(
        FOUR.poll("serial"), [b"", refusal(), answer(7, function=4), answer(812), answer(0xFF38), refusal()]
    )
    assert sent == [request(0, 4), request(0, 1, function=4), request(0, 1), request(1, 1), request(2, 2)]
    assert found.values == (
        ("ph", pytest.approx(8.12), MEASURING),
        ("orp", -200, MEASURING),
        ("turbidity", None, FAULT),
        ("flow", 7, MEASURING),
    )
    assert found.complaint == "turbidity: refuses function 3, registers 2 to 3: code 2, it has no such register"


def test_what_keeps_silent_together_is_asked_for_one_by_one() -> None:
    found, sent = reply(FOUR.poll("serial"), [b"", b"", answer(7, function=4), answer(812), answer(0), b""])
    assert len(sent) == 5
    assert [v.value for v in found.values] == [pytest.approx(8.12), 0, None, 7]
    assert "turbidity: does not answer to function 3, registers 2 to 3" in found.complaint


def test_a_dead_instrument_is_asked_twice_at_most() -> None:
    three = sensor(driver="modbus", registers={q: {"address": 9 * i} for i, q in enumerate(("ph", "orp", "flow"))})
    steps = three.poll("serial")
    next(steps)
    assert isinstance(steps.throw(Silence("1")), Pause), "its answer may still come"
    assert isinstance(steps.send(b""), Ask)
    with pytest.raises(Silence, match="2"):
        steps.throw(Silence("2"))


@pytest.mark.parametrize("code", [1, 5, 6, 10, 11])
def test_other_refusals_are_not_asked_again(code: int) -> None:
    two = sensor(driver="modbus", registers={"ph": {"address": 0}, "orp": {"address": 1}})
    found, sent = reply(two.poll("serial"), [b"", refusal(code)])
    assert len(sent) == 1
    assert [v.value for v in found.values] == [None, None]
    assert f"ph: refuses function 3, registers 0 to 1: code {code}" in found.complaint


def test_a_value_whose_status_is_not_there_is_not_believed() -> None:
    probe = sensor(driver="modbus", registers={"ph": {"address": 0, "scale": 0.01}}, status={"address": 9})
    found = asked(probe, answer(812), refusal())
    assert found.values == (("ph", None, FAULT),)
    assert found.complaint.startswith("ph: its status: refuses function 3, register 9")


# --- bits, writes, waking ---


@pytest.mark.parametrize(("function", "bit", "status"), [(1, 0, MEASURING), (2, 1, FAULT), (2, 0, MEASURING)])
def test_a_coil_or_discrete_input_may_be_the_status(function: int, bit: int, status: Status) -> None:
    probe = sensor(
        driver="modbus",
        registers={"ph": {"address": 0, "scale": 0.01}},
        status={"function": function, "address": 17, "measuring": [0]},
    )
    bits = with_crc(bytes((1, function, 1, 0xFE | bit)))
    found, sent = reply(probe.poll("serial"), [b"", bits, answer(812)])
    assert found.values == (("ph", pytest.approx(8.12), status),)
    assert sent[0] == request(17, 1, function=function)


def test_what_is_written_before_and_how_often() -> None:
    probe = sensor(
        driver="modbus",
        registers={"ph": {"address": 0}},
        before=[
            {"function": 16, "address": 2, "values": [1, 2], "wait_s": 30, "every": 3},
            {"address": 1, "values": [15], "wait_s": 2},
        ],
    )
    wipe, start = "01 10 00 02 00 02 04 00 01 00 02", "01 06 00 01 00 0f"
    seen = []
    for _ in range(4):
        steps, sent, waited = probe.poll("serial"), [], []
        step = next(steps)
        while isinstance(step, Pause) or step.send[1] != 3:
            if isinstance(step, Pause):
                waited.append(step.seconds)
                step = steps.send(b"")
            else:
                sent.append(step.send[:-2].hex(" "))
                step = steps.send(with_crc(step.send[:6]))
        seen.append((sent, waited))
    assert seen == [([wipe, start], [30, 2]), ([start], [2]), ([start], [2]), ([wipe, start], [30, 2])]


def test_a_write_that_is_refused_gives_no_old_value() -> None:
    probe = sensor(driver="modbus", registers={"ph": {"address": 0}}, before=[{"address": 1, "values": [15]}])
    with pytest.raises(FrameError, match="refuses function 6, register 1: code 2"):
        asked(probe, refusal(function=6), answer(812))


def test_a_write_is_done_only_when_the_instrument_says_so() -> None:
    probe = sensor(driver="modbus", registers={"ph": {"address": 0}}, before=[{"address": 1, "values": [15]}])
    for other in ("01 06 00 01 00 0e", "01 06 00 02 00 0f", "02 06 00 01 00 0f"):
        with pytest.raises(FrameError):
            asked(probe, with_crc(bytes.fromhex(other)), answer(812))


def test_waking() -> None:
    probe = sensor(driver="modbus", registers={"ph": {"function": 4, "address": 7}}, wake=True, wake_s=3)
    steps = probe.poll("serial")
    assert next(steps) == Pause(send=request(7, 1, function=4), seconds=3)
    assert steps.send(b"").send == request(7, 1, function=4)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"registers": {"ph": {"address": 0, "type": "int16", "mask": 15}}}, ("registers", "ph", "mask")),
        ({"before": [{"address": 1, "values": [1, 2]}]}, ("before", 0, "function")),
        ({"before": [{"function": 16, "address": 65_535, "values": [1, 2]}]}, ("before", 0, "address")),
    ],
)
def test_mistakes(options: dict[str, object], path: tuple[object, ...]) -> None:
    probe = sensor(**({"driver": "modbus", "registers": {"ph": {"address": 0}}} | options))
    [(where, _, hint)] = probe.mistakes()
    assert where == path
    assert hint
