"""Yosemitech sensors and sondes, Modbus RTU: Y504, Y510, Y511, Y514, Y520, Y532, Y551, Y560, Y4000.

Serial 9600 8N1, address 1 as from the factory. Floats stand with their low byte first (the bytes 00 00 DC 41 are 27.5).
They understand functions 3 and 16 alone, and keep silent when asked for registers that they do not have.

    start             read 0 registers from 0x2500      01 03 25 00 00 00 4e c6  ->  01 03 00 20 f0
                      conductivity: write 0 registers from 0x1C00; the sonde measures without
    stop              read 0 registers from 0x2E00
    wipe              write 0 registers from 0x3100 (models with a brush)

    model             values                                                        error
    oxygen            2600: temperature, saturation as a fraction, mg/L
    turbidity         2600: temperature, NTU                                        2604
    chlorophyll       2600: temperature, µg/L                                       2604
    conductivity      2600: temperature, mS/cm                                      2604
    cod               2600: temperature, mg/L; 1200: turbidity                      2604
    ph                2800: pH; 2400: temperature
    ammonium          2800: mg/L of nitrogen
    sonde (Y4000)     2601: oxygen mg/L, turbidity, mS/cm, pH, temperature, ORP mV, chlorophyll µg/L, algae   0800

With an error that is not 0 the values are kept, status fault. The sonde gives a number also for probes that it does not
have: name those that it has under `values`.

Source: YosemitechModbus (EnviroDIY), which has the maker's documents. No capture of a real sensor was at hand; see
tests/golden/wire/yosemitech.txt.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import msgspec

from edge_agent.contract.events import Status
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Conversation, Pause, Value, converted
from edge_agent.station.registers import Block, number
from edge_agent.station.sensor import LineKind, Mistake, Recognised, Recognition, Sensor, doubled

if TYPE_CHECKING:
    from edge_agent.station.modbus import Slave

START, START_CONDUCTIVITY, STOP, WIPE, SERIAL = 0x2500, 0x1C00, 0x2E00, 0x3100, 0x0900
AFTER_STOP_S = 0.2
"""What a stop's answer may take; nobody minds what it says."""


Registers = tuple[int, int]
"""First register, how many."""
Found = dict[Registers, list[int] | FrameError | Silence]


class Place(NamedTuple):
    """Where a value stands: registers that are read together, which float of them, unit, factor."""

    block: Registers
    float: int
    unit: str = ""
    factor: int = 1


class Model(NamedTuple):
    """What one model has."""

    values: dict[str, Place]
    error: tuple[Registers, int] | None = None
    """Block, and which of its registers."""
    start: Literal["read", "write", ""] = "read"
    brush: bool = False


_TWO, _THREE, _EIGHT = (0x2600, 5), (0x2600, 6), (0x2601, 16)

MODELS: dict[str, Model] = {
    "ph": Model({"ph": Place((0x2800, 2), 0), "water_temperature": Place((0x2400, 2), 0)}),
    "ammonium": Model({"ammonium": Place((0x2800, 2), 0)}, brush=True),
    "oxygen": Model(
        {
            "water_temperature": Place(_THREE, 0),
            "dissolved_oxygen_saturation": Place(_THREE, 1, factor=100),
            "dissolved_oxygen": Place(_THREE, 2),
        }
    ),
    "turbidity": Model({"water_temperature": Place(_TWO, 0), "turbidity": Place(_TWO, 1)}, error=(_TWO, 4), brush=True),
    "chlorophyll": Model(
        {"water_temperature": Place(_TWO, 0), "chlorophyll_a": Place(_TWO, 1)}, error=(_TWO, 4), brush=True
    ),
    "conductivity": Model(
        {"water_temperature": Place(_TWO, 0), "conductivity": Place(_TWO, 1, "mS/cm")}, error=(_TWO, 4), start="write"
    ),
    "cod": Model(
        {"water_temperature": Place(_TWO, 0), "cod": Place(_TWO, 1), "turbidity": Place((0x1200, 2), 0)},
        error=(_TWO, 4),
        brush=True,
    ),
    "sonde": Model(
        {
            "dissolved_oxygen": Place(_EIGHT, 0),
            "turbidity": Place(_EIGHT, 1),
            "conductivity": Place(_EIGHT, 2, "mS/cm"),
            "ph": Place(_EIGHT, 3),
            "water_temperature": Place(_EIGHT, 4),
            "orp": Place(_EIGHT, 5),
            "chlorophyll_a": Place(_EIGHT, 6),
        },
        error=((0x0800, 1), 0),
        start="",
    ),
}


