"""A run: stages by turns, each for a while in a folder of its own, with rounds of faults until the first failure."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from scripts.fault_matrix.faults import Fault
from scripts.fault_matrix.kinds import Kind
from scripts.fault_matrix.programs import Keeper, Program
from scripts.fault_matrix.rounds import NORMAL_S, Round, play
from scripts.fault_matrix.stage import Stage
from scripts.fault_matrix.table import Tally

Told = Callable[[Stage, Round], None]
"""Hears of every round."""
SLICE_S = 240.0
"""So long a stage is played at most before the next one begins."""
FAULTS = (3, 6)
"""In one round."""
HOLD_S = (0.2, 3.0)
LONG_S, LONG_SHARE, LONG_RUN_S = (20.0, 120.0), 0.03, 3600.0
"""In a run of an hour or more some faults last so long."""


class Failure(NamedTuple):
    """What ended a run."""

    stage: Stage
    round: Round


class Run:
    """One run; what it finds is added to `tally`."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        faults: Sequence[Fault],
        *,
        real_disks: bool,
        broken: str = "",
        long: bool = False,
        normal_s: float = NORMAL_S,
    ) -> None:
        """Within `normal_s` after the last fault of a round everything must be normal."""
        self.tally = Tally()
        self._folder = folder
        self._chance = random.Random(seed)
        self._faults = faults
        self._real_disks = real_disks
        self._broken = broken
        self._long = long
        self._normal_s = normal_s
        self._bags: dict[Kind, Iterator[Fault]] = {}
        self._stages = 0
        self._told: dict[Program, int] = {}
        """How often each program's end was counted."""

    def for_a_while(self, kinds: Sequence[Kind], seconds: float, told: Told) -> Failure | None:
        """Play the stages by turns; returns the first failure, whose logs are kept."""
        ends = time.monotonic() + seconds
        for kind in cycle(kinds):
            until = min(ends, time.monotonic() + min(SLICE_S, seconds / len(kinds)))
            with self._stage(kind) as stage:
                bag = self._bags.setdefault(kind, self._bag(stage))
                for number in range(1, 10**6):
                    if failure := self._round(stage, number, list(islice(bag, self._chance.randint(*FAULTS))), told):
                        return failure
                    if time.monotonic() >= until:
                        break
            shutil.rmtree(stage.folder)
            if time.monotonic() >= ends:
                return None
        return None

    def once(self, kind: Kind, told: Told) -> Failure | None:
        """Do every fault of the run once on one stage; returns the first failure."""
        with self._stage(kind) as stage:
            bag = islice(self._bag(stage), len(_possible(self._faults, stage)))
            number = 0
            while drawn := list(islice(bag, FAULTS[1])):
                number += 1
                if failure := self._round(stage, number, drawn, told):
                    return failure
        shutil.rmtree(stage.folder)
        return None

    def _round(self, stage: Stage, number: int, faults: Sequence[Fault], told: Told) -> Failure | None:
        done = play(stage, number, [(fault, self._hold_s()) for fault in faults], self._normal_s)
        self.tally.add(stage, done)
        with (stage.folder / "rounds.log").open("a") as log:
            log.write(f"{done}\n")
            for program in stage.programs():
                for at, status in program.ended[self._told.get(program, 0) :]:
                    name = program.name.partition("-again")[0]
                    self.tally.ended[f"{name} ended by itself in {stage.kind.name}, status {status}"] += 1
                    log.write(f"    {program.name} ended by itself at {at:.1f}, status {status}\n")
                self._told[program] = len(program.ended)
        told(stage, done)
        return Failure(stage, done) if done.findings else None

    @contextmanager
    def _stage(self, kind: Kind) -> Iterator[Stage]:
        """Begin a stage in a folder of its own, and end it."""
        self._stages += 1
        folder = self._folder / f"{self._stages:03}-{kind.name}"
        stage = Stage(kind, folder, self._chance.randrange(2**32), real_disks=self._real_disks, broken=self._broken)
        try:
            stage.start()
            with Keeper(stage.programs):
                yield stage
        finally:
            stage.close()

    def _bag(self, stage: Stage) -> Iterator[Fault]:
        """Every fault that the stage can have, once in any order, and again."""
        possible = _possible(self._faults, stage)
        while True:
            yield from self._chance.sample(possible, len(possible))

    def _hold_s(self) -> float:
        long = self._long and self._chance.random() < LONG_SHARE
        return self._chance.uniform(*(LONG_S if long else HOLD_S))


def _possible(faults: Sequence[Fault], stage: Stage) -> list[Fault]:
    return [fault for fault in faults if fault.targets(stage)]
