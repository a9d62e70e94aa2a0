"""Frames as InfluxDB line protocol, rendered by column; pure."""

from __future__ import annotations

import math
import re

from collector.points import Column, Frame

_SPECIAL = re.compile(r"([,= ])")
_NO_TAG = re.compile(r"[\\\x00-\x1f\x7f]|^$")


def lines(frame: Frame) -> list[str]:
    """One line for each point that has a field, with nanoseconds; absent and infinite values are left out.

    Line breaks in text become spaces, as not every server takes them. Raises ValueError for a tag that cannot be
    written.
    """
    head = ",".join((frame.measurement, *(f"{name}={_tag(frame.tags[name])}" for name in sorted(frame.tags)))) + " "
    times = frame.at * 1_000_000
    if frame.offset_ns is not None:
        times = times + frame.offset_ns
    cells = [_cells(name, column) for name, column in frame.fields.items()]
    points = zip(map(",".join, (filter(None, row) for row in zip(*cells, strict=True))), times.tolist(), strict=True)
    return [f"{head}{fields} {time}" for fields, time in points if fields]


def refuse(tag: str) -> None:
    """Raise ValueError for the value of a tag that no store takes."""
    if _NO_TAG.search(tag):
        raise ValueError(f"not a tag: {tag!r}")


def _tag(value: str) -> str:
    refuse(value)
    return _SPECIAL.sub(r"\\\1", value)


def _cells(name: str, column: Column) -> list[str]:
    """The column as `name=value`, empty where it has none."""
    if isinstance(column, list):
        return ["" if text is None else f'{name}="{_text(text)}"' for text in column]
    values = column.tolist()
    kind = column.dtype.kind
    if kind == "f":
        return [f"{name}={value!r}" if math.isfinite(value) else "" for value in values]
    if kind == "u":
        return [f"{name}={value}i" if value else "" for value in values]
    if kind == "b":
        return [f"{name}=true" if value else f"{name}=false" for value in values]
    return [f"{name}={value}i" for value in values]


def _text(text: str) -> str:
    return " ".join(text.splitlines()).replace("\\", "\\\\").replace('"', '\\"')
