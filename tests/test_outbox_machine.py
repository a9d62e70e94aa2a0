"""The outbox against a plain model: Hypothesis looks for a sequence of what can happen to it that breaks it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from collector_double import EXAMPLES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from test_outbox_damage import Made, everything

from edge_agent import outbox_rows
from edge_agent.contract.events import Event, Heartbeat, PlateRead, Readings
from edge_agent.contract.runs import numbers
from edge_agent.outbox import Outbox
from edge_agent.outbox_lost import read_lost

CAP = 60_000
KINDS = st.sampled_from([Readings, Readings, Readings, Heartbeat, PlateRead])
Identity = tuple[int, int]


class OutboxMachine(RuleBasedStateMachine):
    """`made` is every event by its identity on the wire; `waits` are those that nobody has confirmed or dropped."""

    copies = Bundle("copies")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.made: Made = {}
        self.waits: set[Identity] = set()
        self.ids: set[int] = set()
        self.at = 0
        self.copied = 0
        self.outbox = self.open()

    def open(self) -> Outbox:
        outbox = Outbox.open(self.folder / "now" / "o.sqlite", CAP)
        assert outbox.set_aside == ""
        assert outbox.id not in self.ids, "each start has an id of its own"
        self.ids.add(outbox.id)
        return outbox

    def identity(self, place: int) -> Identity:
        epoch = self.outbox.epochs.of(place)
        return epoch.id, epoch.number(place)

    def lost(self) -> set[Identity]:
        return {
            (entry.outbox, n)
            for entry in read_lost(self.outbox._db, self.outbox.epochs, 10**6)
            for n in numbers(entry.runs)
        }

    @rule(kinds=st.lists(KINDS, min_size=1, max_size=40))
    def put(self, kinds: list[type[Event]]) -> None:
        async def put_all(events: list[Event]) -> list[int]:
            places = await asyncio.gather(*map(self.outbox.put, events))
            await self.outbox.waiting()  # what is done behind them
            return places

        events = [msgspec.structs.replace(EXAMPLES[kind], at=self.at + i) for i, kind in enumerate(kinds, 1)]
        self.at += len(events)
        for place, event in zip(self.runner.run(put_all(events)), events, strict=True):
            assert self.identity(place) not in self.made, "an identity is given once"
            self.made[self.identity(place)] = event
            self.waits.add(self.identity(place))
        self.waits -= self.lost()

    @rule(first=st.integers(1, 400), count=st.integers(1, 60))
    def receipt(self, first: int, count: int) -> None:
        """Of numbers that may be gone already, or of several ids."""
        first = min(first, self.outbox.last_number + 1)
        self.waits -= {self.identity(place) for place in range(first, first + count)}
        self.runner.run(self.outbox.forget([(first, first + count - 1)]))

    @rule()
    def receipt_of_what_is_lost(self) -> None:
        for entry in self.runner.run(self.outbox.lost()):
            self.runner.run(self.outbox.forget_lost(entry.id))

    @rule()
    def end_and_start(self) -> None:
        self.runner.run(self.outbox.close())
        self.outbox = self.open()

    @rule()
    def kill_and_start(self) -> None:
        shutil.copytree(self.folder / "now", self.folder / "killed")
        self._put_back(self.folder / "killed")

    @rule(target=copies)
    def copy(self) -> tuple[Path, frozenset[Identity]]:
        self.copied += 1
        copy = self.folder / f"copy-{self.copied}"
        shutil.copytree(self.folder / "now", copy)
        return copy, frozenset(self.waits)

    @rule(copied=copies)
    def restore(self, copied: tuple[Path, frozenset[Identity]]) -> None:
        """What was made since is gone with the disk; what the copy holds waits again, known to the collector or not."""
        shutil.copytree(copied[0], self.folder / "restored")
        self.waits = set(copied[1])
        self._put_back(self.folder / "restored")

    def _put_back(self, folder: Path) -> None:
        self.runner.run(self.outbox.close())
        shutil.rmtree(self.folder / "now")
        folder.rename(self.folder / "now")
        self.outbox = self.open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        found = self.runner.run(everything(self.outbox))
        assert found == {identity: self.made[identity] for identity in self.waits}
        assert not self.lost() & found.keys()
        assert self.runner.run(self.outbox.waiting()).events == len(found)
        assert {id_ for id_, _ in found} <= set(self.outbox.epochs.ids) <= self.ids

    def teardown(self) -> None:
        self.runner.run(self.outbox.close())
        self.runner.close()
        shutil.rmtree(self.folder)


class TestOutbox(OutboxMachine.TestCase):
    settings = settings(max_examples=25, stateful_step_count=25)

    @pytest.fixture(autouse=True)
    def small_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_rows, "JOIN_EVENTS", 15)
