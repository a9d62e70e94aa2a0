"""The uplink against every order of mishaps: packs and receipts lost, late, twice, out of order; links cut; restarts.

A real outbox and a real uplink on a link that is played: what is sent lies on the way until a rule delivers it. Rules
are drawn by Hypothesis; in the end the way is good, and everything that was put must be confirmed and forgotten.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from collector_double import EXAMPLES, HandClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.contract.events import Event, Heartbeat, PlateRead, Readings, Stored
from edge_agent.contract.packs import Pack, decode_pack
from edge_agent.contract.runs import numbers
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.settings import BrokerSettings, UplinkSettings
from edge_agent.uplink import Uplink

SETTINGS = UplinkSettings(window=4, resend_s=5, resend_max_s=20, backlog_packs_per_s=2, pack_kb=1, gather_s=2)
Identity = tuple[int, int]
"""Outbox and number, as the collector knows an event."""


class PlayedLink:
    """Takes the place of `Link`; what is published waits in `way`."""

    def __init__(self, **given: Any) -> None:
        self.connected = False
        self.on_connect: Callable[[], None] = given["on_connect"]
        self.receipt: Callable[[bytes], None] = given["hears"]["stored"]
        self.way: list[Pack] = []
        self.published = 0

    def __enter__(self) -> PlayedLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.connected = False

    def publish(self, topic: str, payload: bytes) -> None:
        self.published += 1
        if self.connected:
            self.way.append(decode_pack(topic.rsplit("/", 1)[1], payload))

    def unsent(self) -> bool:
        return False

    def say_status(self) -> None:
        """Nobody listens."""


class UplinkMachine(RuleBasedStateMachine):
    """The box, the way, and a collector that is a set."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = HandClock()
        self.stored: set[Identity] = set()
        self.made: set[Identity] = set()
        self.receipts: list[bytes] = []
        self.under_way = 0
        self.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def start(self) -> None:
        async def begin() -> None:
            self.outbox = Outbox.open(Path(self.folder.name) / "outbox.sqlite", 10**9)
            self.uplink = Uplink(
                device="air-01",
                broker=BrokerSettings(host="127.0.0.1"),
                settings=SETTINGS,
                outbox=self.outbox,
                health=Health(),
                monotonic=self.clock,
                make_link=PlayedLink,  # type: ignore[arg-type]
            )
            self.link: PlayedLink = self.uplink._link  # type: ignore[assignment]
            self.task = asyncio.create_task(self.uplink.run())

        self.do(begin())
        self.settle()

    def settle(self) -> None:
        """Let the uplink do all that it would do now."""

        async def look() -> None:
            for _ in range(3):
                self.uplink._wake.set()
                for _ in range(20):
                    await asyncio.sleep(0)
                await self.outbox.waiting()
            await asyncio.sleep(0.002)
            assert not self.task.done(), self.task.exception()

        self.do(look())

    # what may happen

    @rule(make=st.sampled_from([Readings, PlateRead, Heartbeat]), count=st.integers(1, 6))
    def put(self, make: type[Event], count: int) -> None:
        async def put() -> list[int]:
            return await asyncio.gather(*(self.outbox.put(EXAMPLES[make]) for _ in range(count)))

        for place in self.do(put()):
            epoch = self.outbox.epochs.of(place)
            self.made.add((epoch.id, epoch.number(place)))
        self.settle()

    @precondition(lambda self: not self.link.connected)
    @rule()
    def connect(self) -> None:
        self.link.connected = True
        self.link.on_connect()
        self.settle()

    @precondition(lambda self: self.link.connected)
    @rule(lost=st.booleans())
    def disconnect(self, lost: bool) -> None:
        self.link.connected = False
        if lost:
            self.link.way.clear()
        self.settle()

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        before = self.link.published
        self.clock.at += seconds
        self.settle()
        backlog = seconds * SETTINGS.backlog_packs_per_s + 2
        fresh_and_again = 2 * SETTINGS.window
        assert self.link.published - before <= backlog + fresh_and_again, "the rate is respected"

    @precondition(lambda self: self.link.way)
    @rule(data=st.data(), fate=st.sampled_from(["arrives", "arrives", "is lost", "comes twice", "is stored unheard"]))
    def pack(self, data: st.DataObject, fate: str) -> None:
        pack = self.link.way.pop(data.draw(st.integers(0, len(self.link.way) - 1)))
        if fate == "is lost":
            return
        self.stored |= {(pack.outbox, number) for number in numbers(pack.runs)}
        if fate != "is stored unheard":
            self.receipts += [_receipt(pack)] * (2 if fate == "comes twice" else 1)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), lost=st.booleans())
    def receipt(self, data: st.DataObject, lost: bool) -> None:
        payload = self.receipts.pop(data.draw(st.integers(0, len(self.receipts) - 1)))
        if not lost and self.link.connected:
            self.link.receipt(payload)
            self.settle()

    @rule()
    def restart(self) -> None:
        self.end()
        self.start()

    def end(self) -> None:
        async def end() -> None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            await self.outbox.close()

        self.do(end())

    # what must hold

    @invariant()
    def nothing_is_forgotten_before_its_receipt(self) -> None:
        if not hasattr(self, "runner"):
            return
        assert self.stored <= self.made
        held = self.held()
        assert self.made - held <= self.stored

    @invariant()
    def the_window_is_kept(self) -> None:
        if hasattr(self, "runner"):
            assert len(list(self.uplink._flights)) <= SETTINGS.window + 1, "one plate may go beside it"

    def held(self) -> set[Identity]:
        async def read() -> set[Identity]:
            found = set()
            for kind in ("readings", "plates", "health"):
                after = 0
                while numbered := await self.outbox.read(kind, after, 2**60, 10**6):
                    for place, _ in numbered:
                        epoch = self.outbox.epochs.of(place)
                        found.add((epoch.id, epoch.number(place)))
                    after = numbered[-1][0]
            return found

        return self.do(read())

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        if not self.link.connected:
            self.connect()
        for _ in range(200):
            while self.link.way:
                pack = self.link.way.pop(0)
                self.stored |= {(pack.outbox, number) for number in numbers(pack.runs)}
                self.link.receipt(_receipt(pack))
            self.settle()
            self.clock.at += 5
            self.settle()
            if not self.do(self.outbox.waiting()).events:
                break
        assert self.held() == set()
        assert self.stored == self.made, "everything that was put is stored"
        self.end()
        self.runner.close()
        self.folder.cleanup()


def _receipt(pack: Pack) -> bytes:
    return msgspec.msgpack.encode(Stored(outbox=pack.outbox, runs=pack.runs))


TestUplink = UplinkMachine.TestCase
TestUplink.settings = settings(max_examples=25, stateful_step_count=30)
