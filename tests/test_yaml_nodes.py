"""YAML with places: what is read, what is refused and where, how levels join, and that no bytes break it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract.nodes import Mapping, Mark, locate, merge, walk
from edge_agent.contract.strict import plain
from edge_agent.contract.yaml_nodes import MAX_BYTES, MAX_DEPTH, parse_setting, parse_yaml


def parsed(text: str) -> Mapping:
    node, mistakes = parse_yaml(text.encode(), "f.yaml")
    assert node is not None, mistakes
    assert not mistakes
    return node


def only_mistake(text: str | bytes) -> tuple[int, int, str]:
    _, mistakes = parse_yaml(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    [mistake] = mistakes
    assert mistake.hint, mistake
    return mistake.line, mistake.column, mistake.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8N1", "8N1"), ("on", "on"), ("no", "no"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"), (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"),
        ("0123", 123), ("-5", -5), ("0x1F", 31), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0),
        ("true", True), ("False", False), ("null", None), ("~", None), ("'5'", "5"),
        ('"true"', "true"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert plain(parsed(f"a: {text}")) == {"a": value}


def test_every_part_knows_its_place() -> None:
    node = parsed("# first\nlines:\n  dust:\n    port: /dev/ttyS1\nvalues: [ph,  orp]\n")
    assert locate(node, ("lines", "dust", "port")) == Mark("f.yaml", 4, 11)
    assert locate(node, ("lines", "dust")) == Mark("f.yaml", 3, 3)
    assert locate(node, ("lines", "dust", "absent", "deeper")) == Mark("f.yaml", 3, 3)
    assert locate(node, ("values", 1)) == Mark("f.yaml", 5, 15)
    assert [path for path, _, _ in walk(node)] == [
        ("lines",), ("lines", "dust"), ("lines", "dust", "port"), ("values",), ("values", 0), ("values", 1),
    ]  # fmt: skip


def test_duplicate_keys_are_all_named_and_the_rest_is_read() -> None:
    node, mistakes = parse_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\na: 3\nd: 4\n", "f.yaml")
    assert [(m.line, m.column, m.path) for m in mistakes] == [(4, 3, "b.c"), (5, 1, "a")]
    assert node is not None
    assert plain(node) == {"a": 1, "b": {"c": 1}, "d": 4}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a:\n\tb: 1\n", 2, 1, "a tab stands here"),
        ("a: b: c", 1, 5, "a colon stands where none may"),
        ("a: 'x\nb: 1\n", 1, 4, "a quote is opened and never closed"),
        ("a: [1, 2\nb: 3", 1, 4, "a list or mapping in brackets is not closed"),
        ("a: 1\nb:\n   c: 1\n  d: 2", 4, 3, "the indentation does not fit the lines above"),
        ("a: *x", 1, 4, "*x names nothing"),
        ("a: &x [1, *x]", 1, 11, "*x names nothing"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document starts here"),
        ("? [a]\n: b", 1, 3, "a key must be plain text"),
        ("- a", 1, 1, "the file does not hold keys"),
        ("a: x\0y", 1, 5, "an unprintable character stands here"),
        ("a: !!python/object:os.system x", 1, 4, "tag tag:yaml.org,2002:python/object:os.system is not taken"),
        (b"a: 1\nb: \xff", 2, 4, "byte 0xff is not UTF-8"),
        ("[" * 100_000, 1, MAX_DEPTH + 2, f"values are nested more than {MAX_DEPTH} deep"),
        ("a" * (MAX_BYTES + 1), 1, 1, "the file is larger than 256 KiB"),
    ],
)
def test_what_is_refused(text: str | bytes, line: int, column: int, message: str) -> None:
    assert only_mistake(text) == (line, column, message)


def test_a_billion_laughs_are_counted_before_they_are_made() -> None:
    laughs = "l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n"
    laughs += "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 10))
    line, _, message = only_mistake(laughs)
    assert (line, message) == (5, "the file holds more than 20000 values")


def test_anchors_serve_inside_a_file() -> None:
    assert plain(parsed("a: &r {function: 3}\nb: *r\n")) == {"a": {"function": 3}, "b": {"function": 3}}


def test_levels_join_replace_and_remove() -> None:
    under = parsed("broker: {host: a, tls: {ca: x}}\nlist: [1, 2]\nkept: 1\ndust: {every_s: 60}\n")
    over = parsed("broker: {host: b, tls: null}\nlist: [3]\ndust:\nnew: null\n")
    # an empty value is a slip, not a wish to remove: it stays, and is named when the result is checked
    assert plain(merge(under, over)) == {
        "broker": {"host": "b"}, "list": [3], "kept": 1, "dust": None, "new": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("broker.port=1884", {"broker": {"port": 1884}}),
        ("a.b={c: [1, x]}", {"a": {"b": {"c": [1, "x"]}}}),
        ("a=b=c", {"a": "b=c"}),
        ("a='07'", {"a": "07"}),
        ("a=", {"a": ""}),
        ("tls=null", {"tls": None}),
    ],
)
def test_settings_from_the_command_line(setting: str, value: object) -> None:
    node, mistakes = parse_setting(setting)
    assert node is not None
    assert not mistakes
    assert plain(node) == value
    assert node.at.file == f"--set {setting}"


@pytest.mark.parametrize("setting", ["a", "=1", "a..b=1", "a.=1", "a={", "a=[1"])
def test_broken_settings_are_named(setting: str) -> None:
    node, [mistake] = parse_setting(setting)
    assert node is None
    assert mistake.file == f"--set {setting}"
    assert mistake.hint


@given(st.one_of(st.binary(max_size=200), st.text("{}[]&*!|>'\"%@`-:#?,ab01 \n\t", max_size=200).map(str.encode)))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    node, mistakes = parse_yaml(data, "f.yaml")
    assert node is not None or mistakes
    for mistake in mistakes:
        assert (
            1
            <= mistake.line
            <= data.count(b"\n") + data.count(b"\r") + data.decode("utf-8", "replace").count("\x85") + 300
        )
        assert mistake.column >= 1
