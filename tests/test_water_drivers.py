"""Sondes of In-Situ, YSI and Yosemitech: what they say is checked before it is believed, and what is wrong is named."""

from __future__ import annotations

import math

import pytest
from frames_of_slaves import answer, big, little, refusal, request, swapped, with_crc
from transcripts import asked, reply, sensor

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Pause

MEASURING, CALIBRATING, FAULT = Status.MEASURING, Status.CALIBRATING, Status.FAULT


# --- In-Situ Aqua TROLL ---


def block(value: float, *, quality: int = 0, unit: int = 145, parameter: int = 17, sentinel: float = 0.0) -> bytes:
    return answer(*big(value), quality, unit, parameter, *big(sentinel))


def troll(reply_: bytes, quantity: str = "ph", **options: object) -> tuple[float | None, Status, str]:
    found = asked(sensor(driver="aqua_troll", values=[quantity], **options), b"", reply_)
    [value] = found.values
    assert value.quantity == quantity
    return value.value, value.status, found.complaint


def test_aqua_troll_is_woken_and_waited_for() -> None:
    steps = sensor(driver="aqua_troll", values=["ph"], wake_s=2.5).poll("serial")
    assert next(steps) == Pause(send=request(5450, 1), seconds=2.5)
    question = steps.send(b"")
    assert isinstance(question, Ask)
    assert question.send.hex(" ") == "01 03 15 ba 00 07 21 e1"


@pytest.mark.parametrize(
    ("quality", "value", "status"),
    [
        (0, 8.125, MEASURING),
        (1, 8.125, FAULT),
        (3, None, FAULT),
        (5, 8.125, FAULT),
        (7, None, FAULT),
        (99, 8.125, FAULT),
    ],
)
def test_aqua_troll_believes_only_qualities_that_are_known(quality: int, value: float | None, status: Status) -> None:
    found = troll(block(8.125, quality=quality))
    assert found[:2] == (value, status)
    assert (f"quality {quality}" in found[2]) == (quality != 0)


def test_aqua_troll_takes_qualities_from_the_file() -> None:
    assert troll(block(8.125, quality=1), measuring=[0, 1]) == (8.125, MEASURING, "")
    assert troll(block(8.125, quality=4), calibrating=[4]) == (8.125, CALIBRATING, "")


def test_aqua_troll_checks_the_parameter() -> None:
    value, status, complaint = troll(block(8.125, parameter=18))
    assert (value, status) == (None, FAULT)
    assert complaint == "ph: its registers hold parameter 18, not 17"


@pytest.mark.parametrize(
    ("quantity", "parameter", "unit", "raw", "value"),
    [
        ("water_temperature", 1, 1, 28.5, 28.5),
        ("water_temperature", 1, 2, 83.3, 28.5),
        ("conductivity", 10, 65, 50_500, 50_500),
        ("conductivity", 10, 66, 50.5, 50_500),
        ("tds", 13, 114, 32.75, 32_750),
        ("dissolved_oxygen", 20, 118, 6600, 6.6),
        ("dissolved_oxygen_saturation", 21, 177, 92.5, 92.5),
        ("orp", 19, 162, -123.5, -123.5),
        ("turbidity", 25, 194, 0, 0),
    ],
)
def test_aqua_troll_converts_units(quantity: str, parameter: int, unit: int, raw: float, value: float) -> None:
    found = troll(block(raw, unit=unit, parameter=parameter, sentinel=-999), quantity)
    assert found == (pytest.approx(value), MEASURING, "")


@pytest.mark.parametrize("unit", [0, 2, 117, 999])
def test_aqua_troll_a_unit_that_is_not_known_gives_no_value_until_the_file_names_it(unit: int) -> None:
    value, status, complaint = troll(block(8.125, unit=unit))
    assert (value, status) == (None, FAULT)
    assert f"unit {unit} is not known here" in complaint
    assert troll(block(8.125, unit=unit), units={"ph": "pH"}) == (8.125, MEASURING, "")


