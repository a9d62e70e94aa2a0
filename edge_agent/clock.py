"""Time, passed in so that tests can hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta, timezone

from edge_agent.contract.packs import MAX_TIME

Now = Callable[[], int]
"""Gives milliseconds since 1970 in UTC."""

LOCAL = timezone(timedelta(hours=7))
"""The island's; there is no summer time."""

SANE_SINCE = 1_767_225_600_000
"""2026-01-01 UTC: a box whose clock shows less has not learnt the time yet (no battery, no network)."""


def now_ms() -> int:
    """Milliseconds since 1970 in UTC, from the system's clock."""
    return time.time_ns() // 1_000_000


def is_sane(ms: int) -> bool:
    """Tell whether a time can be right: the clock has been set since the box booted, and not to what nobody takes."""
    return SANE_SINCE <= ms <= MAX_TIME
