"""Drivers against bytes that sensors said, and against bytes that no sensor should say."""

from __future__ import annotations

import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcripts import Transcript, carry, read, reply, sensor

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME
from edge_agent.errors import EdgeError, FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Pause, marked, take
from edge_agent.station.drivers.modbus import Modbus
from edge_agent.station.register_map import Register
from edge_agent.station.settings import driver_structs


def checked(said: Transcript) -> bool:
    """Tell whether the sensor's bytes carry a checksum."""
    driver = str(said.sensor.__struct_config__.tag)
    return driver != "atlas_ezo" and said.kind == "serial" and getattr(said.sensor, "crc", True)


TRANSCRIPTS = read()
CHECKED = [t for t in TRANSCRIPTS if checked(t)]

named = pytest.mark.parametrize("said", TRANSCRIPTS, ids=lambda t: t.name)


@named
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_transcript_is_understood_however_it_is_split(said: Transcript, size: int) -> None:
    chunks = [said.heard[i : i + size] for i in range(0, len(said.heard), size)]
    answer, sent = carry(said.sensor.poll(said.kind), chunks)
    assert meant(answer) == said.meaning
    assert tuple(v.quantity for v in answer.values) == said.sensor.gives
    assert all(v.status == (Status.FAULT if v.value is None else Status.MEASURING) for v in answer.values)
    assert bool(answer.complaint) == (None in said.meaning.values())
    assert sent == said.sent


def test_every_driver_has_a_transcript() -> None:
    drivers = {struct.__struct_config__.tag for struct in driver_structs()}
    assert {t.sensor.__struct_config__.tag for t in TRANSCRIPTS} == drivers


