"""Strict checking: every kind of type, every mistake at its place, all at once, and agreement with msgspec itself."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from edge_agent.contract.nodes import Entry as Pair
from edge_agent.contract.nodes import Mapping, Mark, Mistake, Node, Scalar, Sequence
from edge_agent.contract.strict import build, plain
from edge_agent.contract.yaml_nodes import parse_yaml


class Parity(Enum):
    NONE = "N"
    EVEN = "E"


class Serial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="serial"):
    port: str
    baud: Literal[9600, 19200] = 9600


class Tcp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tcp"):
    host: Annotated[str, Meta(min_length=1, max_length=5)]
    port: Annotated[int, Meta(ge=1, le=65535, description="Where it listens")] = 502


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"high is not above low ({self.low:g})")


class Everything(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[a-z]+$", title="lower-case letters")]
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    loud: bool = False
    parity: Parity = Parity.NONE
    lines: dict[str, Serial | Tcp] = {}
    codes: dict[int, Literal["ok", "bad"]] = {}
    values: tuple[Annotated[int, Meta(ge=0)], ...] = ()
    pair: tuple[int, str] | None = None
    window: Window | None = None
    limit: float | None = None
    either: int | str = 0
    names: Annotated[list[str], Meta(max_length=2)] = []
    sets: frozenset[str] = frozenset()
    free: Any = None


def check(text: str, *, partial: bool = False) -> tuple[Everything | None, list[Mistake]]:
    node, mistakes = parse_yaml(text.encode(), "f.yaml")
    assert node is not None
    assert not mistakes
    return build(node, Everything, partial=partial)


def test_a_right_file_becomes_what_msgspec_would_make() -> None:
    text = """
