"""Interface counters from /proc/net/dev, and what two readings of a counter mean."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.errors import FrameError

WRAP = 2**32
"""Where the counters of 32-bit kernels and of many drivers begin again."""


class Counters(NamedTuple):
    """Bytes since the interface came up."""

    rx: int
    """Received by the interface: from the clients."""
    tx: int


def parse(text: str) -> dict[str, Counters]:
    """Counters by interface from the text of /proc/net/dev. Raises FrameError.

    After two lines of headings each line is `name:` and 16 numbers, of which the first is received bytes and the
    ninth sent bytes; the first number may touch the colon.
    """
    found: dict[str, Counters] = {}
    for line in text.splitlines()[2:]:
        name, colon, rest = line.rpartition(":")
        numbers = rest.split()
        if not colon or len(numbers) < 16 or not (numbers[0] + numbers[8]).isdecimal():
            raise FrameError(f"interface counters: {line.strip()[:60]!r} is not `name:` and 16 numbers")
        found[name.strip()] = Counters(int(numbers[0]), int(numbers[8]))
    return found


def grown(before: int, now: int) -> int:
    """By how much a counter rose between two readings.

    A counter that fell began again at 0: by wrapping at 2**32 if it stood in the last quarter before and stands in
    the first now, else by a reset, after which what it shows has been counted since.
    """
    if now >= before:
        return now - before
    if WRAP * 3 // 4 <= before < WRAP and now < WRAP // 4:
        return now + WRAP - before
    return now
