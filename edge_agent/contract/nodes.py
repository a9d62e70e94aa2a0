"""What a configuration file says, with the place where it says it; laying one file upon another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec


class Mark(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong in a file, for the person who edits it."""

    file: str
    line: int
    column: int
    path: str
    """Keys from the top to the place, such as `station.lines.dust.port`; empty for the file as a whole."""
    message: str
    """What is wrong."""
    hint: str = ""
    """What to do about it."""

    @classmethod
    def at(cls, mark: Mark, path: str, message: str, hint: str = "") -> Mistake:
        """A mistake at a place."""
        return cls(file=mark.file, line=mark.line, column=mark.column, path=path, message=message, hint=hint)

    def __str__(self) -> str:
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {path}{self.message}"


class Scalar(msgspec.Struct, frozen=True):
    """A single value; `text` is what stands in the file, without quotes."""

    at: Mark
    value: str | int | float | bool | None
    text: str


class Entry(msgspec.Struct, frozen=True):
    """A key's place and its value."""

    at: Mark
    node: Node


class Mapping(msgspec.Struct, frozen=True):
    """Keys and values in the file's order."""

    at: Mark
    entries: dict[str, Entry]


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    at: Mark
    items: tuple[Node, ...]


Node = Scalar | Mapping | Sequence


def merge(under: Mapping, over: Mapping) -> Mapping:
    """Lay `over` upon `under`: mappings merge deep, anything else replaces, `null` removes what `under` says."""
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        if below is not None and _removes(entry.node):
            del entries[key]
        elif below is not None and isinstance(below.node, Mapping) and isinstance(entry.node, Mapping):
            entries[key] = Entry(entry.at, merge(below.node, entry.node))
        else:
            entries[key] = entry
    return Mapping(over.at, entries)


def locate(node: Node, path: tuple[str | int, ...]) -> Mark:
    """The place of the deepest part of `path` that the node has: of a scalar its value, else its key."""
    at = node.at
    for step in path:
        if isinstance(node, Mapping) and str(step) in node.entries:
            entry = node.entries[str(step)]
            node = entry.node
            at = node.at if isinstance(node, Scalar) else entry.at
        elif isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
            at = node.at
        else:
            break
    return at


def walk(node: Node, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Mark, Node]]:
    """Yield every part of a node below it: its path, the place of its key, and itself."""
    if isinstance(node, Mapping):
        below: Iterator[tuple[str | int, Mark, Node]] = ((k, e.at, e.node) for k, e in node.entries.items())
    elif isinstance(node, Sequence):
        below = ((i, item.at, item) for i, item in enumerate(node.items))
    else:
        return
    for step, at, child in below:
        yield (*path, step), at, child
        yield from walk(child, (*path, step))


def render(path: tuple[str | int, ...]) -> str:
    """Write a path as `a.b[0].c`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _removes(node: Node) -> bool:
    # an empty value is more likely a slip than a wish: only a written null removes
    return isinstance(node, Scalar) and node.value is None and node.text != ""
