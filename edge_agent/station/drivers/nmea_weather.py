"""Weather stations and anemometers that speak NMEA 0183: sentences MWV (wind) and MDA (weather). They send by
themselves, once a second or so. Serial 4800 8N1, some 9600, 19200 or 38400; RS-422, RS-232 or RS-485.

    $WIMWV,214.8,R,3.2,N,A*27 CR LF
      angle in degrees, R relative or T true, speed, its unit (N knots, M m/s, K km/h, S mph), A valid or V invalid
    $WIMDA,29.9870,I,1.0154,B,27.3,C,28.6,C,78.0,,23.1,C,235.0,T,234.7,M,6.2,N,3.2,M*27 CR LF
      pressure in inHg (I) and bar (B), temperature of air and of water (C), relative and absolute humidity %, dew
      point (C), wind direction from true (T) and from magnetic north (M), wind speed in knots (N) and m/s (M)

`WI` is the talker, any two characters. Any field may be empty: nothing was measured. After * stands the exclusive or
of all between $ and *, in hexadecimal; a sentence without it is not believed. Other sentences are passed over.

The angle of MWV begins at the instrument's own mark, which must point north where the station stands still; R and T
then differ only by what the instrument calls them. MDA's direction is from north. A station that sends wind in several
ways may differ between them: name in `wind` the one that is meant.

Source: NMEA 0183 as published by its users (gpsd.gitlab.io/gpsd/NMEA.html) and Airmar's manuals; sentences of real
stations in tests/golden/wire/nmea_weather.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from operator import xor
from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Value, lacking, measured
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, Speed, doubled

Given = Literal["wind_speed", "wind_direction", "air_temperature", "humidity", "pressure"]

RANGES: dict[str, tuple[float, float]] = {
    "wind_speed": (0, 120),
    "wind_direction": (0, 360),
    "air_temperature": (-60, 80),
    "humidity": (0, 100),
    "pressure": (500, 1200),
}
"""What such stations can say, in the registry's units."""

WIND = ("wind_speed", "wind_direction")
REFERENCES = {"R": "relative", "T": "true"}
TO_M_S = {"M": 1.0, "N": 1852 / 3600, "K": 1 / 3.6, "S": 0.44704}
HPA_PER_INCH = 33.86389

SENTENCE = re.compile(rb"\$([A-Z0-9]{5,8}(?:,[ -#%-)+-~]{0,100})?)\*([0-9A-Fa-f]{2})")
MAX_SENTENCE = 120
MAX_SENTENCES = 40
"""So many sentences may pass before everything that is wanted was heard."""
NUMBER = re.compile(r"[+-]?(?=\.?[0-9])[0-9]{0,6}(\.[0-9]{0,6})?")

Heard = dict[str, float | None]
"""Quantities that were spoken of; None: the station says that it has no valid value."""


def find(buffer: bytes) -> tuple[int, bytes | None]:
    """Find a sentence whose checksum is right; it comes without its line end."""
    for sentence in SENTENCE.finditer(buffer):
        if reduce(xor, sentence[1]) == int(sentence[2], 16):
            return sentence.end(), sentence[0]
    begun = buffer.rfind(b"$")
    return (begun if begun >= 0 and len(buffer) - begun < MAX_SENTENCE else len(buffer)), None


