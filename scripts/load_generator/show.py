"""Progress while the boxes run, and the table in the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from scripts.load_generator.plan import Plan
from scripts.load_generator.tally import Result, Tally


class Progress(AbstractContextManager["Progress"]):
    """A line that is written anew each second."""

    def __init__(self, plan: Plan, console: Console, cost: Callable[[], str]) -> None:
        """`cost` says what else there is to say, such as the collector's memory."""
        self._plan = plan
        self._cost = cost
        self._live = Live(console=console, transient=True, auto_refresh=False)
        self._confirmed = 0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def __call__(self, tally: Tally, seconds: float) -> None:
        """Show how far it is."""
        confirmed = sum(tally.confirmations.values())
        grid = Table.grid(padding=(0, 2))
        left = max(0.0, self._plan.minutes * 60 - seconds)
        grid.add_row(
            f"[bold]{seconds:.0f} s",
            f"{left:.0f} s to go" if left else "waiting for receipts",
            f"{tally.connected:,} of {self._plan.boxes:,} connected",
            f"{sum(tally.packs.values()):,} packs, {sum(tally.resent.values()):,} again",
            f"{confirmed:,} confirmed, {confirmed - self._confirmed:,}/s",
            f"{tally.waiting:,} events wait",
            self._cost(),
        )
        self._confirmed = confirmed
        self._live.update(grid, refresh=True)


def show(result: Result, console: Console) -> None:
    """Print the table."""
    table = Table(
        title=f"{result.boxes:,} boxes, {result.minutes:g} min, {result.events:,} events, {result.megabytes:,} MB",
        title_justify="left",
    )
    for heading in ("packs of", "sent", "confirmed", "sent again", "p50", "p95", "p99", "longest"):
        table.add_column(heading, justify="left" if heading == "packs of" else "right")
    for kind, sent in result.packs.items():
        times = [f"{t:.3f} s" for t in _times(result, kind)]
        confirmed, again = result.confirmed.get(kind, 0), result.resent.get(kind, 0)
        table.add_row(kind, f"{sent:,}", f"{confirmed:,}", f"{again:,}", *times)
    console.print(table)
    console.print("Times are from the first publishing of a pack to its receipt.", style="dim")
    colour = "red" if result.not_confirmed else "green"
    console.print(f"[{colour}]{result.not_confirmed:,} events not confirmed at the end[/]; ", end="")
    failures = ", ".join(f"{count:,} x {why}" for why, count in result.failures.items())
    console.print(f"{result.connections_lost:,} connections lost, {failures or 'none failed'}")


def _times(result: Result, kind: str) -> tuple[float, ...]:
    if kind not in result.receipts:
        return ()
    waits = result.receipts[kind]
    return waits.p50, waits.p95, waits.p99, waits.max