@pytest.mark.parametrize("sentinel", [-999.0, 8.125, math.inf])
def test_aqua_troll_the_value_for_being_off_line_is_none(sentinel: float) -> None:
    assert troll(block(sentinel, sentinel=sentinel))[:2] == (None, FAULT)


def test_aqua_troll_zero_is_a_value_though_it_also_stands_for_being_off_line() -> None:
    assert troll(block(0, unit=194, parameter=25), "turbidity") == (0, MEASURING, "")
    assert troll(block(0, unit=194, parameter=25, quality=5), "turbidity")[:2] == (None, FAULT)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf, 3e38, 1e-40])
def test_aqua_troll_what_is_no_number_is_none(raw: float) -> None:
    value, status, complaint = troll(block(raw))
    assert (value, status) == (None, FAULT)
    assert "gives no number" in complaint


def test_aqua_troll_a_parameter_that_is_not_there_leaves_the_others() -> None:
    sonde = sensor(driver="aqua_troll", values=["turbidity", "ph"])
    found = asked(sonde, b"", refusal(), block(8.125))
    assert found.values == (("turbidity", None, FAULT), ("ph", 8.125, MEASURING))
    assert found.complaint.startswith("turbidity: refuses function 3, registers 5618 to 5624: code 2")
    found = asked(sonde, b"", b"", block(8.125))
    assert found.values == (("turbidity", None, FAULT), ("ph", 8.125, MEASURING))
    assert "turbidity: does not answer" in found.complaint


def test_aqua_troll_conductivity_is_the_one_that_the_file_asks_for() -> None:
    for kind, parameter in (("specific", 10), ("actual", 9)):
        sonde = sensor(driver="aqua_troll", values=["conductivity"], conductivity=kind)
        found = asked(sonde, b"", block(500, unit=65, parameter=parameter))
        assert found.values == (("conductivity", 500, MEASURING),)


@pytest.mark.parametrize(
    ("options", "place", "text"),
    [
        ({"values": ["ph", "ph"]}, "values", "twice"),
        ({"values": ["nitrate"]}, "values", "not known here"),
        ({"values": ["ph"], "units": {"ph": "mg/L"}}, "units", "cannot be given in mg/L"),
    ],
)
def test_aqua_troll_mistakes(options: dict[str, object], place: str, text: str) -> None:
    [(path, what, hint)] = sensor(driver="aqua_troll", **options).mistakes()
    assert path[0] == place
    assert text in what
    assert hint


# --- YSI EXO ---


def exo(*places: tuple[int, int, float]) -> list[bytes]:
    """The adapter's four answers; a place is (code, status, value)."""
    empty = 32 - len(places)
    codes = answer(*(code for code, *_ in places), *[0] * empty)
    statuses = answer(*(status for _, status, _ in places), *[1] * empty)
    values = answer(*(word for *_, value in places for word in swapped(value)), *[0] * (2 * empty))
    return [codes, statuses, values, codes]


def test_exo_the_order_of_the_probes_is_of_no_matter() -> None:
    sonde = sensor(driver="ysi_exo", values=["ph", "water_temperature", "dissolved_oxygen"])
    places = [(18, 0, 8.125), (1, 0, 28.75), (212, 0, 6.5)]
    for turned in (places, places[::-1], [*places[1:], places[0], (223, 0, 2.0)]):
        values = asked(sonde, *exo(*turned)).values
        assert [value.value for value in values] == [8.125, 28.75, 6.5]


@pytest.mark.parametrize(
    ("quantity", "code", "raw", "value"),
    [
        ("water_temperature", 2, 83.3, 28.5),
        ("water_temperature", 3, 301.65, 28.5),
        ("conductivity", 6, 50.5, 50_500),
        ("tss", 191, 0.03125, 31.25),
        ("turbidity", 223, 2.75, 2.75),
        ("turbidity", 37, 2.75, 2.75),
        ("chlorophyll_a", 193, 1.5, 1.5),
    ],
)
def test_exo_units_follow_the_codes(quantity: str, code: int, raw: float, value: float) -> None:
    [found] = asked(sensor(driver="ysi_exo", values=[quantity]), *exo((code, 0, raw))).values
    assert found == (quantity, pytest.approx(value, abs=1e-4), MEASURING)


