"""What was said on a line: recorded, carried again, and written as a golden file. No I/O.

A golden file (`tests/golden/wire/<driver>.txt`) holds transcripts, each of these lines:

    # where the bytes come from
    sensor {"driver": "atlas_ezo", "line": "a", "values": ["ph"]}     options as in the station's file
    over tcp                                                          where it is not a serial line
    > 52 0d                                                           what the station sends
    < 37 2e 30 31 32 0d                                               what the sensor says
    = ph 7.012                                                        what it means; `none` where it means no value
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Literal, TypeVar

import msgspec

from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Ask, Pause, take
from edge_agent.station.sensor import LineKind, Sensor

T = TypeVar("T")


class Transcript:
    """What was said, in order; its `add` is a `trace` of `Port`."""

    def __init__(self) -> None:
        self.said: list[tuple[Literal[">", "<"], bytes]] = []
        """Direction and bytes; what came in pieces is one, what was sent never."""

    def add(self, direction: Literal[">", "<"], data: bytes) -> None:
        """Add bytes that were sent (`>`) or came (`<`)."""
        if direction == "<" and self.said and self.said[-1][0] == "<":
            self.said[-1] = ("<", self.said[-1][1] + data)
        else:
            self.said.append((direction, data))

    @property
    def heard(self) -> bytes:
        """Everything that came."""
        return b"".join(data for direction, data in self.said if direction == "<")


def replay(conversation: Generator[Ask | Pause, bytes, T], heard: bytes) -> T:
    """Carry a conversation over bytes that came before; what it sends goes nowhere.

    Raises Silence or FrameError where the bytes do not suffice, as a line does.
    """
    buffer = bytearray(heard)
    try:
        step = next(conversation)
        while True:
            if isinstance(step, Pause):
                step = conversation.send(b"")
                continue
            try:
                _, frame = take(buffer, step.find)
            except FrameError as error:
                step = conversation.throw(error)
                continue
            if frame is not None:
                step = conversation.send(frame)
            else:
                step = conversation.throw(FrameError("no sound frame") if buffer else Silence("no answer"))
    except StopIteration as end:
        result: T = end.value
        return result


def golden(origin: str, sensor: Sensor, kind: LineKind, transcript: Transcript, answer: Answer) -> str:
    """The text of a golden file; `origin` says where the bytes come from."""
    values = (f"{v.quantity} {'none' if v.value is None else f'{round(v.value, 5):.10g}'}" for v in answer.values)
    return "\n".join(
        (
            *(f"# {line}" for line in origin.splitlines()),
            "",
            f"sensor {json.dumps(options(sensor) | {'line': 'a'}, ensure_ascii=False)}",
            *(("over tcp",) if kind == "tcp" else ()),
            *(f"{direction} {data.hex(' ')}" for direction, data in transcript.said),
            f"= {', '.join(values)}",
            "",
        )
    )


def options(sensor: Sensor) -> dict[str, Any]:
    """A sensor's options as a file says them: `driver` first, and nothing that is so anyway."""
    return _said(sensor)


def _said(struct: msgspec.Struct) -> dict[str, Any]:
    config = struct.__struct_config__
    said: dict[str, Any] = {config.tag_field: config.tag} if config.tag_field else {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        makes = field.default_factory
        if field.required or value != (field.default if makes is msgspec.NODEFAULT else makes()):
            said[field.encode_name] = _plain(value)
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _said(value)
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return msgspec.to_builtins(value)
