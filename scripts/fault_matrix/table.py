"""What a run has found, as a table of faults and stages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby

from rich.console import Console
from rich.table import Table

from scripts.fault_matrix.comparison import Comparison
from scripts.fault_matrix.rounds import Round
from scripts.fault_matrix.stage import Stage

COLUMNS = ("injected", "made", "stored", "gaps explained", "lost", "twice", "alerts missed/doubled", "slowest return")


@dataclass
class Line:
    """Of one fault in one stage, or of all: sums over the rounds in which it was injected."""

    injected: int = 0
    made: int = 0
    stored: int = 0
    explained: int = 0
    lost: int = 0
    twice: int = 0
    missed: int = 0
    doubled: int = 0
    slowest_s: float = 0.0

    def add(self, now: Comparison, before: Comparison, return_s: float) -> None:
        """Add a round: what its comparison has more than the one before."""
        self.made += now.made - before.made
        self.stored += now.stored - before.stored
        self.explained += now.explained.total() - before.explained.total()
        self.lost += len(now.lost) + len(now.waiting)
        self.twice += len(now.twice) + len(now.foreign)
        self.missed += len(now.alerts_missed)
        self.doubled += len(now.alerts_doubled)
        self.slowest_s = max(self.slowest_s, return_s)

    def cells(self) -> list[str]:
        """For the table."""
        counts = (self.injected, self.made, self.stored, self.explained, self.lost, self.twice)
        return [*(f"{count:,}" for count in counts), f"{self.missed}/{self.doubled}", f"{self.slowest_s:.1f} s"]


@dataclass
class Tally:
    """A run."""

    lines: dict[tuple[str, str, str], Line] = field(default_factory=dict)
    """By stage, place and name of the fault."""
    all: Line = field(default_factory=Line)
    ended: Counter[str] = field(default_factory=Counter)
    """Programs that ended by themselves and were started again, as systemd does, with their status."""
    _last: dict[str, Comparison] = field(default_factory=dict)
    """By folder of the stage: its last comparison, which counts from its beginning."""

    @property
    def faults(self) -> int:
        """How many were injected."""
        return self.all.injected

    @property
    def made(self) -> int:
        """How many events were made."""
        return self.all.made

    @property
    def reasons(self) -> Counter[str]:
        """How many gaps have which reason."""
        return sum((result.explained for result in self._last.values()), Counter())

    def add(self, stage: Stage, done: Round) -> None:
        """Add a round."""
        folder = stage.folder.name
        before = self._last.get(folder, Comparison())
        self._last[folder] = done.result
        for name, place in {(injected.fault.name, injected.fault.place) for injected in done.injected}:
            line = self.lines.setdefault((stage.kind.name, place, name), Line())
            line.injected += sum(injected.fault.name == name for injected in done.injected)
            line.add(done.result, before, done.return_s)
        self.all.injected += len(done.injected)
        self.all.add(done.result, before, done.return_s)


def show(tally: Tally, console: Console) -> None:
    """Print the table, a part for each stage."""
    table = Table(title="Faults, and what became of the events made in their rounds", title_justify="left")
    table.add_column("stage, fault", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for stage, lines in groupby(sorted(tally.lines.items()), key=lambda item: item[0][0]):
        table.add_section()
        table.add_row(f"[bold]{stage}")
        for (_, place, name), line in lines:
            table.add_row(f"  {place}: {name}", *line.cells())
    table.add_section()
    table.add_row("all, each round counted once", *tally.all.cells())
    console.print(table)
    for reason, count in tally.reasons.most_common():
        console.print(f"  {count} gaps: {reason}", highlight=False)
    for what, count in tally.ended.most_common():
        console.print(f"  {count} times {what}", highlight=False)
