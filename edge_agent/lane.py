"""One of the two ways of events to the collector: what is fresh, or what is backlog. How far it has read the outbox."""

from __future__ import annotations

from dataclasses import dataclass, field

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
