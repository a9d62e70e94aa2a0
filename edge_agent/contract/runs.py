"""Sets of event numbers as runs: (first, count, skip, count, ...), a single number as (first,).

>>> pack_runs([7, 8, 9, 12])
(7, 3, 2, 1)
>>> list(ranges((7, 3, 2, 1)))
[(7, 9), (12, 12)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

MAX_NUMBERS = 100_000
"""More numbers than this in one message are not believed."""
MAX_RUNS = 1000
"""No message of a box has more runs; a single number is one, too."""
MAX_NUMBER = 2**53


def pack_runs(numbers: Iterable[int]) -> tuple[int, ...]:
    """Make runs of numbers that rise."""
    flat: list[int] = []
    last = None
    for number in numbers:
        if last is None:
            flat += (number, 1)
        elif number == last + 1:
            flat[-1] += 1
        else:
            flat += (number - last - 1, 1)
        last = number
    return tuple(flat[:1]) if flat[1:] == [1] else tuple(flat)


def pack_ranges(pairs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Make runs of (first, last) pairs that rise, do not overlap and do not touch."""
    flat: list[int] = []
    end = 0
    for first, last in pairs:
        flat += (first - end - 1 if flat else first, last - first + 1)
        end = last
    return tuple(flat[:1]) if flat[1:] == [1] else tuple(flat)


def ranges(runs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of every run.

    Raises ValueError for runs that do not rise, are empty or hold more than MAX_NUMBERS numbers.
    """
    if not runs or (len(runs) % 2 and len(runs) > 1):
        raise ValueError("runs must be one number or pairs")
    end, total = 0, 0
    for i in range(0, len(runs), 2):
        skip, count = runs[i], runs[i + 1] if len(runs) > 1 else 1
        first = end + skip + (1 if i else 0)
        if skip < 1 or count < 1:
            raise ValueError("runs must rise")
        end = first + count - 1
        total += count
        if total > MAX_NUMBERS or end > MAX_NUMBER:
            raise ValueError("runs hold too many or too large numbers")
        yield first, end


def numbers(runs: Sequence[int]) -> Iterator[int]:
    """Yield every number of the runs; raises ValueError as `ranges` does."""
    for first, last in ranges(runs):
        yield from range(first, last + 1)
