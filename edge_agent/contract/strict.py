"""Checks what a file says against a frozen msgspec struct and builds it; finds all mistakes, not the first.

msgspec itself stops at the first mistake and knows no lines, so this walks the same types with the nodes of
`yaml_nodes.py`. A type that this file does not know raises TypeError: that is a bug of ours, not of the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from msgspec import inspect

from edge_agent.contract import nodes
from edge_agent.contract.nearest import meant
from edge_agent.contract.nodes import Mapping, Mark, Mistake, Node, Scalar, render
from edge_agent.contract.wording import choices, describe, fits, hint_for, shown, unwrap

T = TypeVar("T")
Path = tuple[str | int, ...]

WRONG: Any = type("Wrong", (), {"__repr__": lambda _: "WRONG"})()
"""Stands for a value that could not be made."""


def build(node: Node, type_: type[T], *, partial: bool = False) -> tuple[T | None, list[Mistake]]:
    """Make a `type_` of a node. With mistakes, the value is what could be made without the wrong parts, or None.

    `partial` is for a file that others complete: keys may be missing.
    """
    checker = _Checker(partial)
    value = checker.value(node, _info(type_), (), node.at)  # type: ignore[arg-type]
    return (None if value is WRONG else value), checker.mistakes


@cache
def _info(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


class _Checker:
    def __init__(self, partial: bool) -> None:
        self.mistakes: list[Mistake] = []
        self._partial = partial

    def say(self, at: Mark, path: Path, message: str, hint: str = "") -> Any:
        self.mistakes.append(Mistake.at(at, render(path), message, hint))
        return WRONG

    def value(self, node: Node, type_: inspect.Type, path: Path, key_at: Mark) -> Any:
        """The value that `node` means; `key_at` is where its key stands. WRONG after saying why."""
        bare, description = unwrap(type_)
        if isinstance(node, Scalar) and node.value is None and not node.text:
            hint = f"write {describe(type_)} ({description})" if description else f"write {describe(type_)}"
            return self.say(key_at, path, "nothing stands after the key", f"{hint}, or remove the key")
        if isinstance(bare, inspect.UnionType):
            return self._union(node, bare, path, key_at, type_)
        if isinstance(bare, _SCALARS):
            return self._scalar(node, bare, path, key_at, type_)
        return self._compound(node, bare, path, key_at, type_)

    def _compound(self, node: Node, type_: inspect.Type, path: Path, key_at: Mark, given: inspect.Type) -> Any:
        match node, type_:
            case _, inspect.AnyType():
                return plain(node)
            case Mapping(), inspect.StructType():
                return self._struct(node, type_, path, key_at)
            case Mapping(), inspect.DictType():
                return self._dict(node, type_, path, key_at)
            case nodes.Sequence(), _ if type(type_) in _LISTS:
                return self._list(node, type_, path, key_at)
        if not isinstance(type_, (inspect.StructType, inspect.DictType, *_LISTS)):
            raise TypeError(f"{render(path)}: settings of type {type_} are not known here")
        return self._unlike(node, given, path, key_at)

    def _unlike(self, node: Node, given: inspect.Type, path: Path, key_at: Mark) -> Any:
        at = node.at if isinstance(node, Scalar) else key_at
        bare, description = unwrap(given)
        hint = hint_for(node, bare.types if isinstance(bare, inspect.UnionType) else (bare,))
        hint = f"{hint} ({description})" if hint and description else hint or description
        return self.say(at, path, f"expected {describe(given)}, got {shown(node)}", hint)

    def _union(self, node: Node, type_: inspect.UnionType, path: Path, key_at: Mark, given: inspect.Type) -> Any:
        if (
            isinstance(node, Scalar)
            and node.value is None
            and any(isinstance(t, inspect.NoneType) for t in type_.types)
        ):
            return None
        members = [t for t in type_.types if not isinstance(t, inspect.NoneType)]
        tagged = [t for t in members if isinstance(t, inspect.StructType) and t.tag_field is not None]
        if tagged and isinstance(node, Mapping):
            return self._tagged(node, tagged, path, key_at)
        fitting = members if len(members) == 1 else [t for t in members if fits(node, t)]
        for member in fitting[:-1]:
            trial = _Checker(self._partial)
            value = trial.value(node, member, path, key_at)
            if not trial.mistakes:
                return value
        if fitting:
            return self.value(node, fitting[-1], path, key_at)
        return self._unlike(node, given, path, key_at)

    def _tagged(self, node: Mapping, types: Sequence[inspect.StructType], path: Path, key_at: Mark) -> Any:
        field = types[0].tag_field
        assert field is not None
        known = {str(t.tag): t for t in types}
        entry = node.entries.get(field)
        if entry is None:
            if not self._partial:
                self.say(key_at, path, f"missing key {field!r}", f"add `{field}:` with one of: {', '.join(known)}")
            return WRONG
        if not isinstance(entry.node, Scalar):
            message = f"expected one of {', '.join(known)}, got {shown(entry.node)}"
            return self.say(entry.node.at, (*path, field), message)
        tag = entry.node.text
        if tag in known:
            return self._struct(node, known[tag], path, key_at)
        return self.say(entry.node.at, (*path, field), f"unknown {field} {tag!r}", meant(tag, known))

    def _struct(self, node: Mapping, type_: inspect.StructType, path: Path, key_at: Mark) -> Any:
        fields = {field.encode_name: field for field in type_.fields}
        values: dict[str, Any] = {}
        whole = True
        for key, entry in node.entries.items():
            field = fields.get(key)
            if field is not None:
                value = self.value(entry.node, field.type, (*path, key), entry.at)
                if value is not WRONG:
                    values[field.name] = value
            elif type_.forbid_unknown_fields and key != type_.tag_field:
                self.say(entry.at, (*path, key), f"unknown key {key!r}", meant(key, fields))
        for key, field in fields.items():
            if field.name in values or not field.required:
                continue
            whole = False
            if key not in node.entries and not self._partial:
                self.say(key_at, path, f"missing key {key!r}", _where_to_add(key, field, path, key_at))
        return self._made(node, type_, values, path, key_at) if whole else WRONG

    def _made(self, node: Mapping, type_: inspect.StructType, values: dict[str, Any], path: Path, key_at: Mark) -> Any:
        try:
            return type_.cls(**values)
        except ValueError as error:  # a struct's own check; a message that begins with a key is placed there
            message = str(error)
            key = message.split(" ", 1)[0].strip(":")
            entry = node.entries.get(key)
            if entry is None:
                return self.say(key_at, path, message)
            return self.say(entry.node.at if isinstance(entry.node, Scalar) else entry.at, (*path, key), message)

    def _dict(self, node: Mapping, type_: inspect.DictType, path: Path, key_at: Mark) -> Any:
        self._length(len(node.entries), type_, path, key_at)
        made: dict[Any, Any] = {}
        for text, entry in node.entries.items():
            key = self._key(text, type_.key_type, (*path, text), entry.at)
            value = self.value(entry.node, type_.value_type, (*path, text), entry.at)
            if key is not WRONG and value is not WRONG:
                made[key] = value
        return made

    def _key(self, text: str, type_: inspect.Type, path: Path, at: Mark) -> Any:
        number = isinstance(type_, inspect.IntType) and re.fullmatch(r"-?[0-9]{1,18}", text)
        return self.value(Scalar(at, int(text) if number else text, text or "''"), type_, path, at)

    def _list(self, node: nodes.Sequence, type_: Any, path: Path, key_at: Mark) -> Any:
        if isinstance(type_, inspect.TupleType):
            if len(node.items) != len(type_.item_types):
                return self._unlike(node, type_, path, key_at)
            types = type_.item_types
        else:
            self._length(len(node.items), type_, path, key_at)
            types = (type_.item_type,) * len(node.items)
        pairs = enumerate(zip(node.items, types, strict=True))
        values = [self.value(item, item_type, (*path, i), item.at) for i, (item, item_type) in pairs]
        if isinstance(type_, inspect.TupleType) and any(value is WRONG for value in values):
            return WRONG
        return _LISTS[type(type_)](value for value in values if value is not WRONG)

    def _length(self, length: int, type_: Any, path: Path, key_at: Mark) -> None:
        if type_.min_length is not None and length < type_.min_length:
            self.say(key_at, path, f"expected at least {type_.min_length} entries, got {length}")
        if type_.max_length is not None and length > type_.max_length:
            self.say(key_at, path, f"expected at most {type_.max_length} entries, got {length}")

    def _scalar(self, node: Node, type_: Any, path: Path, key_at: Mark, given: inspect.Type) -> Any:
        if not isinstance(node, Scalar):
            return self._unlike(node, given, path, key_at)
        value = node.value
        if isinstance(type_, inspect.LiteralType | inspect.EnumType):
            known = choices(type_)
            if not any(value == k and type(value) is type(k) for k in known):
                hint = hint_for(node, (type_,)) or meant(node.text, map(str, known))
                return self.say(node.at, path, f"expected {describe(given)}, got {shown(node)}", hint)
            return value if isinstance(type_, inspect.LiteralType) else type_.cls(value)
        if not fits(node, type_) or not _in_bounds(value, type_):
            return self._unlike(node, given, path, key_at)
        return float(value) if isinstance(type_, inspect.FloatType) and value is not None else value


_LISTS: dict[type, Any] = {
    inspect.ListType: list,
    inspect.VarTupleType: tuple,
    inspect.TupleType: tuple,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}
_SCALARS = (
    inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType, inspect.LiteralType, inspect.EnumType,
    inspect.NoneType,
)  # fmt: skip


def plain(node: Node) -> Any:
    """The node without its places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    return [plain(item) for item in node.items]


def _in_bounds(value: Any, type_: Any) -> bool:
    if isinstance(type_, inspect.StrType):
        size = len(value)
        if size < (type_.min_length or 0) or (type_.max_length is not None and size > type_.max_length):
            return False
        return type_.pattern is None or re.search(type_.pattern, value) is not None
    if isinstance(type_, inspect.IntType | inspect.FloatType):
        return (
            math.isfinite(value)
            and (type_.ge is None or value >= type_.ge)
            and (type_.gt is None or value > type_.gt)
            and (type_.le is None or value <= type_.le)
            and (type_.lt is None or value < type_.lt)
            and (type_.multiple_of is None or value % type_.multiple_of == 0)
        )
    return True


def _where_to_add(key: str, field: inspect.Field, path: Path, at: Mark) -> str:
    _, description = unwrap(field.type)
    where = f"under {render(path)}" if path else "at the top"
    meaning = f" ({description})" if description else ""
    return f"add `{key}: <{describe(field.type)}>` {where} in {at.file}{meaning}"
