"""Time, passed in so that tests can hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta, timezone

from edge_agent.contract.sane import is_sane

Now = Callable[[], int]
"""Gives milliseconds since 1970 in UTC."""

LOCAL = timezone(timedelta(hours=7))
"""The island's; there is no summer time."""


def steady_ms() -> int:
    """Milliseconds since the machine started; nobody sets this clock, and it goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Clock:
    """The system's clock in milliseconds since 1970 UTC, as long as it can be right.

    Where it was right and then shows a time that cannot be (somebody set it to 1970, a battery failed), the time goes
    on from where it was right, so that events keep a stamp that can be stored.
    """

    def __init__(self, system: Now = lambda: time.time_ns() // 1_000_000, steady: Now = steady_ms) -> None:
        self.system = system
        """May be replaced by who plays a clock that is set."""
        self._steady = steady
        self._ahead: int | None = None
        """The system's clock less the steady one, when it was right last."""

    def __call__(self) -> int:
        shown = self.system()
        if is_sane(shown):
            self._ahead = shown - self._steady()
        elif self._ahead is not None:
            return self._ahead + self._steady()
        return shown


now_ms = Clock()
"""Milliseconds since 1970 in UTC: one clock for all parts of an agent."""
