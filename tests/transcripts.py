"""Transcripts of sensors (`golden/wire/*.txt`), and carrying a conversation over lists of bytes.

# where the bytes come from
sensor {options as in the station's file}
over tcp                 where it is not a serial line
> 52 0d                  what the station sends
< 37 2e 30 31 32 0d      what the sensor says
= ph 7.012               what it means; `none` where it means no value
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from edge_agent.contract.device import Name
from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Answer, Conversation, Pause, take
from edge_agent.station.sensor import LineKind, Sensor
from edge_agent.station.settings import AnySensor

WIRE = Path(__file__).parent / "golden" / "wire"


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's options, the bytes, and what they mean."""

    name: Name
    sensor: Sensor
    kind: LineKind
    lines: tuple[tuple[str, bytes], ...]
    """(">" or "<", bytes), in order."""
    meaning: dict[str, float | None]

    @property
    def heard(self) -> bytes:
        return b"".join(data for direction, data in self.lines if direction == "<")

    @property
    def sent(self) -> list[bytes]:
        return [data for direction, data in self.lines if direction == ">"]

    @property
    def replies(self) -> list[bytes]:
        """What is heard before anything is sent, and after each thing that is sent."""
        found = [b""]
        for direction, data in self.lines:
            if direction == ">":
                found.append(b"")
            else:
                found[-1] += data
        return found


def sensor(**options: object) -> Sensor:
    """A sensor from options as they stand in a file."""
    found: Sensor = msgspec.convert({"line": "a"} | options, AnySensor)
    return found


def read() -> list[Transcript]:
    """Every transcript."""
    found = []
    for path in sorted(WIRE.glob("*.txt")):
        for number, block in enumerate(path.read_text().split("\n\n")):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            if not lines:
                continue
            pairs = [line.partition(" ")[::2] for line in lines]
            values = dict(value.strip().split(" ") for key, rest in pairs if key == "=" for value in rest.split(","))
            found.append(
                Transcript(
                    name=f"{path.stem}-{number}",
                    sensor=msgspec.json.decode(next(rest for key, rest in pairs if key == "sensor"), type=AnySensor),
                    kind="tcp" if ("over", "tcp") in pairs else "serial",
                    lines=tuple((key, bytes.fromhex(rest)) for key, rest in pairs if key in "<>"),
                    meaning={q: None if value == "none" else float(value) for q, value in values.items()},
                )
            )
    return found


def carry(conversation: Conversation, chunks: Iterable[bytes]) -> tuple[Answer, list[bytes]]:
    """Carry a conversation to its end; gives its answer and what it sent.

    Each chunk arrives when nothing that arrived before is enough; after the last there is silence. Raises as a real
    line does.
    """
    arriving = iter(chunks)
    buffer = bytearray()
    sent: list[bytes] = []
    try:
        step = next(conversation)
        while True:
            if step.send:
                sent.append(step.send)
            if isinstance(step, Pause):
                step = conversation.send(b"")
                continue
            received = len(buffer)
            _, frame = take(buffer, step.find)
            while frame is None and (chunk := next(arriving, None)) is not None:
                buffer += chunk
                received += len(chunk)
                _, frame = take(buffer, step.find)
            if frame is not None:
                step = conversation.send(frame)
            elif received:
                step = conversation.throw(FrameError(f"{received} bytes and no frame"))
            else:
                step = conversation.throw(Silence("no answer"))
    except StopIteration as end:
        return end.value, sent


def reply(conversation: Conversation, replies: Sequence[bytes]) -> tuple[Answer, list[bytes]]:
    """Carry a conversation as a line does: what is sent n-th gets `replies[n]`, and what came before is gone then.

    `replies[0]` is there before anything is sent. Gives and raises as `carry` does.
    """
    buffer = bytearray(replies[0])
    sent: list[bytes] = []
    try:
        step = next(conversation)
        while True:
            if step.send:
                sent.append(step.send)
                buffer[:] = replies[len(sent)] if len(sent) < len(replies) else b""
            if isinstance(step, Pause):
                buffer.clear()
                step = conversation.send(b"")
                continue
            received = len(buffer)
            try:
                _, frame = take(buffer, step.find)
                if frame is None:
                    raise FrameError(f"{received} bytes and no frame") if received else Silence("no answer")
            except (FrameError, Silence) as error:
                step = conversation.throw(error)
            else:
                step = conversation.send(frame)
    except StopIteration as end:
        return end.value, sent


def asked(instrument: Sensor, *replies: bytes) -> Answer:
    """What the driver makes of these replies to what it sends."""
    return reply(instrument.poll("serial"), [b"", *replies])[0]