class Yosemitech(Sensor, frozen=True, kw_only=True, dict=True, tag="yosemitech"):
    """Yosemitech sensor or sonde."""

    address: Annotated[int, msgspec.Meta(ge=0, le=255, description="Modbus address of the sensor.")] = 1
    model: Annotated[
        Literal["ph", "cod", "ammonium", "oxygen", "conductivity", "turbidity", "chlorophyll", "sonde"],
        msgspec.Meta(description="Y532; Y551; Y560; Y504; Y520; Y510 or Y511; Y514; Y4000."),
    ]
    values: Annotated[
        tuple[str, ...],
        msgspec.Meta(max_length=7, description="What is stored of what the model measures; empty: everything."),
    ] = ()
    warm_up_s: Annotated[
        int,
        msgspec.Meta(ge=0, le=3600, description="Seconds from the start of a measurement until its values are good."),
    ] = 10
    start: Annotated[
        bool, msgspec.Meta(description="Start a measurement before each poll and stop it after; false: it always runs.")
    ] = True
    wipe_every: Annotated[
        int, msgspec.Meta(ge=0, le=10_000, description="Wipe before every so many polls; 0: the brush turns by itself.")
    ] = 0
    wipe_s: Annotated[float, msgspec.Meta(ge=0, le=120, description="Seconds that a wipe takes.")] = 20.0

    kinds: ClassVar[frozenset[LineKind]] = frozenset({"serial", "tcp"})
    shares: ClassVar[bool] = True
    modbus: ClassVar[bool] = True
    shy: ClassVar[bool] = True

    @property
    def gives(self) -> tuple[str, ...]:
        return self.values or tuple(MODELS[self.model].values)

    @property
    def wakes(self) -> bool:
        return self.start and bool(MODELS[self.model].start)

    @cached_property
    def _polls(self) -> Iterator[int]:
        return itertools.count()

    def poll(self, kind: LineKind) -> Conversation:
        from edge_agent.station.modbus import Slave

        model = MODELS[self.model]
        slave = Slave(kind, self.address)
        refusals = []
        if self.wipe_every and next(self._polls) % self.wipe_every == 0:
            refusals.append((yield from slave.order(WIPE, [])))
            yield Pause(seconds=self.wipe_s)
        if self.wakes:
            refusals.append((yield from self._start(slave)))
            yield Pause(seconds=self.warm_up_s)
        places = {quantity: model.values[quantity] for quantity in self.gives}
        blocks = dict.fromkeys(place.block for place in places.values())
        if model.error:
            blocks[model.error[0]] = None
        found = yield from slave.read_all(Block(3, address, count) for address, count in blocks)
        if self.wakes:
            yield slave.say(Block(3, STOP, 0), AFTER_STOP_S)
        read = dict(zip(blocks, found, strict=True))
        return self._answer(model, places, read, refusals)

    def _start(self, slave: Slave) -> Generator[Ask | Pause, bytes, str]:
        """Start a measurement; gives what is to be said if the sensor refuses, for its values may be old then."""
        from edge_agent.station.modbus import RefusedError

        try:
            if MODELS[self.model].start == "write":
                yield from slave.write(START_CONDUCTIVITY, [])
                return ""
            try:
                yield from slave.read(START, 0)
            except (FrameError, Silence):  # a gateway may let no request for 0 registers pass; one for 1 does as well
                yield from slave.read(START, 1)
        except RefusedError as refusal:
            return f"{refusal}; if it always measures, set start: false"
        return ""

    def _answer(self, model: Model, places: dict[str, Place], read: Found, refusals: list[str]) -> Answer:
        error = _error(model, read)
        status = Status.FAULT if error else Status.MEASURING
        values, complaints = [], [text for text in (*refusals, error) if text]
        for quantity, place in places.items():
            words = read[place.block]
            if isinstance(words, list):
                pair = words[2 * place.float : 2 * place.float + 2]
                raw = number("float32", pair, "little", "little") * place.factor
                values.append(converted(quantity, raw, place.unit, status))
                trouble = "" if values[-1].value is not None else f"gives no number ({pair[0]:04x} {pair[1]:04x})"
            else:
                values.append(Value(quantity, None, Status.FAULT))
                trouble = str(words)
            if trouble:
                complaints.append(f"{quantity}: {trouble}")
        return Answer(values=tuple(values), complaint="; ".join(complaints))

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        from edge_agent.station.modbus import Slave

        slave = Slave(kind, address)
        words = yield from slave.read(SERIAL, 7)
        text = b"".join(word.to_bytes(2, "big") for word in words).rstrip(b"\0 ").decode("ascii", "replace")
        model = SERIALS.get(text[3:5])
        if not text.isalnum() or not text.isascii() or model is None:
            return None
        return Recognised(options={"address": address, "model": model}, why=f"serial number {text}")

    def mistakes(self) -> Iterator[Mistake]:
        model = MODELS[self.model]
        yield from doubled(self.values)
        for i, quantity in enumerate(self.values):
            if quantity not in model.values:
                hint = f"it gives: {', '.join(model.values)}"
                yield ("values", i), f"the model {self.model} does not give {quantity}", hint
        if self.wipe_every and not model.brush:
            yield ("wipe_every",), f"the model {self.model} has no brush", "leave it out"
        needed = (self.warm_up_s if self.wakes else 0) + (self.wipe_s if self.wipe_every else 0)
        if self.every_s <= needed:
            yield ("every_s",), f"{self.every_s} s leave no time to measure", f"give more than {needed:g}"


def _error(model: Model, read: Found) -> str:
    """What the model's error register says; empty where nothing is wrong."""
    if model.error is None:
        return ""
    block, register = model.error
    words = read[block]
    if not isinstance(words, list):
        return f"its error register: {words}"
    return f"it reports error {int.from_bytes(words[register].to_bytes(2, 'big'), 'little')}" if words[register] else ""


SERIALS = {
    "01": "oxygen",
    "09": "conductivity",
    "10": "turbidity",
    "29": "turbidity",
    "48": "chlorophyll",
    "43": "ph",
}
"""Fourth and fifth character of a serial number: model."""
