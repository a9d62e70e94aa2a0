"""Frames as requests, each with what is asked for once the server has said yes.

That is any one of its values, and a mark, a number of its own that goes with it as its last point: what comes again
stands in a request beside what is new, and a value that was there before proves nothing of a server's yes.

    measurement        tags    fields
    collector_writes   lane    request, a random number; within the second before the newest point
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import numpy as np

from collector.points import NAMING, PLATES, Column, Frame
from collector.stores import RejectedError, StoreError

POINTS_A_REQUEST = 10_000
MARKS, LANES, WITHIN_MS = "collector_writes", 256, 1000
"""So that of many requests that are as new, as boxes sample on the whole minute, hardly two have lane and time in
common: a server that knows no less than a millisecond, and keeps one value of each, would keep one mark of the two."""


Render = Callable[[Frame], list[str]]
"""The lines of a request that a server takes, for some points; ValueError if they cannot be written."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the server must have."""

    measurement: str
    tags: dict[str, str]
    field: str
    at_ns: int
    """Nanoseconds since 1970 in UTC."""
    value: int | None = None
    """None: whichever."""

    def among(self, values: Iterable[Any]) -> bool:
        """Whether it is one of these, which the server has for its series and time."""
        return any(value is not None and self.value in {None, value} for value in values)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Points for one bucket or database."""

    place: str
    body: bytes
    witnesses: tuple[Witness, ...]
    """Its mark, and any of its values, all equally likely: a server that loses some is found out soon."""


def send_all(requests: Iterator[Request], send: Callable[[Request], None]) -> None:
    """Send one request after the other, each while the next is made. Raises what `send` does; no more is sent then."""
    with ThreadPoolExecutor(1, thread_name_prefix="store") as sender:
        request = next(requests, None)
        while request is not None:
            sending = sender.submit(send, request)
            request = next(requests, None)
            sending.result()


def requests(
    frames: Sequence[Frame], common: str, plates: str | None, *, render: Render, chance: Random
) -> Iterator[Request]:
    """Make requests of a bounded size of the frames, with what `render` makes of each.

    Plates go to `plates`; if it is None, to `common` without what tells which vehicle it was. Raises RejectedError.
    """
    by_place: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame.measurement != PLATES:
            by_place.setdefault(common, []).append(frame)
        elif plates is None:
            by_place.setdefault(common, []).append(_nameless(frame))
        else:
            by_place.setdefault(plates, []).append(frame)
    try:
        for place, whole in by_place.items():
            rendered: list[str] = []
            held: list[Frame] = []
            points = 0
            for frame in (part for each in whole for part in _parts(each)):
                written = render(frame)
                if not written:
                    continue
                rendered += written
                held.append(frame)
                points += len(frame.at)
                if points >= POINTS_A_REQUEST:
                    yield _request(place, rendered, held, render, chance)
                    rendered, held, points = [], [], 0
            if rendered:
                yield _request(place, rendered, held, render, chance)
    except ValueError as error:
        raise RejectedError(f"cannot be written: {error}") from error


def _request(place: str, rendered: list[str], frames: list[Frame], render: Render, chance: Random) -> Request:
    mark = Frame(
        measurement=MARKS,
        tags={"lane": str(chance.randrange(LANES))},
        at=np.array([max(int(frame.at.max()) for frame in frames) - chance.randrange(WITHIN_MS)]),
        offset_ns=np.array([chance.randrange(1_000_000)]),
        fields={"request": np.array([chance.getrandbits(31)])},
    )
    body = "\n".join([*rendered, *render(mark)]).encode()
    number = int(mark.fields["request"][0])  # type: ignore[arg-type]
    return Request(place=place, body=body, witnesses=(_at(mark, 0, "request", number), _witness(frames, chance)))


def _parts(frame: Frame) -> Iterator[Frame]:
    for begin in range(0, len(frame.at), POINTS_A_REQUEST):
        part = slice(begin, begin + POINTS_A_REQUEST)
        yield (
            frame
            if len(frame.at) <= POINTS_A_REQUEST
            else msgspec.structs.replace(
                frame,
                at=frame.at[part],
                fields={name: column[part] for name, column in frame.fields.items()},
                offset_ns=None if frame.offset_ns is None else frame.offset_ns[part],
            )
        )


def _nameless(frame: Frame) -> Frame:
    fields = {name: column for name, column in frame.fields.items() if name not in NAMING}
    return msgspec.structs.replace(frame, fields=fields)


def _witness(frames: list[Frame], chance: Random) -> Witness:
    """Any value of the frames, each of which has one at least."""
    while True:
        frame = chance.choices(frames, [len(each.at) * len(each.fields) for each in frames])[0]
        row, name = chance.randrange(len(frame.at)), chance.choice(list(frame.fields))
        if _is_there(frame.fields[name], row):
            return _at(frame, row, name)


def _at(frame: Frame, row: int, name: str, value: int | None = None) -> Witness:
    offset = 0 if frame.offset_ns is None else int(frame.offset_ns[row])
    at_ns = int(frame.at[row]) * 1_000_000 + offset
    return Witness(measurement=frame.measurement, tags=frame.tags, field=name, at_ns=at_ns, value=value)


def _is_there(column: Column, row: int) -> bool:
    """Whether this value is written."""
    value = column[row]
    if isinstance(column, list):
        return value is not None
    if column.dtype.kind == "f":
        return math.isfinite(value)  # type: ignore[arg-type]
    return column.dtype.kind != "u" or bool(value)


def missing(url: str, witness: Witness) -> StoreError:
    """The server said yes, and has not got a value that it was sent."""
    where = ", ".join(f"{name} {tag}" for name, tag in witness.tags.items())
    at = datetime.fromtimestamp(witness.at_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return StoreError(
        f"{url} said yes but has not got what it was sent: {witness.measurement}.{witness.field} of {where} at {at}; "
        "nothing is confirmed to the boxes. Does a proxy answer in its place, or does something there delete or drop?"
    )


def places(measurement: str, common: str, plates: str | None) -> list[str]:
    """Where points of a measurement may stand: plates also where they went before they had a place of their own."""
    return [common, plates] if plates is not None and measurement == PLATES else [common]
