"""What every figure gives, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One number."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    compare: str = ""
    """How it stands to its peers."""

    @property
    def target(self) -> str:
        """The target in words, if there is one."""
        if self.at_most is not None:
            return f"at most {_number(self.at_most)}"
        return f"at least {_number(self.at_least)}" if self.at_least is not None else ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.value >= self.at_least if self.at_least is not None else None


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark found. Each of its files has a function `measure` that takes nothing and gives one."""

    title: str
    lines: Sequence[Line]
    note: str = ""


def show(figure: Figure, console: Console) -> None:
    """Print a figure as a table."""
    table = Table(title=figure.title, title_justify="left", caption=figure.note or None, caption_justify="left")
    for heading in ("", "value", "unit", "target", "", "compared"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for line in figure.lines:
        mark = {None: "", True: "[green]reached", False: "[red]missed"}[line.reached]
        table.add_row(line.name, _number(line.value), line.unit, line.target, mark, line.compare)
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
