"""One of the two ways of events to the collector: what is fresh, or what is backlog. How far it has read the outbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32

GATHERED = "readings"


@dataclass
class Lane:
    """How far a lane has read the outbox, for each kind."""

    before: int
    """Numbers from here on are not this lane's."""
    after: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    """Kinds that this lane has read to its end; only the fresh lane gets more."""
    gathered_at: float | None = None
    """When the readings that wait for others are to go."""

    def gathers(self, kind: str, now: float, gather_s: float) -> bool:
        """Tell whether events of a kind still wait for others; alone, each would cost far more on the wire."""
        if kind != GATHERED or kind in self.done:
            return False
        if self.gathered_at is None:
            self.gathered_at = now + gather_s
        return now < self.gathered_at

    def found_no_more(self, kind: str) -> None:
        """All that was there of a kind is on its way; what comes next waits anew."""
        if kind == GATHERED:
            self.gathered_at = None


def own_part(device: str) -> float:
    """A box's own part of the time that readings may wait, 0.2 to 1, always the same.

    All boxes measure on the same second; so they do not all send on the same second.
    """
    return 0.2 + 0.8 * crc32(device.encode()) / 2**32
