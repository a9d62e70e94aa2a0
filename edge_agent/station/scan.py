"""What answers on a line that nobody knows: listens first, then asks, at every speed that a driver names.

Drivers say themselves how their sensors are recognised (`sensor.py`); the only one known here is the generic Modbus
map, with which an unknown slave is read. First every speed at which sensors speak by themselves is listened to.
Then the drivers that are no Modbus slaves ask. Then every Modbus address is called at every speed: a slave that answers
is shown to the Modbus drivers, and if none recognises it, its registers are looked through (`unknown_registers.py`).

Nothing is written to an instrument but what its driver knows to be harmless. Every step has a time limit.
"""

from __future__ import annotations

import asyncio
import termios
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeVar

import msgspec

from edge_agent.errors import FrameError, LineError, Silence
from edge_agent.station.conversation import Ask, Pause
from edge_agent.station.drivers.modbus import Modbus
from edge_agent.station.found import Found
from edge_agent.station.port import Port
from edge_agent.station.recognising import (
    RECOGNISE_S,
    called,
    factory_address,
    listens,
    refused,
    sends,
    silent_s,
    speaker,
    tag,
)  # fmt: skip
from edge_agent.station.sensor import LineKind, Recognised, Sensor, Speed
from edge_agent.station.settings import Line, SerialLine, TcpLine
from edge_agent.station.unknown_registers import meanings, survey

T = TypeVar("T")

LISTEN_S = 3.0
"""A dust sensor in steady air speaks every 2.3 s, the slowest of those that speak by themselves."""
SURVEY_S = 12.0
"""So long the registers of an unknown slave are looked through."""
POLL_S = 15.0
"""So long the first reading may take."""
PATIENCE = 2.5
"""Instruments of other kinds than Modbus get so many times the limit: an EZO circuit thinks for 0.3 s."""
GATEWAY = frozenset({10, 11})
"""By these codes a gateway says that behind it nobody answers."""
BROKEN = 4
"""By this code a slave says that it is broken, and some gateways and servers that there is no such slave."""
ELSEWHERE = 246
"""An address at which nothing is expected: what answers there too does not look at the address."""
MAX_CLOSED = 3
"""So many connections in a row may be closed on us; some gateways close them for an address that they do not know."""


class Step(NamedTuple):
    """One thing to try."""

    speed: Speed | None
    """None on TCP."""
    what: str
    seconds: float
    """It takes no longer where nothing answers."""
    act: Callable[[], Awaitable[object]]


