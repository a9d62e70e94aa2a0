"""What the registers of an unknown Modbus instrument mean: `survey` reads those that answer, `meanings` judges them.

Nothing in Modbus says what a register holds, but most wrong guesses betray themselves: a float32 whose words or bytes
stand in another order comes out as NaN, as 1e-38 or as 1e26, and a negative number read without its sign lies just
below 65536. So every pair is read in every order, and the order in which most of them are sane is the instrument's.

    words        ABCD    CDAB       BADC      DCBA       believed
    4101 eb85    8.12    -3.2e26    3.6e-38   -2.2e-35   float32
    0000 41dc    2e-41   27.5       8e-41     -2e17      float32, word_order little
    ff38         int16 -200, not uint16 65336

Judging is pure; `survey` is a conversation like a driver's.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Ask, Pause
from edge_agent.station.registers import TYPES, Order, number
from edge_agent.station.sensor import LineKind

Words = Mapping[tuple[int, int], int]
"""(function, address) of each register that answered: what it holds."""

CHUNK = 16
"""Registers that one request asks for, at most."""
LIKELY = (256, 384, 512, 1000, 1024, 2000, 2048, 3000, 4096, 5000, 5450, 8192, 9728, 10_000, 30_000, 40_000, 40_001)
"""Where maps often begin, beyond the first registers."""
ORDERS: tuple[tuple[Order, Order], ...] = (("big", "big"), ("little", "big"), ("little", "little"), ("big", "little"))
"""Word order and byte order, the most usual first."""
NOTHING = frozenset({0, 0x7FFF, 0x8000, 0xFFFF})
"""In a register of 16 bits these mean that there is no value; a zero tells nothing."""
NO_FLOATS = frozenset({bytes.fromhex("7fc00000"), bytes.fromhex("ffc00000"), bytes.fromhex("7fffffff")})
"""The NaN that instruments say on purpose; any other comes from reading what is no float."""
SIGNED_FROM = 0x10000 - 10_000
"""A register above holds a small negative number rather than a large one."""
MAX_SHIFT = 4
"""Before the first float of a stretch there are fewer other registers than this."""
MAX_HIGH = 16
"""The high register of a counter of 32 bits holds less."""


class Meaning(NamedTuple):
    """One way to read a value from its registers."""

    function: int
    address: int
    type: str
    order: tuple[Order, Order]
    value: float

    @property
    def width(self) -> int:
        """Registers that the value takes."""
        return TYPES[self.type][1]

    @property
    def options(self) -> dict[str, Any]:
        """What the file must say of such a register."""
        orders = zip(("word_order", "byte_order"), self.order, strict=True)
        said = {name: order for name, order in orders if order != "big"}
        return {"function": self.function, "address": self.address, "type": self.type, **said}

    def __str__(self) -> str:
        orders = [f"{key} {value}" for key, value in self.options.items() if key.endswith("_order")]
        return f"{shown(self.value)} as {', '.join([self.type, *orders])}"


class Place(NamedTuple):
    """A value in the instrument's registers: what it probably means, and what else it may be."""

    best: Meaning
    others: tuple[Meaning, ...] = ()


def shown(value: float) -> str:
    """A number with as many digits as a display would show."""
    return f"{value:.7g}" if value == 0 or 1e-4 <= abs(value) < 1e9 else f"{value:.2e}"


def sane(value: float) -> float:
    """How likely an instrument would say this: 1 very, 0 not telling (zero, or "no value"), -1 never."""
    size = abs(value)
    if size in (0, math.inf) or (math.isnan(value) and struct.pack(">f", value) in NO_FLOATS):
        return 0
    if not 1e-3 <= size <= 1e7:  # nor NaN
        return -1
    return (1 if 0.01 <= size <= 1e5 else 0.5) * (1 if value > 0 else 0.8)


def meanings(words: Words) -> list[Place]:
    """What the registers probably hold, by function and address; those that hold zero or no value are left out.

    Many instruments give the same registers by both functions; they are named once.
    """
    runs = list(_runs(words))
    order, kind = _order(words, runs)
    places: list[Place | None] = []
    for function, first, count in runs:
        at = first + (_shift(words, (function, first, count), kind, order) if kind else 0)
        places += (_whole(words, function, single) for single in range(first, at))
        while at < first + count:
            wide = _read(words, function, at, kind, order) if kind else None
            if wide and sane(wide.value) > 0:
                others = (_read(words, function, at, kind, other) for other in ORDERS if other != order)
                places.append(Place(wide, tuple(other for other in others if other and sane(other.value) > 0)))
                at += wide.width
            elif wide and (wide.value == 0 or not math.isfinite(wide.value)):
                at += wide.width
            else:
                place = _whole(words, function, at)
                places.append(place)
                at += place.best.width if place else 1
    there = [place for place in places if place]
    return [place for place in there if not any(_same(place.best, other.best) for other in there)]


def _same(one: Meaning, other: Meaning) -> bool:
    """Whether `one` is by function 4 what `other` is by 3, read a moment before."""
    alike = one._replace(function=3, value=other.value) == other
    return one.function == 4 and alike and math.isclose(one.value, other.value, rel_tol=0.05)


