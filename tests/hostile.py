"""Hostile bytes for the contract's readers: real messages, changed where it hurts."""

from __future__ import annotations

import copy
import os
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

BUDGET = int(os.environ.get("FUZZ_EXAMPLES", "300"))
"""Inputs for each test; a night's run sets some 100,000."""
FUZZ = settings(
    max_examples=BUDGET, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)

EDGES = (0, 1, -1, 127, 2**31, 2**32 - 1, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
LEAVES = (
    st.sampled_from(EDGES)
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from(
        ["", "\0", "a\0b", "\ud7ff\ufdd0", "<script>alert(1)</script>", "x" * 5_000, "\r\nSet-Cookie: a=b"]
    )
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.none()
    | st.booleans()
    | st.sampled_from([[], {}, [[]], {"a": 1}, [[[[[]]]]], {1: 2}, [None] * 1_000, [2**62, 2**62] * 50])
)
DEEP = b"\x91" * 100_000
"""A list in a list in a list."""
HUGE = (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff")
"""Heads of an array, a map, bytes and a text of four thousand million."""


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in below:
        found += _paths(child, (*path, step))
    return found


@st.composite
def changed(draw: st.DrawFn, messages: list[bytes]) -> bytes:
    """One of the messages with some parts replaced, left out, doubled or laid deeper, or with some bytes changed."""
    payload = draw(st.sampled_from(messages))
    if draw(st.integers(0, 4)) == 0:
        return draw(_bytes_changed(payload))
    value = copy.deepcopy(msgspec.msgpack.decode(payload))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(value)[1:] or [()]))
        if not path:
            return msgspec.msgpack.encode(draw(LEAVES))
        parent = value
        for step in path[:-1]:
            parent = parent[step]
        how = draw(st.integers(0, 5))
        if how == 0 and isinstance(parent, list):
            del parent[path[-1]]
        elif how == 1 and isinstance(parent, list):
            parent.insert(path[-1], copy.deepcopy(parent[path[-1]]))
        elif how == 2:
            parent[path[-1]] = [parent[path[-1]]]
        elif how == 3 and isinstance(parent, list):
            parent.append(copy.deepcopy(draw(LEAVES)))
        else:
            parent[path[-1]] = copy.deepcopy(draw(LEAVES))
    return msgspec.msgpack.encode(value)


@st.composite
def _bytes_changed(draw: st.DrawFn, payload: bytes) -> bytes:
    at = draw(st.integers(0, len(payload)))
    how = draw(st.integers(0, 3))
    if how == 0:
        return payload[:at]
    if how == 1:
        return payload[:at] + draw(st.binary(max_size=8)) + payload[at:]
    if how == 2:
        return payload[:at] + draw(st.sampled_from(HUGE)) + payload[at:]
    return payload[:at] + draw(st.binary(min_size=1, max_size=4)) + payload[at + 1 :]
