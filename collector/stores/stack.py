"""Frames of one measurement stacked into one table; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.points import Column, Frame

_ABSENT: dict[str, Any] = {"f": np.nan, "u": 0, "i": 0, "b": False, "O": None}


class Stacked(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Points with all their columns, each point once."""

    tags: dict[str, NDArray[np.object_]]
    time: NDArray[np.int64]
    """Microseconds since 1970 in UTC."""
    fields: dict[str, NDArray[Any]]
    """By dtype kind: f float (NaN: absent), u codes (0: absent), i and b masked arrays, O text (None: absent)."""


def stack(frames: Sequence[Frame]) -> Stacked:
    """Stack frames that have the same tag names; of points that come twice, later fields replace earlier ones."""
    lengths = [len(frame.at) for frame in frames]
    total = sum(lengths)
    time = np.concatenate([frame.at for frame in frames]) * 1000
    data: dict[str, NDArray[Any]] = {}
    present: dict[str, NDArray[np.bool_]] = {}
    begin = 0
    for frame, length in zip(frames, lengths, strict=True):
        end = begin + length
        if frame.offset_ns is not None:
            time[begin:end] += frame.offset_ns // 1000
        for name, column in frame.fields.items():
            if name not in data:
                dtype = _dtype(column)
                data[name] = np.full(total, _ABSENT[dtype.kind], dtype)
                if dtype.kind in "ib":
                    present[name] = np.zeros(total, np.bool_)
            data[name][begin:end] = column
            if name in present:
                present[name][begin:end] = True
        begin = end
    tags = {name: _repeat([frame.tags[name] for frame in frames], lengths) for name in frames[0].tags}
    order, starts = _same(frames, lengths, time)
    if len(starts) < total:
        tags = {name: column[order][starts] for name, column in tags.items()}
        time = time[order][starts]
        for name, column in data.items():
            there = present.get(name, _present(column))[order]
            last = np.maximum.reduceat(np.where(there, np.arange(total), -1), starts)
            data[name] = np.where(last >= 0, column[order][last], _ABSENT[column.dtype.kind]).astype(column.dtype)
            if name in present:
                present[name] = last >= 0
    fields = {name: np.ma.array(c, mask=~present[name]) if name in present else c for name, c in data.items()}
    return Stacked(tags=tags, time=time, fields=fields)


def _dtype(column: Column) -> np.dtype[Any]:
    return np.dtype(object) if isinstance(column, list) else column.dtype


def _present(column: NDArray[Any]) -> NDArray[np.bool_]:
    there = ~np.isnan(column) if column.dtype.kind == "f" else column != _ABSENT[column.dtype.kind]
    return np.asarray(there, np.bool_)


def _repeat(values: list[str], lengths: list[int]) -> NDArray[np.object_]:
    return np.repeat(np.array(values, np.object_), lengths)


def _same(
    frames: Sequence[Frame], lengths: list[int], time: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """An order in which the rows of one point stand together, earlier ones first, and where each point begins."""
    codes: dict[str, int] = {}
    devices = [codes.setdefault(next(iter(frame.tags.values())), len(codes)) for frame in frames]
    device = np.repeat(np.array(devices, np.int64), lengths)
    order = np.lexsort((time, device))
    new = np.ones(len(time), np.bool_)
    new[1:] = (np.diff(device[order]) != 0) | (np.diff(time[order]) != 0)
    return order, np.flatnonzero(new)
