"""Atlas Scientific EZO circuits on a serial line: pH, EC, DO, ORP, RTD. Serial 9600 8N1, ASCII, lines end with CR.

    C,0 CR    stop sending by itself     -> *OK CR
    R CR      one reading (up to 0.9 s)  -> 7.012 CR *OK CR        several values: 413,207,0.20 CR
    I CR      what it is                 -> ?I,pH,2.14 CR *OK CR   only `sensors scan` asks this

    *OK done   *ER not understood   *OV *UV supply too high, too low   *RS reset   *RE ready   *SL asleep   *WA awake

As it comes from the factory the circuit sends a value every second, and a line that is joined in its middle reads
`7.012` as `12`. So each poll begins with `C,0`: what comes before its `*OK` is dropped, and only then is `R` sent.
Response codes must be on (`*OK,1`, as from the factory).

A circuit without its probe says what no probe can (RTD: -1023), which is no value here. Source: Atlas Scientific's
EZO data sheets and its sample code; see tests/golden/wire/atlas_ezo.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Value, measured
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor

MAX_LINE = 64
MAX_LINES = 8
"""So many lines may stand between a command and its answer."""

NUMBER = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,4})?")

RANGES: dict[str, tuple[float, float]] = {
    "ph": (0, 14),
    "conductivity": (0, 500_000),
    "tds": (0, 500_000),
    "salinity": (0, 42),
    "dissolved_oxygen": (0, 100),
    "dissolved_oxygen_saturation": (0, 420),
    "orp": (-1020, 1020),
    "water_temperature": (-126, 1254),
}
"""What each circuit can say, in the units it says it in, which are the registry's."""

Given = Literal[
    "ph",
    "conductivity",
    "tds",
    "salinity",
    "dissolved_oxygen",
    "dissolved_oxygen_saturation",
    "orp",
    "water_temperature",
]


KINDS: dict[str, Given] = {
    "PH": "ph",
    "EC": "conductivity",
    "DO": "dissolved_oxygen",
    "OR": "orp",
    "ORP": "orp",
    "RTD": "water_temperature",
}
"""What a circuit calls itself (in capitals, without points), and what it gives as it comes from the factory."""


def line(buffer: bytes) -> tuple[int, bytes | None]:
    """Find a line; it comes with its CR."""
    end = buffer.find(b"\r")
    if end < 0:
        return (len(buffer) - MAX_LINE if len(buffer) > MAX_LINE else 0), None
    if not end or end > MAX_LINE:
        return end + 1, None
    return end + 1, buffer[: end + 1]


class AtlasEzo(Sensor, frozen=True, kw_only=True, tag="atlas_ezo"):
    """Atlas Scientific EZO circuit on a serial line."""

    values: Annotated[
        tuple[Given, ...],
        msgspec.Meta(
            min_length=1,
            max_length=4,
            description="What the circuit's answer holds, in its order: [ph], [conductivity], [dissolved_oxygen], ...",
        ),
    ]

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values

    def poll(self, kind: LineKind) -> Conversation:
        send = b"C,0\r"
        for heard in range(MAX_LINES):
            try:
                text = yield Ask(send=send, find=line, slack=MAX_LINE)
            except Silence:
                if heard:
                    break
                raise
            if text.endswith(b"*OK\r"):
                return (yield from self._read())
            send = b""
        raise FrameError("no *OK to C,0; are response codes off? Send *OK,1")

    def _read(self) -> Conversation:
        send = b"R\r"
        for _ in range(MAX_LINES):
            text = yield Ask(send=send, find=line)
            said = text.decode("ascii", "replace").strip()
            if said == "*ER":
                return self._none("the circuit did not understand R (*ER)")
            if not said.startswith("*"):
                return self._parse(said)
            send = b""
        raise FrameError("status lines only, no value")

    def _parse(self, said: str) -> Answer:
        fields = said.split(",")
        if not all(NUMBER.fullmatch(field) for field in fields):
            raise FrameError(f"not a number: {said!r}")
        if len(fields) != len(self.values):
            raise FrameError(f"{len(fields)} values, but the file says {', '.join(self.values)}")
        values = []
        for quantity, field in zip(self.values, fields, strict=True):
            low, high = RANGES[quantity]
            values.append(measured(quantity, float(field), low=low, high=high))
        beyond = [q.quantity for q in values if q.value is None]
        return Answer(
            values=tuple(values),
            complaint=f"{said}: beyond what a probe can measure; is it connected?" if beyond else "",
        )

    def _none(self, complaint: str) -> Answer:
        return Answer(values=tuple(Value(q, None, Status.FAULT) for q in self.values), complaint=complaint)

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        send = b"\rI\r"  # what other sensors were sent before ends here, and is answered by *ER
        for _ in range(MAX_LINES):
            text = yield Ask(send=send, find=line, slack=MAX_LINE)
            said = text.decode("ascii", "replace").strip()
            send = b""
            if said.upper().startswith("?I,"):
                given = KINDS.get(said.split(",")[1].upper().replace(".", ""))
                return Recognised(options={"values": [given]}, why=f"calls itself {said}") if given else None
        return None

    def mistakes(self) -> Iterator[Mistake]:
        for i, quantity in enumerate(self.values):
            if quantity in self.values[:i]:
                yield ("values", i), f"{quantity} is given twice", "name each value of the answer once, in its order"