@pytest.mark.parametrize(("status", "why"), [(1, "not set"), (2, "plugged in"), (3, "unknown"), (65_535, "unknown")])
def test_exo_a_place_that_is_not_available_gives_no_value(status: int, why: str) -> None:
    found = asked(sensor(driver="ysi_exo", values=["ph", "orp"]), *exo((18, status, 8.125), (19, 0, 400)))
    assert found.values == (("ph", None, FAULT), ("orp", 400, MEASURING))
    assert found.complaint.startswith(f"ph: status {status}, ")
    assert why in found.complaint


def test_exo_a_parameter_that_nobody_set_up_is_named() -> None:
    found = asked(sensor(driver="ysi_exo", values=["turbidity"]), *exo((18, 0, 8.125), (1, 0, 28.75)))
    assert found.values == (("turbidity", None, FAULT),)
    assert found.complaint == "turbidity: no place holds code 37 or 223; the adapter is set to: 18, 1"


def test_exo_codes_behind_the_end_of_the_list_are_old() -> None:
    found = asked(sensor(driver="ysi_exo", values=["ph"]), *exo((1, 0, 28.75), (0, 1, 0), (18, 0, 8.125)))
    assert found.values == (("ph", None, FAULT),)


def test_exo_parameters_that_change_meanwhile_give_no_values() -> None:
    replies = exo((18, 0, 8.125), (1, 0, 28.75))
    replies[3] = exo((1, 0, 28.75), (18, 0, 8.125))[0]
    with pytest.raises(FrameError, match="changed while it was read"):
        asked(sensor(driver="ysi_exo", values=["ph"]), *replies)


@pytest.mark.parametrize("raw", [math.nan, math.inf, 1e-40, -3e38])
def test_exo_what_is_no_number_is_none(raw: float) -> None:
    found = asked(sensor(driver="ysi_exo", values=["ph"]), *exo((18, 0, raw)))
    assert found.values == (("ph", None, FAULT),)
    assert "gives no number" in found.complaint


def test_exo_wipes_before_every_nth_poll_and_samples_before_each() -> None:
    sonde = sensor(driver="ysi_exo", values=["ph"], wipe_every=3, wipe_s=45, sample_s=15, every_s=300)
    wiped = []
    for _ in range(7):
        steps, waits, written = sonde.poll("serial"), [], []
        step = next(steps)
        while isinstance(step, Pause) or step.send[1] == 16:
            if isinstance(step, Pause):
                waits.append(step.seconds)
                step = steps.send(b"")
            else:
                written.append(step.send[2:4])
                step = steps.send(step.find(with_crc(step.send[:6]))[1] or b"")
        wiped.append((written, waits))
    once, each = ([b"\0\2", b"\0\1"], [45, 15]), ([b"\0\1"], [15])
    assert wiped == [once, each, each, once, each, each, once]


def test_a_wipe_or_sample_that_is_refused_costs_no_value() -> None:
    sonde = sensor(driver="ysi_exo", values=["ph"], wipe_every=1, sample_s=15)
    found = asked(sonde, refusal(function=16), refusal(function=16), *exo((18, 0, 8.125)))
    assert found.values == (("ph", 8.125, MEASURING),)
    assert "register 2: code 2" in found.complaint
    assert "register 1: code 2" in found.complaint
    probe = sensor(driver="yosemitech", model="ammonium", wipe_every=1, start=False)
    found = asked(probe, refusal(function=16), answer(*little(4.25)))
    assert found.values == (("ammonium", 4.25, MEASURING),)
    assert "refuses function 16" in found.complaint


def test_exo_a_wipe_needs_time() -> None:
    [(path, _, hint)] = sensor(driver="ysi_exo", values=["ph"], wipe_every=1, every_s=60).mistakes()
    assert path == ("every_s",)
    assert "61" in hint