def survey(kind: LineKind, slave: int, words: dict[tuple[int, int], int]) -> Generator[Ask | Pause, bytes, None]:
    """Read what answers, into `words`, the likeliest first; to be stopped whenever there is no time left.

    Only reads. What is refused is passed over, a function that the slave does not know is asked for no more, and after
    three silences in a row it gives up.
    """
    from edge_agent.station.modbus import RefusedError, Slave

    asked = Slave(kind, slave)
    silent, unknown = 0, set()
    for function, first, count in _places():
        address = first
        while function not in unknown and not any((function, address + i) in words for i in range(count)):
            try:
                found = yield from asked.read(address, count, function)
            except RefusedError as refusal:
                if refusal.code == 1:
                    unknown.add(function)
                silent = 0
                break
            except (Silence, FrameError):
                silent += 1
                if silent >= 3:
                    return
                break
            silent = 0
            words.update({(function, address + i): word for i, word in enumerate(found)})
            address += count
            if count == CHUNK or address + count > 65_536:  # what follows a few registers is likely there too
                break


def _places() -> Iterator[tuple[int, int, int]]:
    """Function, address and count of what is asked for: stretches, then what is in those that were refused."""
    for start in range(0, 64, CHUNK):
        yield from ((function, start, CHUNK) for function in (3, 4))
    for start in LIKELY:
        yield from ((function, start, count) for function in (3, 4) for count in (CHUNK, 2))
    for count in (1, 2):  # some instruments give no half of a float
        yield from ((function, start, count) for function in (3, 4) for start in range(0, 64, count))
    for count in (CHUNK, 1):
        yield from ((function, start, count) for function in (3, 4) for start in range(64, 256, count))


def _runs(words: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Function, first address and count of registers that touch."""
    function = first = end = -1
    for next_function, address in sorted(words):
        if (next_function, address) != (function, end):
            if function >= 0:
                yield function, first, end - first
            function, first = next_function, address
        end = address + 1
    if function >= 0:
        yield function, first, end - first


def _read(words: Words, function: int, at: int, kind: str, order: tuple[Order, Order]) -> Meaning | None:
    """The value of a type at an address; None where its registers are not all there."""
    try:
        own = [words[function, at + i] for i in range(TYPES[kind][1])]
    except KeyError:
        return None
    return Meaning(function, at, kind, order, number(kind, own, *order))


def _order(words: Words, runs: list[tuple[int, int, int]]) -> tuple[tuple[Order, Order], str]:
    """Order and type of the instrument's floats; no type where it seems to have none.

    float64 is looked for where float32 gives nothing. Of orders that are as good, that with the shortest numbers.
    """
    for kind in ("float32", "float64"):
        ranked = []
        for rank, order in enumerate(ORDERS):
            scores = [_score(words, run, kind, order, _shift(words, run, kind, order)) for run in runs]
            total, digits = sum(score for score, _ in scores), sum(digits for _, digits in scores)
            ranked.append((-round(total, 6), digits, rank, order))
        best = min(ranked)
        if best[0] < (0 if kind == "float32" else -1.5):  # any four registers may look like one float64
            return best[3], kind
    return ORDERS[0], ""


def _shift(words: Words, run: tuple[int, int, int], kind: str, order: tuple[Order, Order]) -> int:
    """How many registers of a run come before its first float."""
    shifts = range(max(1, min(run[2] - TYPES[kind][1] + 1, MAX_SHIFT)))
    return max(shifts, key=lambda shift: (_score(words, run, kind, order, shift)[0], -shift))


def _score(
    words: Words, run: tuple[int, int, int], kind: str, order: tuple[Order, Order], shift: int
) -> tuple[float, int]:
    """How sane a run of registers is as floats of this order, and how many digits they have.

    A register that is part of none counts against it a little: read from one register too late, and low word first, the
    high words of other floats make values that are nearly as sane.
    """
    function, first, count = run
    width = TYPES[kind][1]
    read = [_read(words, function, at, kind, order) for at in range(first + shift, first + count - width + 1, width)]
    values = [meaning.value for meaning in read if meaning is not None]
    alone = count - width * len(values)
    total = sum(map(sane, values)) - 0.35 * alone
    return round(total, 6), sum(_digits(value) for value in values if sane(value) > 0)


def _digits(value: float) -> int:
    """Digits of the shortest number that is the same float32."""
    exact = struct.pack(">f", value)
    return next((n for n in range(1, 9) if struct.pack(">f", float(f"{value:.{n}g}")) == exact), 9)


def _whole(words: Words, function: int, at: int) -> Place | None:
    """A register read as whole number, or two that are one; None where it holds zero or says that there is nothing."""
    word, follows = words[function, at], words.get((function, at + 1), 0)
    if max(word, follows) == 0xFFFF and SIGNED_FROM <= min(word, follows) < 0xFFFF:  # a small negative number
        long = _read(words, function, at, "int32", ORDERS[0] if word == 0xFFFF else ORDERS[1])
        return long and Place(long)
    if word in NOTHING:
        return None
    single = _read(words, function, at, "int16" if word >= SIGNED_FROM else "uint16", ORDERS[0])
    order = ORDERS[0] if word < MAX_HIGH else ORDERS[1]
    long = _read(words, function, at, "uint32", order) if 0 < min(word, follows) < MAX_HIGH else None
    return single and Place(single, (long,) if long else ())
