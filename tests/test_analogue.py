"""4-20 mA transmitters on a Modbus analogue input module."""

from __future__ import annotations

import math

import pytest
from frames_of_slaves import answer, big, refusal
from transcripts import asked, sensor

from edge_agent.contract.events import Status

MEASURING, FAULT = Status.MEASURING, Status.FAULT


def level(microamperes: int, **options: object) -> tuple[float | None, Status, str]:
    channel = {"address": 0, "scale": 0.001, "at_4_ma": 0, "at_20_ma": 5} | options
    found = asked(sensor(driver="analogue", channels={"water_level": channel}), answer(microamperes, function=4))
    [value] = found.values
    return value.value, value.status, found.complaint


@pytest.mark.parametrize(
    ("microamperes", "value", "status", "complains"),
    [
        (0, None, FAULT, True),
        (3599, None, FAULT, True),
        (3600, -0.0625, MEASURING, True),
        (3799, -0.0625, MEASURING, True),
        (3800, -0.0625, MEASURING, False),
        (4000, 0.0, MEASURING, False),
        (12_000, 2.5, MEASURING, False),
        (20_000, 5.0, MEASURING, False),
        (20_500, 5.15625, MEASURING, False),
        (20_501, 5.15625, MEASURING, True),
        (21_000, 5.15625, MEASURING, True),
        (21_001, None, FAULT, True),
        (65_535, None, FAULT, True),
    ],
)
def test_analogue_limits(microamperes: int, value: float | None, status: Status, complains: bool) -> None:
    found = level(microamperes)
    assert found[:2] == (pytest.approx(value) if value is not None else None, status)
    assert ("mA" in found[2]) == complains


def test_analogue_ranges_may_fall_and_have_units() -> None:
    assert level(8000, at_4_ma=300, at_20_ma=-100, unit="cm")[0] == pytest.approx(2.0)


def test_analogue_a_negative_count_is_a_broken_wire() -> None:
    assert level(0xFFF0, type="int16")[:2] == (None, FAULT)


def test_analogue_a_module_may_give_its_current_as_a_float() -> None:
    channel = {"address": 0, "scale": 1, "type": "float32", "at_4_ma": 0, "at_20_ma": 14}
    module = sensor(driver="analogue", channels={"ph": channel})
    assert asked(module, answer(*big(12), function=4)).values == (("ph", 7, MEASURING),)
    assert asked(module, answer(*big(math.nan), function=4)).values == (("ph", None, FAULT),)


def test_analogue_an_input_that_is_not_there_leaves_the_others() -> None:
    channel = {"scale": 0.001, "at_4_ma": 0, "at_20_ma": 5}
    module = sensor(
        driver="analogue", channels={"ph": channel | {"address": 8}, "water_level": channel | {"address": 0}}
    )
    found = asked(module, refusal(function=4), answer(12_000, function=4))
    assert found.values == (("ph", None, FAULT), ("water_level", 2.5, MEASURING))
    assert found.complaint.startswith("ph: refuses function 4, register 8: code 2")


@pytest.mark.parametrize(
    ("options", "place"),
    [({"at_20_ma": 0}, "at_20_ma"), ({"unit": "mg/L"}, "unit"), ({"address": 65_535, "type": "int32"}, "address")],
)
def test_analogue_mistakes(options: dict[str, object], place: str) -> None:
    channel = {"address": 0, "scale": 0.001, "at_4_ma": 0, "at_20_ma": 5} | options
    [(path, _, hint)] = sensor(driver="analogue", channels={"water_level": channel}).mistakes()
    assert path == ("channels", "water_level", place)
    assert hint