class Scan:
    """A scan of one line: `steps` says beforehand what it will do, `found` what it has found so far."""

    def __init__(
        self,
        line: Line,
        drivers: Iterable[type[Sensor]],
        *,
        bauds: Iterable[int] = (),
        addresses: Iterable[int] = range(1, 21),
        timeout_s: float = 0.3,
        listen_s: float = LISTEN_S,
        survey_s: float = SURVEY_S,
        told: Callable[[Found], None] = lambda _: None,
    ) -> None:
        """`told` hears of everything that is found, at once.

        Without `bauds` every speed that a driver names is tried, else these alone, whether a driver names them or not.
        """
        self._line = line
        self._kind: LineKind = "tcp" if isinstance(line, TcpLine) else "serial"
        self._drivers = [driver for driver in drivers if self._kind in driver.kinds]
        slaves = (driver for driver in self._drivers if driver.modbus and driver is not Modbus)
        self._slaves = sorted(slaves, key=lambda driver: silent_s(driver, 1, timeout_s))  # the quickest first
        self._bauds = frozenset(bauds)
        self._timeout_s, self._listen_s, self._survey_s, self._told = timeout_s, listen_s, survey_s, told
        self._port = Port(line)
        self._speed: Speed | None = None
        self._taken = False
        self._closed = 0
        self.found: list[Found] = []
        self.garbled: Counter[Speed | None] = Counter()
        """How many questions at this speed were answered by bytes that form no frame."""
        self.impossible: list[Speed] = []
        """Speeds that the adapter refuses to be set to."""
        self.babble: dict[Speed, bytes] = {}
        """What was overheard and no driver understands."""
        self.steps = list(self._plan(tuple(addresses)))

    @property
    def seconds(self) -> float:
        """The scan takes no longer where nothing is found."""
        return sum(step.seconds for step in self.steps)

    @property
    def seconds_each(self) -> float:
        """It takes no longer for each thing that is found."""
        return RECOGNISE_S * len(self._slaves) + self._survey_s + POLL_S

    async def run(self, begins: Callable[[Step], None] = lambda _: None) -> None:
        """Do all steps; each is named to `begins` before. Raises LineError where the line itself fails."""
        for speed, steps in groupby(self.steps, key=lambda step: step.speed):
            self._speed = speed
            async with Port(self._now) as self._port:
                try:
                    for step in steps:
                        if self._taken:
                            return
                        begins(step)
                        await step.act()
                except LineError as error:
                    if speed is None or not isinstance(error.__cause__, termios.error):
                        raise
                    self.impossible.append(speed)

    @property
    def _now(self) -> Line:
        """The line as it is set at this moment."""
        if self._speed is None or isinstance(self._line, TcpLine):
            return self._line
        return SerialLine(port=self._line.port, baud=self._speed.baud, format=self._speed.format)  # type: ignore[arg-type]

    # --- the plan ---

    def _plan(self, addresses: tuple[int, ...]) -> Iterator[Step]:
        if self._kind == "tcp":
            yield from (self._call(None, address) for address in addresses)
            return
        speaking = [driver for driver in self._drivers if driver.speaks]
        for speed in self._speeds(speaking):
            overhear = partial(self._overhear, [driver for driver in speaking if speed in self._tried(driver)])
            yield Step(speed, f"listens at {speed}", self._listen_s, overhear)
        asking = [driver for driver in self._drivers if not driver.modbus and sends(driver)]
        for speed in self._speeds(asking):
            yield from (self._ask(speed, driver) for driver in asking if speed in self._tried(driver))
        for speed in self._speeds(driver for driver in self._drivers if driver.modbus):
            for address in addresses:
                yield self._call(speed, address)
                for driver in self._slaves:  # some sleep until their driver wakes them
                    if speed in self._tried(driver)[:1] and (driver.shy or address == factory_address(driver)):
                        yield self._ask(speed, driver, address)

    def _speeds(self, drivers: Iterable[type[Sensor]]) -> list[Speed]:
        """Speeds of the drivers, each once, those of the most first."""
        named = Counter(speed for driver in drivers for speed in self._tried(driver))
        return [speed for speed, _ in named.most_common()]

    def _tried(self, driver: type[Sensor]) -> list[Speed]:
        """The driver's speeds; where its sensors can be set, every baud that was asked for, in all of its formats."""
        if not self._bauds:
            return list(driver.speeds)
        own = [speed for speed in driver.speeds if speed.baud in self._bauds]
        if not driver.modbus and len(driver.speeds) == 1:
            return own
        foreign = sorted(self._bauds - {speed.baud for speed in driver.speeds})
        formats = dict.fromkeys(speed.format for speed in driver.speeds)
        return own + [Speed(baud, format_) for baud in foreign for format_ in formats]

    def _ask(self, speed: Speed, driver: type[Sensor], address: int | None = None) -> Step:
        at = f"{tag(driver)} at {'' if address is None else f'address {address}, '}{speed}"
        seconds = silent_s(driver, address or 0, self._limit(driver))
        return Step(speed, f"asks for {at}", seconds, partial(self._recognise, driver, address))

    def _limit(self, driver: type[Sensor]) -> float:
        return self._timeout_s * (1 if driver.modbus else PATIENCE)

    def _call(self, speed: Speed | None, address: int) -> Step:
        where = f"address {address}{f' at {speed}' if speed else ''}"
        seconds = self._timeout_s + (self._line.timeout_s if speed is None else 0)  # to connect
        return Step(speed, f"calls Modbus {where}", seconds, partial(self._meet, address))

    # --- the steps ---

    async def _overhear(self, drivers: list[type[Sensor]]) -> None:
        """Listen for the whole time: what sends several kinds of frames is known only by all of them."""
        heard = b""

        def hear(buffer: bytes) -> tuple[int, None]:
            nonlocal heard
            heard = buffer
            return 0, None

        with suppress(Silence, FrameError):
            await self._port.converse(listens(hear), self._listen_s)
        if known := speaker(drivers, heard):
            await self._add(known[0], None, known[1])
        elif heard and self._speed:
            self.babble[self._speed] = heard

    async def _recognise(self, driver: type[Sensor], address: int | None) -> bool:
        if address is not None and self._knows(address):
            return False
        talk = driver.recognise(self._kind, address or 0)
        recognised = await self._try(talk, self._limit(driver), RECOGNISE_S)
        if recognised is not None:
            await self._add(driver, address, recognised)
        return recognised is not None

    async def _meet(self, address: int) -> None:
        """Call a slave, and find out what it is."""
        if self._knows(address) or not await self._is_there(address):
            return
        for driver in self._slaves:
            if await self._recognise(driver, address):
                break
        else:
            if Modbus in self._drivers:
                await self._look_through(address)
        self._taken = self._taken or await self._is_there(ELSEWHERE)  # it does not look at the address: all are one

    async def _is_there(self, address: int) -> bool:
        code = await self._try(called(self._kind, address), self._timeout_s)
        if code == BROKEN:
            return await self._try(called(self._kind, ELSEWHERE), self._timeout_s) != BROKEN
        return code is not None and code not in GATEWAY

    async def _look_through(self, address: int) -> None:
        words: dict[tuple[int, int], int] = {}
        await self._try(survey(self._kind, address, words), self._timeout_s, self._survey_s)
        places = tuple(meanings(words))
        why = "answers Modbus, but no driver recognises it"
        self._take(Found(line=self._now, address=address, why=why, places=places, registers=len(words)))

    async def _add(self, driver: type[Sensor], address: int | None, recognised: Recognised) -> None:
        """Read the sensor once and take it into what is found."""
        at = {"address": address} if driver.modbus else {}
        sensor, answer, trouble = None, None, ""
        try:
            sensor = msgspec.convert({"driver": tag(driver), "line": "line", **at, **recognised.options}, driver)
            async with asyncio.timeout(POLL_S):
                answer = await self._port.converse(sensor.poll(self._kind), sensor.timeout_s)
                trouble = answer.complaint
        except msgspec.ValidationError as error:  # it cannot say what it measures
            trouble = f"the file must say more of it, see the driver's example: {error}"
        except TimeoutError:
            trouble = f"gave no reading within {POLL_S:g} s"
        except (Silence, FrameError) as error:
            trouble = str(error)
        self._taken = not driver.shares
        self._take(
            Found(
                line=self._now, address=address, why=recognised.why, driver=tag(driver), options=recognised.options,
                sensor=sensor, answer=answer, trouble=trouble,
            )
        )  # fmt: skip

    def _take(self, found: Found) -> None:
        self.found.append(found)
        self._told(found)

    def _knows(self, address: int) -> bool:
        """Whether the slave was found already; many take another parity or stop bit than their own."""
        baud = self._speed and self._speed.baud
        return any(each.address == address and getattr(each.line, "baud", None) == baud for each in self.found)

    async def _try(self, talk: Generator[Ask | Pause, bytes, T], each_s: float, all_s: float | None = None) -> T | None:
        """Carry a conversation; None where nothing understandable comes, or not in time."""
        try:
            async with asyncio.timeout(all_s):
                result = await self._port.converse(talk, each_s)
        except (Silence, TimeoutError):
            result = None
        except FrameError as error:
            self.garbled[self._speed] += not refused(error)
            return None
        except LineError:
            self._closed += 1
            if self._kind == "serial" or self._closed == MAX_CLOSED:
                raise
            return None
        self._closed = 0
        return result
