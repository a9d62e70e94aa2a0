"""`scripts/bench [--json] [NAME ...]`: measure the project's figures, all or some; status 1 if a target is missed."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

import msgspec
from rich.console import Console

import scripts.benchmarks
from scripts.benchmarks.figure import Figure, show

FRAME = ("__main__", "figure")


def main() -> int:
    """Run the command line."""
    found = [m.name for m in pkgutil.iter_modules(scripts.benchmarks.__path__) if m.name not in FRAME]
    names = sorted(name for name in found if not name.startswith("_"))
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the project's figures.")
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all if none is given")
    parser.add_argument("--json", action="store_true", help="one JSON object a figure")
    given = parser.parse_args()
    for name in given.name:
        if name not in names:
            parser.error(f"no figure is called {name!r}; there are {', '.join(names)}")
    console, missed = Console(), False
    console.width = max(console.width, 110)
    for name in given.name or names:
        figure: Figure = importlib.import_module(f"scripts.benchmarks.{name}").measure()
        missed |= any(line.reached is False for line in figure.lines)
        if given.json:
            sys.stdout.buffer.write(msgspec.json.encode({"name": name, "figure": figure}) + b"\n")
            sys.stdout.flush()
        else:
            show(figure, console)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
