"""What registers that nobody knows may mean: types, signs and orders of bytes."""

from __future__ import annotations

import math
import struct

import pytest

from edge_agent.station.unknown_registers import meanings, sane


def words(code: str, *values: float) -> list[int]:
    data = struct.pack(code, *values)
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


TRUE = (8.12, 27.53, 50_500.0, -123.4)


@pytest.mark.parametrize("swapped", [False, True], ids=["high word first", "low word first"])
@pytest.mark.parametrize("turned", [False, True], ids=["high byte first", "low byte first"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_order_that_gives_sane_values_is_suggested(swapped: bool, turned: bool, before: int) -> None:
    held = [word for value in TRUE for word in words(">f", value)[:: -1 if swapped else 1]]
    if turned:
        held = [(word & 0xFF) << 8 | word >> 8 for word in held]
    held = [3, 1][:before] + held
    found = [place.best for place in meanings({(3, 40 + i): word for i, word in enumerate(held)})][-4:]
    assert [round(meaning.value, 3) for meaning in found] == list(TRUE)
    assert {meaning.order for meaning in found} == {("little" if swapped else "big", "little" if turned else "big")}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([0xFF38], ["-200 as int16"]),
        ([50_500], ["50500 as uint16"]),
        ([0xFFFF, 0xFF38], ["-200 as int32"]),
        ([0xFF38, 0xFFFF], ["-200 as int32, word_order little"]),
        (words(">2f", math.nan, 8.12), ["8.12 as float32"]),
        (words(">2d", 8.12, 27.53), ["8.12 as float64", "27.53 as float64"]),
        ([281, 780, 10_085, 320, 1800], [f"{n} as uint16" for n in (281, 780, 10_085, 320, 1800)]),
        ([0, 0xFFFF, 0x8000, 0x7FFF], []),
        ([], []),
    ],
)
def test_registers_are_read_as_they_are_likely_meant(held: list[int], said: list[str]) -> None:
    assert [str(place.best) for place in meanings({(4, i): word for i, word in enumerate(held)})] == said


def test_what_both_functions_give_is_named_once() -> None:
    held = {(function, i): word for function in (3, 4) for i, word in enumerate(words(">2f", 7.21, 28.4))}
    assert [(p.best.function, round(p.best.value, 2)) for p in meanings(held)] == [(3, 7.21), (3, 28.4)]
    held |= {(4, i): word for i, word in enumerate(words(">2f", 410, 28.5))}
    assert [(p.best.function, round(p.best.value, 2)) for p in meanings(held)] == [(3, 7.21), (3, 28.4), (4, 410)]


def test_what_no_instrument_says() -> None:
    assert [sane(value) for value in (math.nan, math.inf, 1e-38, -2e26, 0.0)] == [0, 0, -1, -1, 0]
    assert sane(struct.unpack(">f", bytes.fromhex("7fc12345"))[0]) == -1, "NaN by accident"
