"""Atlas Scientific EZO circuits on a serial line: pH, EC, DO, ORP, RTD. Serial, 9600 8N1 from the
factory. ASCII, lines end with CR.

    C,0 CR    stop sending by itself     -> *OK CR
    R CR      one reading (up to 0.9 s)  -> 7.012 CR *OK CR        several values: 413,207,0.20 CR
    T,28.5 CR temperature of the water   -> *OK CR                 where `temperature` is given, since EZO circuits that
                                                                   have none of their own reckon with 25 °C
    Sleep CR  sleep until the next byte  -> *SL CR                 with `sleep: true`, after each reading
    I CR      what it is                 -> ?I,pH,2.14 CR *OK CR   only `sensors scan` asks this

    *OK done   *ER not understood   *OV *UV supply too high, too low   *RS reset   *RE ready   *SL asleep   *WA awake

`T,` is forgotten without power, so it is sent at every poll. A circuit that sleeps loses the command that wakes it: a
lone CR goes before, and half a second.

As it comes from the factory the circuit sends a value every second, and a line that is joined in its middle reads
`7.012` as `12`. So each poll begins with `C,0`: what comes before its `*OK` is dropped, and only then is `R` sent.
Response codes must be on (`*OK,1`, as from the factory).

Nothing here has a checksum: a 3 that was a 7 on the way is believed. Keep the cable short.

A circuit without its probe says what no probe can (RTD: -1023), which is no value here. Source: Atlas Scientific's
EZO data sheets and its sample code; see tests/golden/wire/atlas_ezo.txt.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Pause, Value, measured
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, Speed, doubled

WAKE_S = 0.5
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

    temperature: (
        Annotated[
            float,
            msgspec.Meta(
                ge=0, le=60, description="°C of the water that pH, conductivity or oxygen is compensated for."
            ),
        ]
        | None
    ) = None
    sleep: Annotated[bool, msgspec.Meta(description="Let the circuit sleep between polls, to save power.")] = False

    speeds: ClassVar[tuple[Speed, ...]] = (Speed(9600), Speed(38400))

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values

    def poll(self, kind: LineKind) -> Conversation:
        if self.sleep:
            yield Pause(send=b"\r", seconds=WAKE_S)
        yield from self._order("C,0")
        if self.temperature is not None:
            yield from self._order(f"T,{self.temperature:.1f}")
        answer = yield from self._read()
        if self.sleep:
            yield Pause(send=b"Sleep\r", seconds=WAKE_S)
        return answer

    def _order(self, command: str) -> Generator[Ask, bytes, None]:
        """Send a command and drop everything up to its *OK; FrameError where it is not understood."""
        send = command.encode() + b"\r"
        for heard in range(MAX_LINES):
            try:
                text = yield Ask(send=send, find=line, slack=MAX_LINE)
            except Silence:
                if heard:
                    break
                raise
            if text.endswith(b"*OK\r"):
                return
            if text.endswith(b"*ER\r") and not command.startswith("C"):  # the end of a line from before, after C,0
                raise FrameError(f"the circuit did not understand {command} (*ER)")
            # one that was left asleep loses the command that wakes it
            send = command.encode() + b"\r" if text.endswith(b"*WA\r") else b""
        raise FrameError(f"no *OK to {command}; are response codes off? Send *OK,1")

    def _read(self) -> Generator[Ask, bytes, Answer]:
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
        if self.temperature is not None and self.values[0] in ("orp", "water_temperature"):
            yield ("temperature",), f"{self.values[0]} is not compensated for temperature", "leave it out"
        yield from doubled(self.values)
