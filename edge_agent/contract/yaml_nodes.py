"""YAML text -> nodes that know file, line and column; `inline` is the way back.

Only the plain part of YAML is taken: mappings with text keys, lists, scalars of YAML 1.2's core schema (so `on`,
`12:30` and `0123` are no traps), anchors and aliases. A file is bounded in bytes, depth and nodes, aliases counted
in full, so that no file can exhaust the box.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from edge_agent.contract.nodes import Entry, Mapping, Mark, Mistake, Node, Scalar, Sequence, render

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_NODES = 20_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's scanner where it is built in; it is ten times faster."""


def read_yaml(path: Path) -> tuple[Mapping | None, list[Mistake]]:
    """Read a file that holds one mapping; None where it cannot be read or its syntax ends the reading."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "name the files in it: *.yaml" if isinstance(error, IsADirectoryError) else "check the name of the file"
        return None, [Mistake.at(Mark(str(path), 1, 1), "", f"cannot be read: {error.strerror}", hint)]
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, file: str) -> tuple[Mapping | None, list[Mistake]]:
    """Parse bytes that hold one mapping; `file` is the name for messages. Never raises, whatever the bytes."""
    node, mistakes = _parse(data, file)
    if node is None and not mistakes:
        return Mapping(Mark(file, 1, 1), {}), []
    if node is None or isinstance(node, Mapping):
        return node, mistakes
    mistakes.append(Mistake.at(node.at, "", "the file does not hold keys", "write `key: value`, one on each line"))
    return None, mistakes


def parse_setting(setting: str) -> tuple[Mapping | None, list[Mistake]]:
    """Parse `a.b.c=value` from a command line, the value being YAML, into the mapping that it stands for."""
    path, equals, text = setting.partition("=")
    mark = Mark(f"--set {setting}", 1, 1)
    keys = path.strip().split(".")
    if not equals or not all(keys):
        mistake = Mistake.at(mark, "", "is not key=value", "write for example --set broker.port=1884")
        return None, [mistake]
    node, mistakes = _parse(text.encode(errors="replace"), mark.file)
    if mistakes:
        return None, mistakes
    value: Node = node or Scalar(mark, "", "")
    for key in reversed(keys):
        value = Mapping(mark, {key: Entry(mark, value)})
    assert isinstance(value, Mapping)
    return value, mistakes


def _parse(data: bytes, file: str) -> tuple[Node | None, list[Mistake]]:
    mistakes: list[Mistake] = []
    if len(data) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024} KiB"
        return None, [Mistake.at(Mark(file, 1, 1), "", message, "a device's file is short; is this the right file?")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode("utf-8", "replace"))
        hint = "save the file as UTF-8 in your editor"
        return None, [Mistake.at(Mark(file, line, column), "", f"byte {data[error.start]:#04x} is not UTF-8", hint)]
    try:
        return _Composer(text, file, mistakes).document(), mistakes
    except _Stop as stop:
        mistakes.append(stop.mistake)
    except yaml.YAMLError as error:
        mistakes.append(_syntax_mistake(error, text, file))
    return None, mistakes


class _Stop(Exception):
    def __init__(self, mark: Mark, path: tuple[str | int, ...], message: str, hint: str) -> None:
        super().__init__(message)
        self.mistake = Mistake.at(mark, render(path), message, hint)


class _Composer:
    """Turns libyaml's events into nodes; collects mistakes that leave the rest readable, stops at others."""

    def __init__(self, text: str, file: str, mistakes: list[Mistake]) -> None:
        self._events = yaml.parse(text, Loader=_Loader)
        self._file = file
        self._mistakes = mistakes
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def document(self) -> Node | None:
        """The only document of the stream; None for an empty file."""
        next(self._events)  # start of stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        node = self._node(next(self._events), ())
        next(self._events)  # end of document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Stop(self._mark(event), (), "a second document starts here", "leave one; remove the line `---`")
        return node

    def _mark(self, event: Any) -> Mark:
        return Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, path: tuple[str | int, ...]) -> Node:
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, mark, path)
        before = self._count
        self._grow(1, mark, path)
        if event.tag is not None:
            self._mistakes.append(Mistake.at(mark, render(path), f"tag {event.tag} is not taken", "remove the tag"))
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(mark, event.value if event.style else resolve(event.value), event.value)
        elif isinstance(event, yaml.MappingStartEvent):
            node = Mapping(mark, self._entries(path))
        else:
            node = Sequence(mark, self._items(path))
        if event.anchor is not None:
            self._anchors[event.anchor] = node, self._count - before
        return node

    def _alias(self, event: Any, mark: Mark, path: tuple[str | int, ...]) -> Node:
        if event.anchor not in self._anchors:
            hint = f"write &{event.anchor} before the value that is meant, above this line"
            raise _Stop(mark, path, f"*{event.anchor} names nothing", hint)
        node, size = self._anchors[event.anchor]
        self._grow(size, mark, path)
        return node

    def _grow(self, size: int, mark: Mark, path: tuple[str | int, ...]) -> None:
        self._count += size
        if self._count > MAX_NODES:
            raise _Stop(mark, path[:3], f"the file holds more than {MAX_NODES} values", "make it shorter")
        if len(path) > MAX_DEPTH:
            raise _Stop(mark, path[:3], f"values are nested more than {MAX_DEPTH} deep", "close the brackets")

    def _entries(self, path: tuple[str | int, ...]) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            mark = self._mark(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Stop(
                    mark, path, "a key must be plain text", 'write key: value; put {...} or [...] in quotes: "{}"'
                )
            key = event.value
            node = self._node(next(self._events), (*path, key))
            if key in entries:
                first = entries[key].at
                message = f"key {key!r} stands here a second time; first in line {first.line}"
                self._mistakes.append(
                    Mistake.at(mark, render((*path, key)), message, "remove one of the two, or give it another name")
                )
                continue
            entries[key] = Entry(mark, node)
        return entries

    def _items(self, path: tuple[str | int, ...]) -> tuple[Node, ...]:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return tuple(items)


_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar by YAML 1.2's core schema; infinities and NaN stay text, no setting wants them."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        value = float(text)
        return text if value in (float("inf"), float("-inf")) else value
    return text


def inline(value: Any) -> str:
    """A value on one line, as `read_yaml` reads it back; what is None in a mapping is left out."""
    if isinstance(value, str):
        simple = re.fullmatch(r"[\w/.][\w/.+-]*", value, re.ASCII) and isinstance(resolve(value), str)
        return value if simple else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(inline(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{inline(k)}: {inline(v)}' for k, v in value.items() if v is not None)}}}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


_CURES = (
    (r"mapping values are not allowed", "a colon stands where none may",
     "indent the line like its neighbours; the line above may lack its colon; put text that holds `: ` in quotes"),
    (r"could not find expected ':'", "a key without its colon", "write `key: value`, with a space after the colon"),
    (r"did not find expected key|expected <block end>", "the indentation does not fit the lines above",
     "start the line in the same column as the keys beside it"),
    (r"expected '-' indicator", "a key among the items of a list", "indent it, or start it with `- `"),
    (r"unexpected end of stream", "a quote is opened and never closed", "close the quote"),
    (r"expected ',' or", "a list or mapping in brackets is not closed", "add the missing comma or closing bracket"),
    (r"escape character", "a backslash in double quotes", "write it twice, or use single quotes"),
)  # fmt: skip


def _syntax_mistake(error: yaml.YAMLError, text: str, file: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # a character that YAML does not take at all
        line, column = _position(text[: getattr(error, "position", 0) or 0])
        hint = "remove the character; it may be invisible"
        return Mistake.at(Mark(file, line, column), "", "an unprintable character stands here", hint)
    problem = str(getattr(error, "problem", "") or "not YAML")
    cures = ((message, hint) for pattern, message, hint in _CURES if re.search(pattern, problem))
    message, hint = next(cures, (problem, "put the text in quotes"))
    lines = text.splitlines()
    if "\t" in "".join(lines[mark.line : mark.line + 1])[: mark.column + 1]:
        message, hint = "a tab stands here", "indent with spaces, two for each level"
    opened = getattr(error, "context_mark", None)
    if message.startswith(("a quote", "a list or mapping in")) and opened is not None:
        mark = opened  # where the quote or bracket was opened tells more than where the parser gave up
    return Mistake.at(Mark(file, mark.line + 1, mark.column + 1), "", message, hint)


def _position(before: str) -> tuple[int, int]:
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1