@pytest.mark.parametrize("said", CHECKED, ids=lambda t: t.name)
def test_a_damaged_bit_never_gives_another_value(said: Transcript) -> None:
    for n, heard in enumerate(said.replies):
        for i in range(8 * len(heard)):
            damaged = bytearray(heard)
            damaged[i // 8] ^= 1 << i % 8
            replies = [*said.replies[:n], bytes(damaged), *said.replies[n + 1 :]]
            try:
                answer, _ = reply(said.sensor.poll(said.kind), replies)
            except (FrameError, Silence):
                continue
            # where one of several sentences is damaged, the others may be believed
            believed = {q: value for q, value in meant(answer).items() if value is not None}
            assert believed.items() <= said.meaning.items(), f"answer {n}, byte {i // 8}, bit {i % 8}"
            assert all(v.value is not None or v.status == Status.FAULT for v in answer.values)


@pytest.mark.parametrize("said", CHECKED, ids=lambda t: t.name)
@pytest.mark.parametrize(
    "noise", ["00 ff 00", "42 4d 00", "42 4d 00 1c 42", "aa c0 aa", "01 03 0a", "01 83", "ff" * 80]
)
def test_noise_before_a_frame_is_passed_over(said: Transcript, noise: str) -> None:
    answer, _ = carry(said.sensor.poll(said.kind), [bytes.fromhex(noise), said.heard])
    assert meant(answer) == said.meaning


@named
def test_silence_is_silence(said: Transcript) -> None:
    with pytest.raises(Silence):
        carry(said.sensor.poll(said.kind), [])


fragments = st.sampled_from([t.heard for t in TRANSCRIPTS]).flatmap(
    lambda heard: st.tuples(st.integers(0, len(heard)), st.integers(0, len(heard))).map(
        lambda ends: heard[min(ends) : max(ends)]
    )
)


@given(st.sampled_from(TRANSCRIPTS), st.lists(st.one_of(st.binary(max_size=300), fragments), max_size=8))
def test_no_bytes_make_a_driver_fail(said: Transcript, chunks: list[bytes]) -> None:
    try:
        answer, _ = carry(said.sensor.poll(said.kind), chunks)
    except EdgeError:
        return
    for value in answer.values:
        assert value.quantity in BY_NAME
        assert value.value is None or math.isfinite(value.value)
        assert value.value is not None or value.status != Status.MEASURING


@given(st.binary(max_size=3000), st.binary(min_size=1, max_size=4), st.integers(4, 40))
def test_framing_uses_what_is_there_and_keeps_little(data: bytes, mark: bytes, size: int) -> None:
    buffer = bytearray(data)
    dropped, frame = take(buffer, marked(mark, size, lambda frame: sum(frame) % 3 == 0))
    assert dropped + len(frame or b"") + len(buffer) == len(data)
    assert frame is None or (frame.startswith(mark) and len(frame) == size)
    assert frame is not None or len(buffer) < size


# --- one sensor each ---


def test_pms5003_error_byte_marks_the_values() -> None:
    body = bytearray(TRANSCRIPTS_BY_NAME["pms5003-1"].heard[:-2])
    body[29] = 4
    answer, _ = carry(sensor(driver="pms5003").poll("serial"), [bytes(body) + sum(body).to_bytes(2, "big")])
    assert [v.value for v in answer.values] == [0, 8, 8]
    assert {v.status for v in answer.values} == {Status.FAULT}
    assert "error 4" in answer.complaint


def test_a_sleeping_laser_is_woken_waited_for_and_put_to_sleep() -> None:
    steps = sensor(driver="pms5003", sleep=True, warm_up_s=20).poll("serial")
    wake = next(steps)
    assert isinstance(wake, Pause)
    assert wake.seconds == 20
    assert isinstance(steps.send(b""), Ask)


def test_sds011_answers_to_commands_are_no_measurements() -> None:
    command = bytes.fromhex("aa c5 06 01 01 00 58 d9 39 ab")
    frame = TRANSCRIPTS_BY_NAME["sds011-1"].heard
    answer, _ = carry(sensor(driver="sds011").poll("serial"), [command + frame])
    assert [v.value for v in answer.values] == [0.6, 0.6]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"*OK\r7.01,8.2\r", "2 values"),
        (b"*OK\r7.0.1\r", "not a number"),
        (b"*OK\rnan\r", "not a number"),
        (b"*OK\r1e3\r", "not a number"),
        (b"*OK\r" + b"*RE\r" * 20, "status lines only"),
        (b"7.01\r" * 20, "no \\*OK"),
    ],
)
def test_atlas_ezo_refuses(said: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        carry(sensor(driver="atlas_ezo", values=["ph"]).poll("serial"), [said])


def test_atlas_ezo_passes_over_status_lines() -> None:
    answer, sent = carry(sensor(driver="atlas_ezo", values=["ph"]).poll("serial"), [b"*WA\r*RE\r*OK\r*OK\r8.1\r"])
    assert answer.values[0].value == 8.1
    assert sent == [b"C,0\r", b"C,0\r", b"R\r"]


def test_atlas_ezo_that_was_left_asleep_is_told_again_what_woke_it() -> None:
    answer, sent = reply(sensor(driver="atlas_ezo", values=["ph"]).poll("serial"), [b"", b"*WA\r", b"*OK\r", b"8.1\r"])
    assert answer.values[0].value == 8.1
    assert sent == [b"C,0\r", b"C,0\r", b"R\r"]


def test_atlas_ezo_a_compensation_that_is_not_understood_gives_no_value() -> None:
    circuit = sensor(driver="atlas_ezo", values=["ph"], temperature=28.5)
    with pytest.raises(FrameError, match=r"did not understand T,28\.5"):
        carry(circuit.poll("serial"), [b"*OK\r*ER\r"])


def test_atlas_ezo_sleeps_between_polls() -> None:
    circuit = sensor(driver="atlas_ezo", values=["ph"], sleep=True)
    _, sent = reply(circuit.poll("serial"), [b"", b"*WA\r", b"*OK\r", b"8.1\r*OK\r"])
    assert sent == [b"\r", b"C,0\r", b"R\r", b"Sleep\r"]


def test_atlas_ezo_a_redox_circuit_is_not_compensated() -> None:
    [(path, _, _)] = sensor(driver="atlas_ezo", values=["orp"], temperature=28.5).mistakes()
    assert path == ("temperature",)


# --- Modbus ---


@pytest.mark.parametrize(
    ("kind", "words", "order", "raw"),
    [
        ("uint16", "ff38", "big/big", 65336),
        ("int16", "ff38", "big/big", -200),
        ("int16", "38ff", "big/little", -200),
        ("uint32", "0001 86a0", "big/big", 100_000),
        ("uint32", "86a0 0001", "little/big", 100_000),
        ("int32", "ffff ff38", "big/big", -200),
        ("float32", "41dc 0000", "big/big", 27.5),
        ("float32", "0000 41dc", "little/big", 27.5),
        ("float32", "dc41 0000", "big/little", 27.5),
        ("float32", "0000 dc41", "little/little", 27.5),
        ("float64", "403b 8000 0000 0000", "big/big", 27.5),
        ("float64", "0000 0000 8000 403b", "little/big", 27.5),
    ],
)
def test_modbus_types_and_orders(kind: str, words: str, order: str, raw: float) -> None:
    word_order, _, byte_order = order.partition("/")
    options = {"address": 0, "type": kind, "word_order": word_order, "byte_order": byte_order}
    register = msgspec.convert(options, Register)
    assert register.raw([int(word, 16) for word in words.split()]) == raw


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf, 3.4e38, -9999.0])
def test_modbus_what_is_no_number_gives_no_value(raw: float) -> None:
    register = Register(address=0, type="float32", missing=(-9999.0,))
    words = list(struct.unpack(">2H", struct.pack(">f", raw)))
    assert register.value("ph", words, Status.MEASURING) == ("ph", None, Status.FAULT)


