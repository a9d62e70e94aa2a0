"""What a VictoriaMetrics server was started with, where it decides what it keeps; pure.

It answers yes for a point outside of its retention, and drops it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from collector.points import Frame

DAY_S = 86_400
MARGIN_S = 60
"""What would be dropped so soon is refused already; clocks differ by less."""
_UNITS = {"": 31 * DAY_S, "M": 31 * DAY_S, "h": 3600, "d": DAY_S, "w": 7 * DAY_S, "y": 365 * DAY_S}
_FLAG = re.compile(r'^-(retentionPeriod|futureRetention)="?(\d+(?:\.\d+)?)([a-zA-Z]*)"?$', re.MULTILINE)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """How far back and ahead points are kept, in seconds; by default a month and two days."""

    back: float = 31 * DAY_S
    ahead: float = 2 * DAY_S

    def refuses(self, frames: Sequence[Frame], now: float) -> str:
        """Why one of these would be dropped at `now` (seconds since 1970); empty if none would be."""
        first, last = (now - self.back + MARGIN_S) * 1000, (now + self.ahead - MARGIN_S) * 1000
        for frame in frames:
            if len(frame.at) and not (first <= frame.at.min() and frame.at.max() <= last):
                if frame.at.min() < first:
                    return f"keeps {self.back / DAY_S:.0f} days (-retentionPeriod); this is older"
                return (
                    f"takes nothing that lies more than {self.ahead / DAY_S:.0f} days ahead; is the box's clock right?"
                )
        return ""


def span(flags: str) -> Span:
    """Read the answer of `/flags`, which lists what differs from the defaults."""
    given = {name: float(number) * _UNITS[unit] for name, number, unit in _FLAG.findall(flags) if unit in _UNITS}
    default = Span()
    return Span(back=given.get("retentionPeriod", default.back), ahead=given.get("futureRetention", default.ahead))
