"""The progress of a scan on the terminal: a bar by rich where it is installed, else a line of text. All on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

    from edge_agent.station.scan import Step


class Bar(Protocol):
    """Says lines, and shows how far a scan has come."""

    def say(self, text: str) -> None:
        """Print a line that stays."""

    def begin(self, steps: Sequence[Step]) -> Callable[[Step], None]:
        """Begin to count these steps; what it gives is to be told of each when it begins."""


@contextmanager
def progress() -> Iterator[Bar]:
    """The best bar that there is here; where nobody watches, lines only."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        bar = _Plain()
        yield bar
        bar.clear()
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as rich:
        yield _Rich(rich)


class _Plain:
    WIDTH = 20

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        print(text, file=sys.stderr)

    def begin(self, steps: Sequence[Step]) -> Callable[[Step], None]:
        """Begin to count these steps."""
        place = {id(step): number for number, step in enumerate(steps)}

        def show(step: Step) -> None:
            if self._watched:
                done = place[id(step)] / len(steps)
                bar = "#" * int(done * self.WIDTH)
                text = f"\r\x1b[K[{bar:.<{self.WIDTH}}] {done:4.0%} {step.what}"
                print(text, end="", file=sys.stderr, flush=True)

        return show

    def clear(self) -> None:
        """Take the bar away."""
        if self._watched:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class _Rich:
    def __init__(self, rich: Progress) -> None:
        self._rich = rich

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._rich.console.print(text, markup=False)

    def begin(self, steps: Sequence[Step]) -> Callable[[Step], None]:
        """Begin to count these steps."""
        task = self._rich.add_task("", total=len(steps))
        place = {id(step): number for number, step in enumerate(steps)}
        return lambda step: self._rich.update(task, completed=place[id(step)], description=step.what)
