"""A box of the matrix: the real agent with played instruments, and a side log of what its outbox accepted.

    python -m scripts.fault_matrix.box_program FILE STATE SIDE_LOG COPY CLOCK

FILE is the box's file, STATE its folder; COPY tells apart who plays the same box at once. The side log stands outside
the box's disk: a line before an event is put into the outbox and one when `put` has returned. It need not be synced:
the power is cut at the box's disk alone. CLOCK holds by how many milliseconds the box's clock is wrong.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent import agent
from edge_agent.agent import Emit, Job
from edge_agent.clock import now_ms
from edge_agent.config import DeviceConfig, load
from edge_agent.contract.events import Event
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.station import poll
from edge_agent.station.conversation import Answer, Value
from edge_agent.station.settings import TcpLine
from scripts.fault_matrix.numbered import COPY, INSTRUMENTS, made, plate_read
from scripts.fault_matrix.side_log import SideLog, highest_number

PLATE_EVERY_S = (0.1, 0.5)


class Numbers:
    """Gives every event of this process its number; goes on where the last one came."""

    def __init__(self, log: Path, copy: int) -> None:
        self._first = copy * COPY
        self._given = max(self._first, highest_number(log))

    def next(self, place: int = 0) -> int:
        """The next number for an instrument, which takes those with its remainder."""
        self._given += 1 + (place - self._given - 1) % len(INSTRUMENTS)
        return self._given


def instruments(numbers: Numbers) -> type:
    """A line of a station, in place of the real one: its instrument counts."""

    class Played:
        kind = "tcp"

        def __init__(self, line: TcpLine, *, noise: object = None) -> None:
            self._place = line.port - 1

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(
            self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
        ) -> None:
            pass

        async def converse(self, *_: object) -> Answer:
            quantity = INSTRUMENTS[self._place]
            return Answer(values=(Value(quantity.name, quantity.value(numbers.next(self._place))),))

    return Played


def keep_side_log(log: SideLog) -> None:
    """Write down what every outbox of this process takes."""
    put: Callable[[Outbox, Event], Awaitable[int]] = Outbox.put

    async def logged(outbox: Outbox, event: Event) -> int:
        known = made(event)
        if known is not None:
            log.begun(known)
        place = await put(outbox, event)
        if known is not None:
            log.accepted(known, *identity(outbox, place))
        return place

    Outbox.put = logged  # type: ignore[method-assign, assignment]


def identity(outbox: Outbox, place: int) -> tuple[int, int]:
    """The outbox id and the number by which the collector knows an event."""
    epoch = outbox.epochs.of(place)
    return epoch.id, epoch.number(place)


async def passes(emit: Emit, numbers: Numbers, chance: random.Random) -> None:
    """Vehicles pass the camera for ever."""
    while True:
        await asyncio.sleep(chance.uniform(*PLATE_EVERY_S))
        await emit(plate_read(numbers.next(chance.randrange(8)), now_ms()))


def main(file: Path, state: Path, log: Path, copy: int, clock: Path) -> None:
    """Run the box until it is killed or asked to end."""
    numbers = Numbers(log, copy)
    keep_side_log(SideLog(log))
    vars(poll)["Port"] = instruments(numbers)
    set_clock(clock)

    def sources(
        config: DeviceConfig, state: Path, emit_of: Callable[[str], Emit], health: Health
    ) -> Iterator[tuple[str, Job]]:
        if config.camera is not None:
            yield "plates", partial(passes, emit_of("plates"), numbers, random.Random(os.getpid()))
        else:
            yield from agent.sources_of(config, state, emit_of, health)

    asyncio.run(agent.run(load(file, [f"state={state}"]), sources))


def set_clock(file: Path) -> None:
    """Let the process read a clock that is wrong by what stands in a file."""
    right: Callable[[], int] = time.time_ns
    seen, wrong_by_ms = 0, 0

    def shown() -> int:
        nonlocal seen, wrong_by_ms
        with suppress(FileNotFoundError):  # none: the clock is right
            if (changed := file.stat().st_mtime_ns) != seen:
                wrong_by_ms, seen = int(file.read_text()), changed
        return right() + wrong_by_ms * 1_000_000

    time.time_ns = shown


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
