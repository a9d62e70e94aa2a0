"""How a stretch of samples ends: what is remembered of it, for the samples that come behind."""

from __future__ import annotations

import msgspec

from collector.quality.attenuation import Window
from collector.quality.qartod import Floats


class Segment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The end of a stretch."""

    end: int
    """Time of the last sample, sound or not."""
    step: int
    """Time between the last two samples; 0 if there was only one."""
    tail: Floats
    windows: tuple[Window, ...]

    def jumps_to(self, first: int) -> bool:
        """Whether samples seem to lie between the end and what comes next: it is later than the pace lets expect."""
        return 0 < 1.5 * self.step < first - self.end
