"""How drivers recognise their sensors, as a scan uses it: conversations and what they will cost. No I/O."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import msgspec

from edge_agent.errors import FrameError, Silence
from edge_agent.station.conversation import Ask, Find, Pause
from edge_agent.station.sensor import LineKind, Recognised, Sensor
from edge_agent.station.transcript import replay

RECOGNISE_S = 4.0
"""So long a driver may take to recognise its sensor."""


def listens(hear: Find) -> Generator[Ask | Pause, bytes, None]:
    """Only listen; `hear` is given what came, and finds nothing."""
    yield Ask(find=hear)


def sends(driver: type[Sensor]) -> bool:
    """Whether a driver asks, rather than only listen or not look for its sensors at all."""
    first = next(driver.recognise("serial", 0), None)
    return first is not None and bool(first.send)


def silent_s(driver: type[Sensor], address: int, limit: float) -> float:
    """How long it takes a driver to find out that nobody answers."""
    talk = driver.recognise("serial", address)
    seconds = 0.0
    try:
        step = next(talk)
        while seconds < RECOGNISE_S:
            if isinstance(step, Pause):
                seconds += step.seconds
                step = talk.send(b"")
            else:
                seconds += limit + step.wait_s
                step = talk.throw(Silence())
    except (StopIteration, Silence, FrameError):
        pass
    return min(seconds, RECOGNISE_S)


def speaker(drivers: Iterable[type[Sensor]], heard: bytes) -> tuple[type[Sensor], Recognised] | None:
    """The driver that recognises what was overheard."""
    for driver in drivers:
        try:
            recognised = replay(driver.recognise("serial", 0), heard)
        except (Silence, FrameError):
            continue
        if recognised is not None:
            return driver, recognised
    return None


def called(kind: LineKind, address: int) -> Generator[Ask | Pause, bytes, int]:
    """Call a slave: 0 where it answers, else the code by which it, or a gateway, refuses."""
    from edge_agent.station.modbus import RefusedError, Slave

    try:
        yield from Slave(kind, address).read(0, 1)
    except RefusedError as refusal:
        return refusal.code
    return 0


def refused(error: FrameError) -> bool:
    """Whether a slave answered, soundly, that it will not: no sign of a bad line."""
    from edge_agent.station.modbus import RefusedError

    return isinstance(error, RefusedError)


def tag(driver: type[Sensor]) -> str:
    """The driver's name in a file."""
    return str(driver.__struct_config__.tag)


def factory_address(driver: type[Sensor]) -> int | None:
    """The address that a driver's sensors come with."""
    return next((field.default for field in msgspec.structs.fields(driver) if field.name == "address"), None)
