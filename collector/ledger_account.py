"""What the ledger says of one outbox: counts that add up, and holes and losses, as many as one can read.

A box may have a hundred thousand of each; then the newest are named, and all are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from collector.spans import Spans

SHOWN = 100
"""Of holes, losses and reasons."""


class LostRange(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a box reported as dropped, or that are missing of an outbox that is gone."""

    first: int
    last: int
    kind: str
    """Empty where nobody knows."""
    reason: str


class LostBy(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of a kind were lost for a reason."""

    kind: str
    """Empty where nobody knows."""
    reason: str
    events: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One outbox in the ledger; `highest == stored + lost + missing` holds always.

    Of ranges the newest are given, of reasons those of most events, SHOWN of each at most; a `_count` that is larger
    than its list says that there are more.
    """

    device: str
    outbox: int
    highest: int
    stored: int
    lost: int
    missing: int
    missing_ranges: tuple[tuple[int, int], ...]
    """Those of the highest numbers."""
    missing_ranges_count: int
    lost_ranges: tuple[LostRange, ...]
    """Those that the ledger learnt of last."""
    lost_ranges_count: int
    lost_by: tuple[LostBy, ...]
    lost_by_count: int


def account(device: str, outbox: int, spans: Spans, lost: Sequence[LostRange], gone: str | None) -> Account:
    """Put together what is known of an outbox: its numbers, what of them is lost, and why it is gone, if it is."""
    known_lost = Spans((entry.first, entry.last) for entry in lost).count()
    gaps = spans.gaps()
    missing = sum(last - first + 1 for first, last in gaps)
    stored, lost_count = spans.count() - known_lost, known_lost
    if gone is not None:
        lost = [*lost, *(LostRange(first=first, last=last, kind="", reason=gone) for first, last in gaps)]
        lost_count, missing, gaps = known_lost + missing, 0, []
    by: Counter[tuple[str, str]] = Counter()
    for entry in lost:
        by[entry.kind, entry.reason] += entry.last - entry.first + 1
    return Account(
        device=device,
        outbox=outbox,
        highest=spans.last[-1],
        stored=stored,
        lost=lost_count,
        missing=missing,
        missing_ranges=tuple(gaps[-SHOWN:]),
        missing_ranges_count=len(gaps),
        lost_ranges=tuple(lost[-SHOWN:]),
        lost_ranges_count=len(lost),
        lost_by=tuple(LostBy(kind=kind, reason=why, events=n) for (kind, why), n in by.most_common(SHOWN)),
        lost_by_count=len(by),
    )