class NmeaWeather(Sensor, frozen=True, kw_only=True, tag="nmea_weather"):
    """NMEA 0183 weather station: wind_speed, wind_direction, air_temperature, humidity, pressure."""

    timeout_s: Annotated[float, msgspec.Meta(ge=0.05, le=60, description="Seconds to wait for the next sentence.")] = (
        5.0
    )
    values: Annotated[
        tuple[Given, ...],
        msgspec.Meta(min_length=1, description="What the station sends: MWV gives wind alone, MDA all of them."),
    ] = get_args(Given)
    wind: Annotated[
        Literal["any", "relative", "true", "mda"],
        msgspec.Meta(
            description="Whose wind is taken: `relative` or `true`, as MWV says, `mda`, or of any that comes first."
        ),
    ] = "any"

    speaks: ClassVar[bool] = True
    speeds: ClassVar[tuple[Speed, ...]] = (Speed(4800), Speed(9600), Speed(19200), Speed(38400))

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values

    def poll(self, kind: LineKind) -> Conversation:
        heard: Heard = {}
        slack = MAX_SENTENCE  # the stream is joined in the middle of a sentence
        for _ in range(MAX_SENTENCES):
            try:
                sentence = yield Ask(find=find, slack=slack)
            except (Silence, FrameError):
                if not heard:
                    raise
                break
            slack = len("\r\n")
            heard = heard | self.told(sentence) | {q: v for q, v in heard.items() if v is not None}
            if all(quantity in heard for quantity in self.values):
                break
        values = tuple(_value(quantity, heard.get(quantity)) for quantity in self.values)
        unheard = ", ".join(quantity for quantity in self.values if quantity not in heard)
        return Answer(values=values, complaint=f"says nothing of {unheard}" if unheard else lacking(values))

    def told(self, sentence: bytes) -> Heard:
        """What a sound sentence says, in the registry's units."""
        name, *fields = sentence[1:-3].decode("ascii").split(",")
        if name[2:] == "MWV" and self.wind in ("any", REFERENCES.get("".join(fields[1:2]))):
            return _mwv(fields + [""] * 5)
        if name[2:] == "MDA":
            weather = _mda(fields + [""] * 20)
            # where MDA leaves its wind empty, MWV may still give it
            return {q: v for q, v in weather.items() if q not in WIND or self._mda_wind(v)}
        return {}

    def _mda_wind(self, value: float | None) -> bool:
        return self.wind == "mda" or (self.wind == "any" and value is not None)

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        sensor = cls(line="a")
        heard: Heard = {}
        try:
            for _ in range(MAX_SENTENCES):
                heard |= sensor.told((yield Ask(find=find, slack=MAX_SENTENCE)))
        except (Silence, FrameError):
            if not heard:
                raise
        values = [quantity for quantity in sensor.values if heard.get(quantity) is not None]
        options = {"values": values} if len(values) < len(sensor.values) else {}
        return Recognised(options=options, why="sends NMEA 0183 weather, MWV or MDA") if values else None

    def mistakes(self) -> Iterator[Mistake]:
        yield from doubled(self.values)


def _mwv(fields: list[str]) -> Heard:
    angle, speed = _number(fields[0]), _number(fields[2])
    factor = TO_M_S.get(fields[3])
    if fields[4] != "A":
        return dict.fromkeys(WIND)
    return {"wind_direction": angle, "wind_speed": None if speed is None or factor is None else speed * factor}


def _mda(fields: list[str]) -> Heard:
    def of(place: int, unit: str, factor: float = 1) -> float | None:
        number = _number(fields[place]) if fields[place + 1] == unit else None
        return None if number is None else number * factor

    speed = of(18, "M", TO_M_S["M"])
    pressures = [of(0, "I", HPA_PER_INCH), of(2, "B", 1000)]
    if len(fields[2].partition(".")[2]) > 3:
        pressures.reverse()  # bar is written with three decimals, which is coarse, or with four
    low, high = RANGES["pressure"]
    return {
        "air_temperature": of(4, "C"),
        "humidity": _number(fields[8]),
        "pressure": next((p for p in pressures if p is not None and low <= p <= high), None),
        "wind_direction": of(12, "T"),
        "wind_speed": of(16, "N", TO_M_S["N"]) if speed is None else speed,
    }


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _value(quantity: str, value: float | None) -> Value:
    if value is None:
        return Value(quantity, None, Status.FAULT)
    low, high = RANGES[quantity]
    return measured(quantity, value, low=low, high=high)
