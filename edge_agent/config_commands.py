"""`edge-agent check` and `edge-agent show`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.config import read, report
from edge_agent.contract.nodes import Entry, Mapping, Mistake, Node
from edge_agent.contract.yaml_nodes import inline
from edge_agent.errors import EXIT_CONFIG

DEFAULT = "default"


def add_set_argument(parser: ArgumentParser) -> None:
    """Add `--set`, which `run`, `check` and `show` have in common."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="sets",
        help="lay a value upon the file, such as broker.port=1884; null removes; may be given several times",
    )  # fmt: skip


def add_check_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `edge-agent check`."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="devices/*.yaml, types/*.yaml or fleet.yaml"
    )
    add_set_argument(parser)


def run_check(arguments: Namespace) -> int:
    """Print every mistake of every file, then their number; 78 if there is any, else 0."""
    found: dict[Mistake, None] = {}
    for path in arguments.files:
        found.update(dict.fromkeys(read(path, arguments.sets)[2]))
    if found:
        print(report(found))
    files = len(arguments.files)
    checked = f"{files} file{'s' if files != 1 else ''} checked"
    wrong = f"{len(found)} mistake{'s' if len(found) != 1 else ''}" if found else "no mistakes"
    print(f"{checked}, {wrong}", file=sys.stderr if found else sys.stdout)
    return EXIT_CONFIG if found else 0


def add_show_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `edge-agent show`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a device's file")
    parser.add_argument("--defaults", action="store_true", help="show also what no file says and the agent assumes")
    add_set_argument(parser)


def run_show(arguments: Namespace) -> int:
    """Print what a box is configured to, and which file says so; a self-contained file that a box can be given."""
    config, node, mistakes = read(arguments.file, arguments.sets)
    if config is None or node is None or mistakes:
        print(report(mistakes), file=sys.stderr)
        return EXIT_CONFIG
    lines = [line for line in _lines(msgspec.to_builtins(config), node, 0) if arguments.defaults or line[1] != DEFAULT]
    width = min(max(len(text) for text, _ in lines), 80)
    for text, source in lines:
        print(f"{text:{width}}  # {source}" if source else text)
    return 0


def _lines(value: dict[Any, Any], node: Node | None, depth: int) -> Iterator[tuple[str, str]]:
    """Yield a mapping's lines, each with where its value comes from."""
    for key, below in value.items():
        if below is None:
            continue
        entry = node.entries.get(str(key)) if isinstance(node, Mapping) else None
        start = f"{'  ' * depth}{inline(key)}:"
        if isinstance(below, dict) and below:
            yield start, "" if entry else DEFAULT
            yield from _lines(below, entry.node if entry else None, depth + 1)
        else:
            yield f"{start} {inline(below)}", _source(entry)


def _source(entry: Entry | None) -> str:
    if entry is None:
        return DEFAULT
    at = entry.node.at
    if at.file.startswith("--set "):
        return "--set"
    path = Path(at.file)
    folder = f"{path.parent.name}/" if path.parent.name in ("devices", "types") else ""
    return f"{folder}{path.name}:{at.line}"
