"""Words for types and values, for people who edit files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

from edge_agent.contract.nodes import Mapping, Node, Scalar

_PLAIN = {
    inspect.BoolType: "yes or no",
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
    inspect.StrType: "text",
    inspect.NoneType: "null",
    inspect.DictType: "keys",
    inspect.StructType: "keys",
    inspect.ListType: "list",
    inspect.VarTupleType: "list",
    inspect.TupleType: "list",
    inspect.SetType: "list",
    inspect.FrozenSetType: "list",
}
_PYTHON = {bool: "yes or no", int: "whole number", float: "number", str: "text", type(None): "null"}


def unwrap(type_: inspect.Type) -> tuple[inspect.Type, str]:
    """The type without its metadata, and its description, if any."""
    description = ""
    while isinstance(type_, inspect.Metadata):
        description = str((type_.extra_json_schema or {}).get("description", "")) or description
        type_ = type_.type
    return type_, description


def fits(node: Node, type_: inspect.Type) -> bool:
    """Tell whether the node is of the type's kind, whatever its value; a whole number is a number too."""
    kind, wanted = kind_of(node), kind_of(type_)
    return kind == wanted or (kind == "whole number" and wanted == "number")


def kind_of(thing: Any) -> str:
    """The kind of a node or of a type, in one word or two; the same word where they can fit."""
    if isinstance(thing, inspect.Metadata):
        return kind_of(thing.type)
    if isinstance(thing, Scalar):
        return _PYTHON[type(thing.value)]
    if isinstance(thing, inspect.LiteralType):
        return _PYTHON[type(thing.values[0])]
    if isinstance(thing, inspect.EnumType):
        return _PYTHON[type(next(iter(thing.cls)).value)]
    if isinstance(thing, inspect.Type):
        return _PLAIN.get(type(thing), "value")
    return "keys" if isinstance(thing, Mapping) else "list"


def choices(type_: inspect.LiteralType | inspect.EnumType) -> list[Any]:
    """The values that such a type allows."""
    return list(type_.values) if isinstance(type_, inspect.LiteralType) else [e.value for e in type_.cls]


def describe(type_: inspect.Type) -> str:
    """What is expected, such as `a whole number from 1 to 247`; a type may say it itself as its title."""
    if title := _title(type_):
        return title
    match unwrap(type_)[0]:
        case inspect.UnionType(types=types):
            words = " or ".join(dict.fromkeys(describe(t) for t in types if not isinstance(t, inspect.NoneType)))
        case inspect.LiteralType() | inspect.EnumType() as closed:
            known = choices(closed)
            words = ("one of " if len(known) > 1 else "") + ", ".join(str(value) for value in known)
        case inspect.BoolType():
            words = "true or false"
        case inspect.TupleType(item_types=items):
            words = f"a list of {len(items)}: [{', '.join(describe(t) for t in items)}]"
        case inspect.IntType() | inspect.FloatType() as number:
            words = f"a {kind_of(number)}{_range(number)}"
        case inspect.StrType() as text:
            words = f"text{_form(text)}"
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            words = f"a list of {describe(item)}"
        case other:
            words = {"list": "a list", "keys": "keys below it"}.get(kind_of(other), kind_of(other))
    return words


def shown(node: Node) -> str:
    """A value as a message shows it, never long."""
    if isinstance(node, Scalar):
        text = node.text if len(node.text) <= 40 else node.text[:37] + "..."
        return text if isinstance(node.value, int | float) else repr(text)
    return "keys" if isinstance(node, Mapping) else "a list"


def hint_for(node: Node, types: Iterable[inspect.Type]) -> str:
    """How to write what was probably meant where one of `types` is expected; empty where there is no telling."""
    wanted = {kind_of(t) for t in types}
    hint = ""
    if not isinstance(node, Scalar) or wanted <= {"keys", "list"}:
        hint = _other_shape(node, wanted, types)
    elif wanted & {"number", "whole number"} and re.fullmatch(r"-?\d+(\.\d+)?", node.text):
        hint = "remove the quotes" if isinstance(node.value, str) else ""
    elif wanted & {"number", "whole number"} and re.fullmatch(r"[-+]?\d+,\d+", node.text):
        hint = f"write a point for the decimals: {node.text.replace(',', '.')}"
    elif "text" in wanted and isinstance(node.value, int | float):
        hint = f'put it in quotes: "{node.text}"'
    elif "yes or no" in wanted and node.text.lower() in ("yes", "no", "on", "off"):
        hint = f"write {'true' if node.text.lower() in ('yes', 'on') else 'false'}"
    return hint


def _other_shape(node: Node, wanted: set[str], types: Iterable[inspect.Type]) -> str:
    if "list" in wanted:
        return f"put it in brackets: [{node.text}]" if isinstance(node, Scalar) else ""
    needed = [f.encode_name for t in types if isinstance(t, inspect.StructType) for f in t.fields if f.required]
    if needed:
        return f"write its keys: {{{', '.join(f'{key}: ...' for key in needed)}}}"
    return "write `name: ...` on the lines below it, without `-`" if "keys" in wanted else ""


def _title(type_: inspect.Type) -> str:
    return str((type_.extra_json_schema or {}).get("title", "")) if isinstance(type_, inspect.Metadata) else ""


def _range(type_: Any) -> str:
    words = f" above {type_.gt:g}" if type_.gt is not None else ""
    if type_.ge is not None:
        words += f" from {type_.ge:g}" if type_.le is not None else f" of at least {type_.ge:g}"
    if type_.le is not None:
        words += f" to {type_.le:g}" if type_.ge is not None else f" of at most {type_.le:g}"
    return words + (f" below {type_.lt:g}" if type_.lt is not None else "")


def _form(type_: Any) -> str:
    words = ""
    if type_.max_length is not None:
        words += f" of {type_.min_length or 0} to {type_.max_length} characters"
    elif (type_.min_length or 0) > 1:
        words += f" of at least {type_.min_length} characters"
    return words + (f" of the form {type_.pattern}" if type_.pattern else "")