name: abc
count: 3
share: 0.25
loud: true
parity: E
lines: {a: {kind: serial, port: x, baud: 19200}, b: {kind: tcp, host: h}}
codes: {0: ok, 17: bad}
values: [1, 2]
pair: [1, x]
window: {low: 1, high: 2.5}
limit: null
either: text
names: [a, b]
sets: [a, a]
free: {anything: [1, {at: all}]}
"""
    value, mistakes = check(text)
    assert mistakes == []
    node, _ = parse_yaml(text.encode(), "f.yaml")
    assert node is not None
    assert value == msgspec.convert(plain(node), Everything, str_keys=True)


@pytest.mark.parametrize(
    ("text", "place", "path", "message", "hint"),
    [
        ("name: abc\ncuont: 3", (2, 1), "cuont", "unknown key 'cuont'", "did you mean 'count'?"),
        ("name: Abc", (1, 7), "name", "expected lower-case letters, got 'Abc'", ""),
        ("name: 12", (1, 7), "name", "expected lower-case letters, got 12", 'put it in quotes: "12"'),
        ("name: a\ncount: 10", (2, 8), "count", "expected a whole number from 1 to 9, got 10", ""),
        ("name: a\ncount: 1.5", (2, 8), "count", "expected a whole number from 1 to 9, got 1.5", ""),
        ("name: a\ncount: '5'", (2, 8), "count", "expected a whole number from 1 to 9, got '5'", "remove the quotes"),
        ("name: a\ncount: true", (2, 8), "count", "expected a whole number from 1 to 9, got true", ""),
        ("name: a\nshare: 1", (2, 8), "share", "expected a number above 0 below 1, got 1", ""),
        ("name: a\nshare: 0,5", (2, 8), "share", "expected a number above 0 below 1, got '0,5'",
         "write a point for the decimals: 0.5"),
        ("name: a\nshare: .nan", (2, 8), "share", "expected a number above 0 below 1, got '.nan'", ""),
        ("name: a\nloud: yes", (2, 7), "loud", "expected true or false, got 'yes'", "write true"),
        ("name: a\nparity: O", (2, 9), "parity", "expected one of N, E, got 'O'", "known are: E, N"),
        ("name: a\nlines:\n  a: {kind: serail, port: x}", (3, 13), "lines.a.kind", "unknown kind 'serail'",
         "did you mean 'serial'?"),
        ("name: a\nlines:\n  a: {kind: [tcp]}", (3, 13), "lines.a.kind", "expected one of serial, tcp, got a list", ""),
        ("name: a\nwindow: 2", (2, 9), "window", "expected keys below it, got 2",
         "write its keys: {low: ..., high: ...}"),
        ("name: a\nlines:\n  a: {port: x}", (3, 3), "lines.a", "missing key 'kind'",
         "add `kind:` with one of: serial, tcp"),
        ("name: a\nlines:\n  a: {kind: serial}", (3, 3), "lines.a", "missing key 'port'",
         "add `port: <text>` under lines.a in f.yaml"),
        ("name: a\nlines:\n  a: {kind: tcp, host: toolong}", (3, 24), "lines.a.host",
         "expected text of 1 to 5 characters, got 'toolong'", ""),
        ("name: a\nlines:\n  a: {kind: tcp, host: h, port: 0}", (3, 33), "lines.a.port",
         "expected a whole number from 1 to 65535, got 0", "Where it listens"),
        ("name: a\nlines: [1]", (2, 1), "lines", "expected keys below it, got a list",
         "write `name: ...` on the lines below it, without `-`"),
        ("name: a\ncodes: {x: ok}", (2, 9), "codes.x", "expected a whole number, got 'x'", ""),
        ("name: a\ncodes: {1: okk}", (2, 12), "codes.1", "expected one of bad, ok, got 'okk'", "did you mean 'ok'?"),
        ("name: a\nvalues: [1, -1]", (2, 13), "values[1]", "expected a whole number of at least 0, got -1", ""),
        ("name: a\nvalues: 1", (2, 9), "values", "expected a list of a whole number of at least 0, got 1",
         "put it in brackets: [1]"),
        ("name: a\npair: [1]", (2, 1), "pair", "expected a list of 2: [a whole number, text], got a list", ""),
        ("name: a\nwindow: {low: 2, high: 1}", (2, 24), "window.high", "high is not above low (2)", ""),
        ("name: a\nwindow: {low: 2}", (2, 1), "window", "missing key 'high'",
         "add `high: <a number>` under window in f.yaml"),
        ("name: a\nlimit: x", (2, 8), "limit", "expected a number, got 'x'", ""),
        ("name: a\nlimit:", (2, 1), "limit", "nothing stands after the key", "write a number, or remove the key"),
        ("name: a\neither: [1]", (2, 1), "either", "expected a whole number or text, got a list", ""),
        ("name: a\nnames: [a, b, c]", (2, 1), "names", "expected at most 2 entries, got 3", ""),
        ("count: 2", (1, 1), "", "missing key 'name'", "add `name: <lower-case letters>` at the top in f.yaml"),
    ],
)  # fmt: skip
def test_each_mistake_is_placed_and_cured(
    text: str, place: tuple[int, int], path: str, message: str, hint: str
) -> None:
    _, mistakes = check(text)
    assert [(m.file, (m.line, m.column), m.path, m.message, m.hint) for m in mistakes] == [
        ("f.yaml", place, path, message, hint)
    ]


def test_all_mistakes_come_at_once_and_the_sound_rest_is_built() -> None:
    value, mistakes = check(
        "name: a\ncount: x\nlines:\n  good: {kind: tcp, host: h}\n  bad: {kind: tcp}\nwindow: {low: 2, hihg: 3}\n"
    )
    assert [m.line for m in mistakes] == [2, 5, 6, 6]
    assert value is not None
    assert value.count == 1
    assert list(value.lines) == ["good"]
    assert value.window is None


def test_a_partial_file_may_leave_keys_out_but_not_misspell_them() -> None:
    _, mistakes = check("lines: {a: {port: 1}}\nwindow: {hihg: 3}", partial=True)
    assert [m.message for m in mistakes] == ["unknown key 'hihg'"]


def test_a_type_that_is_not_known_is_a_bug_and_not_a_mistake() -> None:
    class Bytes(msgspec.Struct):
        data: bytes

    node, _ = parse_yaml(b"data: x", "f.yaml")
    assert node is not None
    with pytest.raises(TypeError, match="data"):
        build(node, Bytes)


HERE = Mark("f.yaml", 1, 1)


def as_node(value: Any) -> Node:
    if isinstance(value, dict):
        return Mapping(HERE, {key: Pair(HERE, as_node(below)) for key, below in value.items()})
    if isinstance(value, list):
        return Sequence(HERE, tuple(as_node(item) for item in value))
    return Scalar(HERE, value, str(value) or "''")


scalars = (
    st.none() | st.booleans() | st.integers(-2, 11) | st.floats(-1, 2) | st.sampled_from(["a", "N", "ok", "tcp", ""])
)
fields = st.sampled_from([*Everything.__struct_fields__, "kind", "host", "port", "low", "high", "1"])
trees = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(fields, below, max_size=4))


@given(st.dictionaries(fields, trees, max_size=6), st.booleans())
def test_it_accepts_what_msgspec_accepts_and_nothing_else(data: dict[str, Any], named: bool) -> None:
    data = data | {"name": "abc"} if named else data
    value, mistakes = build(as_node(data), Everything)
    try:
        expected = msgspec.convert(data, Everything, str_keys=True)
    except msgspec.ValidationError:
        assert mistakes
    else:
        assert mistakes == []
        assert value == expected
