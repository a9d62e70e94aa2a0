"""What a run has found, as a table of faults and stages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from scripts.fault_matrix.comparison import Comparison
from scripts.fault_matrix.rounds import Round


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
    reasons: Counter[str] = field(default_factory=Counter)
    _before: tuple[str, Comparison] = ("", Comparison())

    @property
    def faults(self) -> int:
        """How many were injected."""
        return self.all.injected

    @property
    def made(self) -> int:
        """How many events were made."""
        return self.all.made

    def add(self, stage: str, done: Round) -> None:
        """Add a round; the first of a stage has the number 1."""
        before = Comparison() if done.number == 1 else self._before[1]
        self._before = (stage, done.result)
        for name, place in {(injected.fault.name, injected.fault.place) for injected in done.injected}:
            line = self.lines.setdefault((stage, place, name), Line())
            line.injected += sum(injected.fault.name == name for injected in done.injected)
            line.add(done.result, before, done.return_s)
        self.all.injected += len(done.injected)
        self.all.add(done.result, before, done.return_s)
        self.reasons += done.result.explained - before.explained


def show(tally: Tally, console: Console) -> None:
    """Print the table."""
    table = Table(title="Faults, and what became of the events made in their rounds", title_justify="left")
    for name in ("stage", "place", "fault"):
        table.add_column(name, overflow="fold")
    for name in (
        "injected",
        "made",
        "stored",
        "gaps explained",
        "lost",
        "twice",
        "alerts missed/doubled",
        "slowest return",
    ):
        table.add_column(name, justify="right")
    for key, line in sorted(tally.lines.items()):
        table.add_row(*key, *line.cells())
    table.add_section()
    table.add_row("all", "", "each round counted once", *tally.all.cells())
    console.print(table)
    for reason, count in tally.reasons.most_common():
        console.print(f"  {count} gaps: {reason}")
