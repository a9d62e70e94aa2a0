"""Several sensors on one RS-485 line, on real pseudo-terminals: nobody waits longer than another's own time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from test_station_poll import Watched, none, polling, value

from edge_agent.contract.events import Readings
from edge_agent.contract.quantities import BY_NAME
from edge_agent.errors import FrameError, LineError, Silence
from edge_agent.station.conversation import Answer, Ask, Pause, Value, marked, measured
from edge_agent.station.modbus import Request
from edge_agent.station.port import Port
from edge_agent.station.sensor import LineKind, Sensor
from edge_agent.station.settings import Line, SerialLine, StationSettings
from scripts.simulated.pty import SimulatedLine

DEAD_S, WARM_UP_S = 0.5, 2
Talk = Generator[Ask | Pause, bytes, Answer]


class Probe(Sensor, frozen=True, kw_only=True, tag="probe"):
    """A sensor with an address that answers `?<letter>` with `<letter><two digits>`, and sleeps if it is told to."""

    letter: str
    quantity: str
    naps: bool = False
    questions: int = 1
    shares = True

    @property
    def gives(self) -> tuple[str, ...]:
        return (self.quantity,)

    @property
    def wakes(self) -> bool:
        return self.naps

    def poll(self, kind: LineKind) -> Talk:
        if self.naps:
            yield Pause(send=f"!{self.letter}".encode(), seconds=self.warm_up_s)
        for attempt in range(self.questions):
            try:
                frame = yield Ask(send=f"?{self.letter}".encode(), find=marked(self.letter.encode(), 3, bytes.isalnum))
            except Silence:
                if attempt + 1 == self.questions:
                    raise
        return Answer(values=(measured(self.quantity, int(frame[1:]) / 10, low=0, high=14),))


class Bus:
    """What the probes hear, with the time; those that are `there` answer after `takes_s`."""

    def __init__(self, line: SimulatedLine, there: str, takes_s: float = 0.02) -> None:
        self.line, self.there, self.takes_s = line, there, takes_s
        self.heard: list[tuple[float, str]] = []
        self._talks_until = 0.0
        self.wrong: list[str] = []
        line.hears = self._hears

    def _hears(self, data: bytes) -> None:
        text = data.decode()
        loop = asyncio.get_running_loop()
        self.heard.append((loop.time(), text))
        if len(text) != 2:
            self.wrong.append(f"two requests ran into each other: {text}")
        if loop.time() < self._talks_until:
            self.wrong.append(f"{text} is sent while another talks")
        if text[0] == "?" and text[1] in self.there:
            loop.call_later(self.takes_s, self.line.say, f"{text[1]}71".encode())
        if text[0] == "!" and text[1] in self.there:  # it was awake, so it answers
            self._talks_until = loop.time() + self.takes_s
            loop.call_later(self.takes_s, self.line.say, f"{text[1]}00".encode())

    def times(self, request: str) -> list[float]:
        return [at for at, text in self.heard if text == request]


def probe(letter: str, quantity: str, **options: object) -> Probe:
    return Probe(line="bus", letter=letter, quantity=quantity, every_s=1, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def shared(path: Path, there: str, **sensors: Probe) -> AsyncIterator[tuple[Bus, Watched]]:
    async with SimulatedLine(path / "bus") as line:
        bus = Bus(line, there)
        lines: dict[str, Line] = {"bus": SerialLine(port=str(line.path))}
        async with polling(StationSettings(medium="seawater", lines=lines, sensors=dict(sensors))) as watched:
            yield bus, watched
            assert bus.wrong == []


def events(watched: Watched, quantity: str) -> list[Readings]:
    return [event for event in watched.events if event.readings[0].quantity == BY_NAME[quantity].number]


async def test_a_dead_one_and_one_that_warms_up_leave_the_third_punctual(tmp_path: Path) -> None:
    async with shared(
        tmp_path,
        "bc",
        dead=probe("a", "orp", timeout_s=DEAD_S),
        sleeper=Probe(
            line="bus",
            letter="b",
            quantity="salinity",
            naps=True,
            warm_up_s=WARM_UP_S,
            every_s=2 * WARM_UP_S,
            timeout_s=DEAD_S,
        ),
        steady=probe("c", "ph"),
    ) as (bus, watched):
        await watched.event("sleeper", value)
        await watched.event("sleeper", value)
        await watched.event("steady", value)
    steady, sleeper, dead = (events(watched, quantity) for quantity in ("ph", "salinity", "orp"))
    assert all(value(event) for event in steady)
    assert [b.at - a.at for a, b in pairwise(steady)] == [1000] * (len(steady) - 1)
    assert len(steady) >= 2 * WARM_UP_S
    assert all(none(event) for event in dead)
    assert [b.at - a.at for a, b in pairwise(dead)] == [1000] * (len(dead) - 1)
    assert [event.at % (2000 * WARM_UP_S) for event in sleeper] == [0] * len(sleeper)
    assert watched.health.counters.keys() == {"dead.silent"}, "no poll was missed"
    asked = bus.times("?c")
    assert max(b - a for a, b in pairwise(asked)) < 1 + 2 * DEAD_S + 0.3, "it waited for the others' limits at most"
    for woken in bus.times("!b")[:-1]:
        read = next(at for at in bus.times("?b") if at > woken)
        assert WARM_UP_S <= read - woken < WARM_UP_S + DEAD_S + 0.3
        assert sum(woken < at < read for at in asked) >= WARM_UP_S - 1, "others were asked while it warmed up"


async def test_a_dead_one_that_is_asked_again_and_again_delays_by_one_limit_only(tmp_path: Path) -> None:
    dead = Probe(line="bus", letter="a", quantity="orp", timeout_s=DEAD_S, questions=3, every_s=2)
    async with shared(tmp_path, "c", dead=dead, steady=probe("c", "ph")) as (bus, watched):
        for _ in range(4):
            await watched.event("steady", value)
        await watched.event("dead", none)
    asked, dead_asked = bus.times("?c"), bus.times("?a")
    for first, second, third in zip(dead_asked[::3], dead_asked[1::3], dead_asked[2::3], strict=False):
        assert second - first >= DEAD_S and third - second >= DEAD_S
        assert any(first < at < second for at in asked), "between its questions the other has its turn"


async def test_those_that_are_due_together_are_asked_in_the_order_of_the_file(tmp_path: Path) -> None:
    sensors = {
        letter: probe(letter, q) for letter, q in zip("dbca", ("orp", "ph", "salinity", "turbidity"), strict=True)
    }
    async with shared(tmp_path, "abcd", **sensors) as (bus, watched):
        for _ in range(4):
            await watched.event("a", value)
    asked = "".join(text[1] for _, text in bus.heard)
    assert asked.startswith("dbca" * 4)


async def test_a_line_that_fails_while_one_pauses_is_opened_anew_for_it(tmp_path: Path) -> None:
    def talk() -> Talk:
        yield Pause(send=b"!b", seconds=0.5)
        frame = yield Ask(send=b"?b", find=marked(b"b", 3, bytes.isalnum))
        return Answer(values=(Value("ph", float(frame[1:])),))

    async with SimulatedLine(tmp_path / "bus") as line, Port(SerialLine(port=str(line.path))) as port:
        Bus(line, "b")
        pausing = asyncio.create_task(port.converse(talk()))
        await asyncio.sleep(0.1)
        line.unplug()
        with pytest.raises(LineError):
            await port.converse(probe("a", "orp").poll("serial"), 0.2)
        line.plug()
        assert (await pausing).values == (Value("ph", 71.0),)


# --- two masters on one line ---

OURS = Request(tcp=False, slave=3, function=3, address=10, count=2, transaction=1)


def rtu(body: str) -> bytes:
    """A frame with its CRC-16, low byte first."""
    frame, crc = bytes.fromhex(body), 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return frame + crc.to_bytes(2, "little")


ANSWER = rtu("03 03 04 41 dc 00 00")
FOREIGN = {
    "the other's request": rtu("07 03 00 00 00 02"),
    "another slave's answer": rtu("07 03 04 00 01 00 02"),
    "our slave's longer answer to the other": rtu("03 03 06 00 01 00 02 00 03"),
    "our slave's refusal of another function": rtu("03 84 02"),
    "half a frame": ANSWER[:5],
    "the echo of our request": OURS.sent,
}


def conversation() -> Generator[Ask | Pause, bytes, list[int]]:
    return OURS.registers((yield OURS.ask()))


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("order", ["before", "before, split", "after"])
async def test_foreign_traffic_between_question_and_answer(tmp_path: Path, foreign: bytes, order: str) -> None:
    """The other master asks while we wait, or answers to it come first; ours is still found among the bytes."""
    noise: list[int] = []
    async with (
        SimulatedLine(tmp_path / "bus") as line,
        Port(SerialLine(port=str(line.path)), noise=noise.append) as port,
    ):

        def hears(data: bytes) -> None:
            assert data == OURS.sent
            later: Callable[..., object] = asyncio.get_running_loop().call_later
            if order == "before":
                line.say(foreign + ANSWER)
            elif order == "after":
                line.say(ANSWER + foreign)
            else:
                for i, byte in enumerate(foreign + ANSWER):
                    later(0.002 * i, line.say, bytes((byte,)))

        line.hears = hears
        for _ in range(3):
            assert await port.converse(conversation(), 2) == [0x41DC, 0]


async def test_a_master_that_never_is_silent_is_a_clean_failure(tmp_path: Path) -> None:
    async with SimulatedLine(tmp_path / "bus") as line, Port(SerialLine(port=str(line.path))) as port:

        async def chatter() -> None:
            while True:
                line.say(FOREIGN["another slave's answer"])
                await asyncio.sleep(0.003)

        task = asyncio.create_task(chatter())
        with pytest.raises(FrameError, match="no sound frame"):
            await port.converse(conversation(), 0.4)
        task.cancel()
        line.hears = lambda _: line.say(ANSWER)
        assert await port.converse(conversation(), 2) == [0x41DC, 0]