# --- Yosemitech ---

STARTED = answer()


def test_yosemitech_is_started_waited_for_read_and_stopped() -> None:
    probe = sensor(driver="yosemitech", model="turbidity", warm_up_s=7)
    assert probe.wakes
    steps = probe.poll("serial")
    start = next(steps)
    assert start.send.hex(" ") == "01 03 25 00 00 00 4e c6"
    assert steps.send(STARTED) == Pause(seconds=7)
    assert steps.send(b"").send.hex(" ") == "01 03 26 00 00 05 8e 81"
    stop = steps.send(answer(*little(27.5), *little(8.125), 0))
    assert isinstance(stop, Pause)
    assert stop.send == request(0x2E00, 0)
    with pytest.raises(StopIteration) as end:
        steps.send(b"")
    assert end.value.value.values == (("water_temperature", 27.5, MEASURING), ("turbidity", 8.125, MEASURING))


@pytest.mark.parametrize("error", [0x0100, 0x0001, 0xFFFF])
def test_yosemitech_an_error_marks_the_values(error: int) -> None:
    probe = sensor(driver="yosemitech", model="turbidity", start=False)
    found = asked(probe, answer(*little(27.5), *little(8.125), error))
    assert [(v.value, v.status) for v in found.values] == [(27.5, FAULT), (8.125, FAULT)]
    assert "it reports error" in found.complaint


def test_yosemitech_a_sonde_whose_error_is_not_known_is_not_believed() -> None:
    sonde = sensor(driver="yosemitech", model="sonde", values=["ph"])
    found = asked(sonde, answer(*(w for _ in range(8) for w in little(8.125))), refusal())
    assert found.values == (("ph", 8.125, FAULT),)
    assert "its error register: refuses" in found.complaint


def test_yosemitech_a_gateway_that_refuses_a_read_of_nothing_is_asked_for_one() -> None:
    probe = sensor(driver="yosemitech", model="ammonium")
    found, sent = reply(probe.poll("serial"), [b"", refusal(3), answer(0), answer(*little(4.25))])
    assert found == Answer(values=(found.values[0],))
    assert found.values == (("ammonium", 4.25, MEASURING),)
    assert sent[1] == request(0x2500, 1)


def test_yosemitech_a_start_that_is_refused_is_named() -> None:
    found = asked(sensor(driver="yosemitech", model="ammonium"), refusal(3), refusal(2), answer(*little(4.25)))
    assert found.values == (("ammonium", 4.25, MEASURING),)
    assert "set start: false" in found.complaint


def test_yosemitech_registers_that_are_not_there_keep_silent_and_the_others_are_read() -> None:
    probe = sensor(driver="yosemitech", model="cod", start=False)
    found = asked(probe, answer(*little(27.5), *little(48.25), 0), b"")
    assert [v.value for v in found.values] == [27.5, 48.25, None]
    assert "turbidity: does not answer to function 3, registers 4608 to 4609" in found.complaint
    with pytest.raises(Silence):
        asked(probe, b"", b"")


def test_yosemitech_floats_in_the_usual_order_are_not_believed() -> None:
    """27.5 and 8.125 with their high byte first read as 8.6e-41 and 1.2e-38."""
    probe = sensor(driver="yosemitech", model="turbidity", start=False)
    found = asked(probe, answer(*big(27.5), *big(8.125), 0))
    assert [v.value for v in found.values] == [None, None]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"model": "ph", "values": ["cod"]}, "values"),
        ({"model": "ph", "values": ["ph", "ph"]}, "values"),
        ({"model": "ph", "wipe_every": 3}, "wipe_every"),
        ({"model": "cod", "warm_up_s": 60}, "every_s"),
    ],
)
def test_yosemitech_mistakes(options: dict[str, object], place: str) -> None:
    [(path, _, hint)] = sensor(driver="yosemitech", **options).mistakes()
    assert path[0] == place
    assert hint
