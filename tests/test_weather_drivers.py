"""Vaisala's transmitters and NMEA 0183: units, fields that come or do not, and lines that are not to be believed."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest
from air import TRANSCRIPTS, meant, poll
from transcripts import Transcript, sensor

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError
from edge_agent.station.conversation import Answer
from edge_agent.station.drivers import nmea_weather, wxt530

WITHOUT_CRC = [t for t in TRANSCRIPTS.values() if isinstance(t.sensor, wxt530.Wxt530) and not t.sensor.crc]


# --- WXT530 ---


def wxt(*texts: str, **options: object) -> Answer:
    return poll(sensor(driver="wxt530", **options), *(text.encode() + b"\r\n" for text in texts))


@pytest.mark.parametrize(
    ("text", "sum_"),
    [
        *(("0r0", "Kld"), ("0r1", "Goe"), ("0r2", "Gje"), ("0r3", "Kid"), ("0r5", "Kcd"), ("0r", "BVT")),
        *(("0tX,Use chksum Goe", "IU~"), ("0+3.14", "OqZ"), ("0+3.14+2.718+1.414", "Ipz")),
    ],
)
def test_crcs_that_documents_print(text: str, sum_: str) -> None:
    assert wxt530.crc(text.encode()).decode() == sum_


@pytest.mark.parametrize("said", WITHOUT_CRC, ids=lambda t: t.name)
def test_without_a_crc_only_a_digit_for_a_digit_can_deceive(said: Transcript) -> None:
    deceived = 0
    for i in range(8 * len(said.heard)):
        damaged = bytearray(said.heard)
        damaged[i // 8] ^= 1 << i % 8
        try:
            answer = poll(said.sensor, bytes(damaged))
        except FrameError:
            continue
        for quantity, value in meant(answer).items():
            low, high = next(bounds for name, *bounds in wxt530.KEYS.values() if name == quantity)
            assert value is None or low <= value <= high
            if value is not None and value != said.meaning[quantity]:
                deceived += 1
                assert chr(said.heard[i // 8]).isdigit(), (i, value)
                assert chr(damaged[i // 8]).isdigit(), (i, value)
    assert deceived  # or this test has looked at nothing


@pytest.mark.parametrize(
    "line",
    [
        "0R1,Dn=0m=032D,Sm=0.1M,Ta=27.9C,Ua=39.4P,Pa=1003.2H,Rc=0.00M,Th=28.3C,Vh=0.0N",
        "0R0,Dn=0m=032D,Sm=0.1M,Ta=27.9C,Ua=39.4P,Pa=1003.2H,Rc=0.00M,Th=28.3C,Vh=0.0N",
        "0R0,Dm=051D,Dm=052D,Sm=0.1M",
        "0R0,Dm=051D,Sm=0.1",
        "0R0,Dm=051D,Sm=M",
        "0R0,Dm=051D,Sm=0.1M,",
        "0R0,Dm=051D,Sm=0.1C",
        "0R0,Dm=051D,Sm=0,1M",
        "0R0,Dm=051D,Sm=0.1M0.2M",
        "0R0,Dm=051D,Sm=1e1M",
        "0R0,Dm=051D,Sm=nanM",
        "0R0,Rc=0.60I",
        "0R0,Rc=0.600M",
        "0R0,Dm=٠٥١D",
        "1R0,Dm=051D,Sm=0.1M",
        "0R0",
        "",
    ],
)
def test_a_line_that_is_not_whole_is_not_believed(line: str) -> None:
    with pytest.raises(FrameError):
        wxt(line)


@pytest.mark.parametrize(
    ("field", "quantity", "value"),
    [
        *(("Sm=36.0K", "wind_speed", 10), ("Sm=10.0M", "wind_speed", 10), ("Sm=10.0S", "wind_speed", 4.4704)),
        *(("Sm=10.0N", "wind_speed", 5.14444), ("Sm=10.0#", "wind_speed", None), ("Sm=99.9M", "wind_speed", None)),
        *(("Ta=25.5C", "air_temperature", 25.5), ("Ta=77.9F", "air_temperature", 25.5)),
        *(("Ta=-40.0F", "air_temperature", -40), ("Ta=99.9C", "air_temperature", None)),
        *(("Pa=1003.2H", "pressure", 1003.2), ("Pa=100320.0P", "pressure", 1003.2), ("Pa=1.0032B", "pressure", 1003.2)),
        *(("Pa=752.5M", "pressure", 1003.25106), ("Pa=29.62I", "pressure", 1003.04842)),
        *(("Pa=0.0H", "pressure", None), ("Pa=000956.6H", "pressure", 956.6), ("Ua=100.1P", "humidity", None)),
        *(("Rc=1.27M", "rain", 1.27), ("Rc=0.050I", "rain", 1.27), ("Dm=29D", "wind_direction", 29)),
        *(("Dm=361D", "wind_direction", None), ("Dm=360D", "wind_direction", 360), ("Dm=000D", "wind_direction", 0)),
    ],
)
def test_every_unit(field: str, quantity: str, value: float | None) -> None:
    answer = wxt(f"0R0,{field}", values=[quantity])
    assert meant(answer) == {quantity: value}
    assert answer.values[0].status == (Status.FAULT if value is None else Status.MEASURING)
    assert bool(answer.complaint) == (value is None)


def test_what_a_transmitter_does_not_send_is_none_and_said() -> None:
    answer = wxt("0R0,Dm=051D,Sm=0.1M,Ta=27.9C")
    assert meant(answer)["air_temperature"] == 27.9
    assert [v.quantity for v in answer.values if v.value is None] == ["humidity", "pressure", "rain"]
    assert "sends no humidity, pressure, rain" in answer.complaint
    assert wxt("0R0,Dm=051D,Sm=0.1M,Ta=27.9C", values=["wind_speed", "air_temperature"]).complaint == ""


def test_a_field_that_is_not_used_may_be_anything() -> None:
    answer = wxt("0R0,Tp=9.1C,Sr=0.123456V,Ra=1000.0M,Sm=0.1M,Id=HEL/___", values=["wind_speed"])
    assert meant(answer) == {"wind_speed": 0.1}


def test_lines_of_others_are_passed_over_and_a_complaint_is_told() -> None:
    assert meant(wxt("0R0", "1R0,Sm=9.0M", "\xff0R0,Sm=0.1M", values=["wind_speed"])) == {"wind_speed": 0.1}
    assert meant(wxt("0TX,Start-up", "0R0,Sm=0.1M", values=["wind_speed"])) == {"wind_speed": 0.1}
    for told in ("0TX,Unknown cmd error", "0TX,Use chksum CCC"):
        with pytest.raises(FrameError, match=told):
            wxt(told)


@pytest.mark.parametrize(("field", "mm"), [("Rc=0.600M", 0.6), ("Rc=0.60I", 15.24)])
def test_with_a_crc_rain_may_have_any_decimals(field: str, mm: float) -> None:
    body = f"0r0,{field},Id="
    answer = wxt(body + wxt530.crc(body.encode()).decode(), crc=True, values=["rain"])
    assert meant(answer) == {"rain": pytest.approx(mm)}


def test_a_crc_that_is_asked_for_is_needed() -> None:
    body = "0r0,Sm=0.1M"
    sum_ = wxt530.crc(body.encode()).decode()
    assert meant(wxt(body + sum_, crc=True, values=["wind_speed"])) == {"wind_speed": 0.1}
    for wrong in (body, body + "AAA", "0R0,Sm=0.1M", body + sum_.swapcase()):
        with pytest.raises(FrameError):
            wxt(wrong, crc=True, values=["wind_speed"])


# --- NMEA 0183 ---


def nmea(*bodies: str, **options: object) -> Answer:
    text = "".join(f"${body}*{reduce(xor, body.encode()):02X}\r\n" for body in bodies)
    return poll(sensor(driver="nmea_weather", **options), text.encode())


WIND = {"values": ["wind_speed", "wind_direction"]}


@pytest.mark.parametrize(
    ("unit", "speed"), [("M", 10), ("N", 5.14444), ("K", 2.77778), ("S", 4.4704), ("X", None), ("", None)]
)
def test_wind_in_every_unit(unit: str, speed: float | None) -> None:
    assert meant(nmea(f"WIMWV,045,R,10.0,{unit},A", **WIND)) == {"wind_speed": speed, "wind_direction": 45}


@pytest.mark.parametrize("talker", ["WI", "II", "YX", "VW", "EC", "U1", "GP"])
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_any_talker_and_either_case_of_the_checksum(talker: str, case: object) -> None:
    body = f"{talker}MWV,120.5,T,4.0,M,A"
    sum_ = f"{reduce(xor, body.encode()):02x}"
    text = f"${body}*{sum_.upper() if case is str.upper else sum_}\r\n"
    assert meant(poll(sensor(driver="nmea_weather", **WIND), text.encode())) == {
        "wind_speed": 4,
        "wind_direction": 120.5,
    }


@pytest.mark.parametrize(
    ("body", "none"),
    [
        ("WIMWV,045,R,10.0,M,V", {"wind_speed", "wind_direction"}),
        ("WIMWV,045,R,10.0,M,", {"wind_speed", "wind_direction"}),
        ("WIMWV,,R,,M,V", {"wind_speed", "wind_direction"}),
        ("WIMWV,,,,,", {"wind_speed", "wind_direction"}),
        ("WIMWV", {"wind_speed", "wind_direction"}),
        ("WIMWV,,R,10.0,M,A", {"wind_direction"}),
        ("WIMWV,045,R,,M,A", {"wind_speed"}),
        ("WIMWV,361,R,10.0,M,A", {"wind_direction"}),
        ("WIMWV,-1,R,10.0,M,A", {"wind_direction"}),
        ("WIMWV,045,R,999,M,A", {"wind_speed"}),
        ("WIMWV,nan,R,inf,M,A", {"wind_speed", "wind_direction"}),
        ("WIMWV,0x1,R,1e1,M,A", {"wind_speed", "wind_direction"}),
    ],
)
def test_wind_that_is_not_valid_is_none(body: str, none: set[str]) -> None:
    answer = nmea(body, **WIND)
    assert {v.quantity for v in answer.values if v.value is None} == none
    assert {v.quantity for v in answer.values if v.status == Status.FAULT} == none
    assert answer.complaint


def test_numbers_may_be_written_as_the_standard_allows() -> None:
    for speed in ("0.5", ".5", "+.5", "00.50"):
        assert meant(nmea(f"WIMWV,45.,R,{speed},M,A", **WIND)) == {"wind_speed": 0.5, "wind_direction": 45}


def test_the_wind_that_is_named_is_taken() -> None:
    mda = "WIMDA,,I,,B,,C,,C,,,,C,30.0,T,,M,,N,3.0,M"
    said = ["WIMWV,010,R,1.0,M,A", "WIMWV,020,T,2.0,M,A", mda]
    for wind, speed in (("any", 1), ("relative", 1), ("true", 2), ("mda", 3)):
        assert meant(nmea(*said, wind=wind, **WIND)) == {"wind_speed": speed, "wind_direction": 10 * speed}


def test_a_valid_wind_comes_after_one_that_is_not() -> None:
    mda = "WIMDA,29.92,I,1.0132,B,27.0,C,,C,78.0,,,C,30.0,T,,M,,N,3.0,M"
    answer = nmea("WIMWV,,R,,M,V", mda)
    assert meant(answer) == {
        "wind_speed": 3,
        "wind_direction": 30,
        "air_temperature": 27,
        "humidity": 78,
        "pressure": 1013.2,
    }
    assert answer.complaint == ""


@pytest.mark.parametrize(
    ("pressure", "value"),
    [
        ("29.9212,I,1.0132,B", 1013.2),
        ("29.92,I,1.013,B", 1013.20759),
        ("29.92,I,,B", 1013.20759),
        (",I,1.013,B", 1013),
        (",I,+1.01320,B", 1013.2),
        ("29.92,,1.0132,", None),
        ("+,I,.,B", None),
        ("0.0,I,0.0,B", None),
        (",,,", None),
    ],
)
def test_pressure_is_taken_from_the_finer_field(pressure: str, value: float | None) -> None:
    assert meant(nmea(f"WIMDA,{pressure},,C,,C,,,,C,,T,,M,,N,,M", values=["pressure"])) == {"pressure": value}


def test_what_a_station_does_not_send_is_none_and_said() -> None:
    answer = nmea(*["WIMWV,045,R,10.0,M,A"] * 3)
    assert meant(answer)["wind_speed"] == 10
    assert [v.quantity for v in answer.values if v.value is None] == ["air_temperature", "humidity", "pressure"]
    assert "says nothing of air_temperature, humidity, pressure" in answer.complaint


def test_a_station_that_never_says_what_is_wanted_is_left_in_the_end() -> None:
    answer = nmea(*["GPGGA,,,,,,0,,,,,,,,"] * nmea_weather.MAX_SENTENCES, *["WIMWV,045,R,10.0,M,A"] * 3, **WIND)
    assert {v.value for v in answer.values} == {None}


@pytest.mark.parametrize(
    "text",
    [
        "$WIMWV,045,R,10.0,M,A\r\n",
        "$WIMWV,045,R,10.0,M,A*00\r\n",
        "$WIMWV,045,R,10.0,M,A*\r\n",
        "WIMWV,045,R,10.0,M,A*29\r\n",
        "$" + "W" * 3000,
        "$WIMWV,045,R\r\n,10.0,M,A*24\r\n",
    ],
)
def test_a_sentence_without_a_right_checksum_is_not_believed(text: str) -> None:
    with pytest.raises(FrameError):
        poll(sensor(driver="nmea_weather", **WIND), text.encode())


def test_noise_between_sentences_is_passed_over() -> None:
    said = TRANSCRIPTS["nmea_weather-1"]
    noisy = said.heard.replace(b"\r\n", b"\r\n\xff\x00$WIMWV,0*\x80$$")
    assert meant(poll(said.sensor, noisy)) == said.meaning
