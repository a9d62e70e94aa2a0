"""Sets of whole numbers, as spans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """A set of numbers as sorted, separate [first, last] spans."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self.first: list[int] = []
        self.last: list[int] = []
        for first, last in sorted(spans):
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self.first, self.last, strict=True))

    def add(self, first: int, last: int) -> tuple[list[int], tuple[int, int]]:
        """Add a span; returns the firsts of the spans that it swallowed and the span that now holds it."""
        lo = bisect_left(self.last, first - 1)
        hi = bisect_right(self.first, last + 1)
        swallowed = self.first[lo:hi]
        if swallowed:
            first, last = min(first, swallowed[0]), max(last, self.last[hi - 1])
        self.first[lo:hi], self.last[lo:hi] = [first], [last]
        return swallowed, (first, last)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether the whole span is in the set."""
        i = bisect_left(self.last, first)
        return i < len(self.last) and self.first[i] <= first and last <= self.last[i]

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of the span that are not in the set."""
        parts = []
        for i in range(bisect_left(self.last, first), len(self.last)):
            if self.first[i] > last:
                break
            if self.first[i] > first:
                parts.append((first, self.first[i] - 1))
            first = self.last[i] + 1
        if first <= last:
            parts.append((first, last))
        return parts

    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self.last) - sum(self.first) + len(self.first)

    def gaps(self) -> list[tuple[int, int]]:
        """The holes from 1 to the highest number."""
        before = [0, *self.last[:-1]]
        return [(end + 1, first - 1) for end, first in zip(before, self.first, strict=True) if first > end + 1]
