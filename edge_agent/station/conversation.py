"""How drivers talk: a conversation is a generator that yields what it wants and is handed what came. No I/O.

    def poll(self, kind):
        frame = yield Ask(send=b"R\\r", find=line)    # send, then wait for a frame
        yield Pause(seconds=30)                       # wait; may send something first
        return Answer(values=(Value("ph", 7.01),))

`port.py` carries conversations over real lines, tests over lists of bytes. If nothing arrives in time, `Silence` is
raised at the `yield`; if bytes arrived but no frame was among them, `FrameError`. A conversation seldom catches them.

Framing contract. `find(buffer)` gets every byte that is not used yet and returns `(used, frame)`:

    (0, None)   more bytes are needed
    (n, None)   the first n bytes are no part of a frame: they are dropped, and `find` is asked again
    (n, frame)  the first n bytes hold noise (perhaps) and then this frame

`find` never believes a length that it has not bounded nor a frame whose checksum it has not computed. It raises
`FrameError` only where nothing that follows could be understood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

import msgspec

from edge_agent.contract.events import Status
from edge_agent.contract.quantities import BY_NAME, conversion
from edge_agent.errors import FrameError

Find = Callable[[bytes], tuple[int, bytes | None]]

MAX_BUFFER = 1024
"""No sensor's frame is longer; `take` lets no buffer grow beyond it."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Send bytes (or nothing, where the sensor speaks by itself) and wait for a frame."""

    find: Find
    send: bytes = b""
    slack: int = 0
    """Bytes before the frame that are not noise: a stream is joined in the middle of a frame."""
    wait_s: float = 0
    """Seconds that the sensor said it will need, beyond the line's time limit."""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Send bytes whose answer does not matter, if any, and wait; what arrives meanwhile is dropped.

    Others on the line are asked meanwhile: at once, or where bytes were sent after the sensor's time limit.
    """

    seconds: float = 0
    send: bytes = b""


class Value(NamedTuple):
    """One measured value, in the unit of the quantity registry."""

    quantity: str
    value: float | None
    """None: the instrument gave none."""
    status: Status = Status.MEASURING


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll gave."""

    values: tuple[Value, ...]
    complaint: str = ""
    """What the instrument says is wrong with it; empty where nothing is."""


Conversation = Generator[Ask | Pause, bytes, Answer]


def answer_of(told: Iterable[tuple[Value, str]], also: Iterable[str] = ()) -> Answer:
    """Give one answer from values, each with what is to be said against it; `also` is said before. Empty: nothing."""
    values, complaints = [], [text for text in also if text]
    for value, complaint in told:
        values.append(value)
        if complaint:
            complaints.append(f"{value.quantity}: {complaint}")
    return Answer(values=tuple(values), complaint="; ".join(complaints))


def measured(quantity: str, value: float, *, low: float, high: float, status: Status = Status.MEASURING) -> Value:
    """Give a value that lies within what the instrument can say (bounds included); else none, and FAULT."""
    if math.isfinite(value) and low <= value <= high:
        return Value(quantity, value, status)
    return Value(quantity, None, Status.FAULT)


def lacking(values: Iterable[Value]) -> str:
    """Complain of the values that are none; empty where every value is there."""
    none = [value.quantity for value in values if value.value is None]
    return f"gives no valid {', '.join(none)}" if none else ""


BEYOND, TINY = 1e12, 1e-30
"""No instrument means a larger number, nor a smaller one that is not 0: its bytes stand in another order than we think,
or the number is none at all."""


def converted(quantity: str, number: float, unit: str = "", status: Status = Status.MEASURING) -> Value:
    """Give a number that stands in `unit` (empty: the quantity's own) in the quantity's own unit.

    None, and FAULT, where it is no number that an instrument can mean. Raises KeyError for a unit that the quantity
    cannot be given in.
    """
    factor, offset = conversion(quantity, unit or BY_NAME[quantity].unit)
    if not math.isfinite(number) or abs(number) > BEYOND or 0 < abs(number) < TINY:
        return Value(quantity, None, Status.FAULT)
    return Value(quantity, number * factor + offset, status)


def take(buffer: bytearray, find: Find) -> tuple[int, bytes | None]:
    """Apply `find` until it gives a frame or needs more bytes; used bytes leave the buffer.

    Returns how many bytes were no part of a frame, and the frame if there is one. Raises FrameError as `find` does.
    """
    dropped = 0
    while buffer:
        before = bytes(buffer)
        used, frame = find(before)
        if used < 0 or used > len(before):
            raise FrameError(f"framing used {used} of {len(before)} bytes")
        del buffer[:used]
        if frame is not None:
            return dropped + used - len(frame), frame
        if not used:
            break
        dropped += used
    if excess := max(0, len(buffer) - MAX_BUFFER):
        del buffer[:excess]
    return dropped + excess, None


def marked(mark: bytes, size: int, sound: Callable[[bytes], bool]) -> Find:
    """Give a `find` for frames of fixed `size` that begin with `mark` and are whole where `sound(frame)` says so.

    After a damaged frame it looks for the next mark from the byte after, so a mark inside the noise costs nothing.
    """

    def find(buffer: bytes) -> tuple[int, bytes | None]:
        start = buffer.find(mark)
        if start < 0:  # the last bytes may be the beginning of a mark
            keep = next((n for n in range(min(len(mark) - 1, len(buffer)), 0, -1) if mark.startswith(buffer[-n:])), 0)
            return len(buffer) - keep, None
        frame = buffer[start : start + size]
        if len(frame) < size:
            return start, None
        if not sound(frame):
            return start + 1, None
        return start + size, frame

    return find