def test_modbus_zero_is_a_value() -> None:
    register = Register(address=0)
    assert register.value("orp", [0], Status.MEASURING) == ("orp", 0.0, Status.MEASURING)


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, Status.MEASURING), (1, Status.CALIBRATING), (2, Status.FAULT), (0x8001, Status.CALIBRATING)],
)
def test_modbus_status_register(code: int, status: Status) -> None:
    instrument = sensor(
        driver="modbus",
        registers={"ph": {"address": 0, "scale": 0.01}, "orp": {"address": 1, "status": {"address": 3}}},
        status={"address": 2, "mask": 0xFF, "measuring": [0], "calibrating": [1]},
    )
    answer = answered(instrument, [812, 400, code, 0])
    assert answer == [("ph", pytest.approx(8.12), status), ("orp", 400, Status.MEASURING)]


def test_modbus_a_refused_block_leaves_the_others() -> None:
    instrument = sensor(driver="modbus", registers={"ph": {"address": 0, "scale": 0.01}, "orp": {"address": 9}})
    first = with_crc("01 03 02 03 2c")
    answer, sent = carry(instrument.poll("serial"), [first, bytes.fromhex("01 83 02 c0 f1")])
    assert [(v.quantity, v.value, v.status) for v in answer.values] == [
        ("ph", pytest.approx(8.12), Status.MEASURING),
        ("orp", None, Status.FAULT),
    ]
    assert answer.complaint == "orp: refuses function 3, register 9: code 2, it has no such register"
    assert len(sent) == 2


def test_modbus_reads_neighbours_together_and_nothing_else() -> None:
    def blocks(most: int = 125, **registers: object) -> list[tuple[int, int, int]]:
        instrument = sensor(driver="modbus", registers=registers, max_registers=most)
        assert isinstance(instrument, Modbus)
        return [(b.function, b.address, b.count) for b in instrument.blocks()]

    float32 = {"type": "float32"}
    assert blocks(ph={"address": 2, **float32}, orp={"address": 0, **float32}) == [(3, 0, 4)]
    assert blocks(ph={"address": 3, **float32}, orp={"address": 0, **float32}) == [(3, 0, 2), (3, 3, 2)]
    assert blocks(ph={"address": 2, "function": 4}, orp={"address": 1}) == [(3, 1, 1), (4, 2, 1)]
    assert blocks(5, ph={"address": 0, "type": "float64"}, orp={"address": 4, **float32}) == [(3, 0, 4), (3, 4, 2)]
    assert blocks(ph={"address": 0, **float32}, orp={"address": 1}) == [(3, 0, 2)]


def test_modbus_units_are_converted_once() -> None:
    instrument = sensor(driver="modbus", registers={"no2": {"address": 0, "scale": 0.1, "offset": 1, "unit": "ppb"}})
    assert answered(instrument, [90]) == [("no2", pytest.approx(10 * 1.88), Status.MEASURING)]


# --- helpers ---


def meant(answer: Answer) -> dict[str, float | None]:
    """Values by quantity, rounded: the wire's floats are short."""
    return {v.quantity: None if v.value is None else round(v.value, 5) for v in answer.values}


TRANSCRIPTS_BY_NAME = {t.name: t for t in TRANSCRIPTS}


def with_crc(text: str) -> bytes:
    """Bytes with their CRC-16/MODBUS, computed here bit by bit."""
    data, crc = bytes.fromhex(text), 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return data + crc.to_bytes(2, "little")


def answered(instrument: object, words: list[int]) -> list[tuple[str, float | None, Status]]:
    """What the instrument's driver makes of these registers, in one answer."""
    assert isinstance(instrument, Modbus)
    body = b"".join(word.to_bytes(2, "big") for word in words)
    frame = with_crc(f"{instrument.address:02x}03{len(body):02x}{body.hex()}")
    answer, _ = carry(instrument.poll("serial"), [frame])
    return [(v.quantity, v.value, v.status) for v in answer.values]
