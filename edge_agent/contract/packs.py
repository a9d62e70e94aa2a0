"""Packs: many events of one kind in one MQTT message, with their numbers.

A pack is the MessagePack array `[outbox, runs, body]`. `outbox` is a random id that the box's agent takes at each
start, `runs` the numbers of events made since (`runs.py`). The body of every kind but one is the list of its events.
Readings are columns:

    block   [quantities, times, values, status]
    times   [first, first difference, second differences ...]     a steady pace costs one byte a sample
    values  the columns one after the other, each [first, differences ...]; null where there is no value
    status  [index in values, status, ...] of the values that are not plainly measured; left out if none

Sizes that the sender controls are bounded before anything is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Annotated, Any

import msgspec

from edge_agent.contract.events import EVENT_OF, MAX_TIME, Event, Lost, Reading, Readings, Status
from edge_agent.contract.quantities import BY_NUMBER
from edge_agent.contract.runs import MAX_NUMBER, MAX_RUNS, pack_runs, ranges

MAX_PACK_BYTES = 256 * 1024
"""A larger payload is refused unread; senders stay far below."""

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)]


class PackError(ValueError):
    """Bytes that are not a pack of the contract."""


class BodyError(PackError):
    """A pack whose numbers are readable and whose events are not."""

    def __init__(self, message: str, outbox: int, runs: tuple[int, ...]) -> None:
        super().__init__(message)
        self.outbox = outbox
        self.runs = runs


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Samples of the same quantities, by column."""

    quantities: tuple[int, ...]
    at: list[int]
    columns: list[list[int | None]]
    """Ticks, one list for each quantity, as long as `at`."""
    status: dict[tuple[int, int], int]
    """(column, row): status, only where it is not MEASURING."""

    def samples(self) -> Iterator[Readings]:
        """The block as events, row by row."""
        for row, at in enumerate(self.at):
            yield Readings(
                at=at,
                readings=tuple(
                    Reading(quantity, column[row], self.status.get((i, row), 0))
                    for i, (quantity, column) in enumerate(zip(self.quantities, self.columns, strict=True))
                ),
            )


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded pack: `blocks` for readings, `lost` for lost numbers, `events` for every other kind."""

    kind: str
    outbox: int
    runs: tuple[int, ...]
    events: tuple[Any, ...] = ()
    blocks: tuple[Block, ...] = ()
    lost: Lost | None = None
    unknown_columns: int = 0
    """Columns of quantities that this registry does not know yet; they were left out."""


class _Wire(msgspec.Struct, array_like=True):
    outbox: _Id
    runs: tuple[int, ...]
    body: msgspec.Raw


class _Columns(msgspec.Struct, array_like=True):
    quantities: tuple[int, ...]
    times: list[int]
    values: list[int | None]
    status: list[int] = []


_encode = msgspec.msgpack.Encoder().encode
_decode_wire = msgspec.msgpack.Decoder(_Wire).decode
_decode_blocks = msgspec.msgpack.Decoder(list[_Columns]).decode
_decode_lost = msgspec.msgpack.Decoder(Lost).decode
_decode_events: dict[str, Callable[[bytes], tuple[Any, ...]]] = {
    kind: msgspec.msgpack.Decoder(tuple[event, ...]).decode  # type: ignore[valid-type]
    for kind, event in EVENT_OF.items()
}


def encode_pack(outbox: int, kind: str, numbered: Sequence[tuple[int, Event]]) -> bytes:
    """Encode events of one kind, given with their numbers, which rise."""
    events = [event for _, event in numbered]
    body: Any = _columns(events) if kind == "readings" else events  # type: ignore[arg-type]
    return _encode((outbox, pack_runs(number for number, _ in numbered), body))


def encode_lost(outbox: int, runs: tuple[int, ...], lost: Lost) -> bytes:
    """Encode the news that numbers will never come."""
    return _encode((outbox, runs, lost))


def decode_pack(kind: str, payload: bytes) -> Pack:
    """Decode a pack of `kind`. Raises PackError for anything that is not one, whatever the bytes.

    It is a BodyError where the numbers of the events, at least, are known.
    """
    if len(payload) > MAX_PACK_BYTES:
        raise PackError(f"{len(payload)} bytes; at most {MAX_PACK_BYTES} are taken")
    if kind not in _decode_events and kind != "lost":
        raise PackError(f"no packs of kind {kind!r} are known")
    try:
        wire = _decode_wire(payload)
        count = sum(last - first + 1 for first, last in ranges(wire.runs))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise PackError(str(error)) from error
    if len(wire.runs) > 2 * MAX_RUNS:
        raise PackError(f"{len(wire.runs) // 2} runs of numbers; at most {MAX_RUNS} are taken")
    try:
        return _decode_body(kind, wire, count)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise BodyError(str(error), wire.outbox, wire.runs) from error


def _decode_body(kind: str, wire: _Wire, count: int) -> Pack:
    if kind == "lost":
        return Pack(kind=kind, outbox=wire.outbox, runs=wire.runs, lost=_decode_lost(wire.body))
    if kind == "readings":
        return _readings(wire, count)
    events = _decode_events[kind](wire.body)
    if len(events) != count:
        raise PackError(f"{len(events)} events for {count} numbers")
    for event in events:
        if not 0 <= event.at <= MAX_TIME:
            raise PackError(f"time {event.at} is out of range")
    return Pack(kind=kind, outbox=wire.outbox, runs=wire.runs, events=events)


def _columns(events: Sequence[Readings]) -> list[_Columns]:
    by_quantities: dict[tuple[int, ...], list[Readings]] = {}
    for event in events:
        by_quantities.setdefault(tuple(r.quantity for r in event.readings), []).append(event)
    return [_block(quantities, rows) for quantities, rows in by_quantities.items()]


def _block(quantities: tuple[int, ...], rows: list[Readings]) -> Any:
    times: list[int] = []
    previous, step = 0, 0
    for i, row in enumerate(rows):
        difference = row.at - previous
        times.append(difference - step if i > 1 else difference)
        previous, step = row.at, difference
    values: list[int | None] = []
    status: list[int] = []
    for column in range(len(quantities)):
        last = 0
        for row in rows:
            reading = row.readings[column]
            if reading.status != Status.MEASURING:
                status += (len(values), reading.status)
            if reading.ticks is None:
                values.append(None)
            else:
                values.append(reading.ticks - last)
                last = reading.ticks
    return (quantities, times, values, status) if status else (quantities, times, values)


def _readings(wire: _Wire, count: int) -> Pack:
    blocks, unknown, rows = [], 0, 0
    for raw in _decode_blocks(wire.body):
        n, width = len(raw.times), len(raw.quantities)
        if not n or len(raw.values) != n * width or len(set(raw.quantities)) != width:
            raise PackError(f"{len(raw.values)} values for {n} times of {width} quantities")
        rows += n
        differences = accumulate(raw.times[1:])
        at = list(accumulate(differences, initial=raw.times[0]))
        if min(at) < 0 or max(at) > MAX_TIME:
            raise PackError("times out of range")
        if len(raw.status) % 2:
            raise PackError("status must come in pairs")
        status: dict[tuple[int, int], int] = {}
        known = [i for i, quantity in enumerate(raw.quantities) if quantity in BY_NUMBER]
        place = {column: i for i, column in enumerate(known)}
        for index, code in zip(raw.status[::2], raw.status[1::2], strict=True):
            if not 0 <= index < len(raw.values) or not 0 <= code <= 255:
                raise PackError("status out of range")
            if index // n in place:
                status[place[index // n], index % n] = code
        unknown += width - len(known)
        columns = [_undo_differences(raw.values[i * n : (i + 1) * n]) for i in known]
        quantities = tuple(raw.quantities[i] for i in known)
        blocks.append(Block(quantities=quantities, at=at, columns=columns, status=status))
    if rows != count:
        raise PackError(f"{rows} samples for {count} numbers")
    return Pack(kind="readings", outbox=wire.outbox, runs=wire.runs, blocks=tuple(blocks), unknown_columns=unknown)


def _undo_differences(column: list[int | None]) -> list[int | None]:
    if None not in column:
        return list(accumulate(column))
    last, values = 0, []
    for difference in column:
        if difference is not None:
            last += difference
        values.append(None if difference is None else last)
    return values
