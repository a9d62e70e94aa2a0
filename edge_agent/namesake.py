"""Another box that uses this box's name: receipts come for what this one never made."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge_agent.health import Health

GRACE_S = 60.0
"""After a start receipts may still come for what was sent before it and is confirmed already."""
GONE_S = 900.0
"""Without such receipts for so long, the other is taken to be gone."""


class Namesake:
    """Tells the fault while receipts of another come. Both boxes deliver all that they have; only the name is wrong."""

    def __init__(self, device: str, ours: Iterable[int], health: Health, monotonic: Callable[[], float]) -> None:
        """`ours` are the outbox ids that this box has held since its start."""
        self._device = device
        self._ours = frozenset(ours)
        self._health = health
        self._monotonic = monotonic
        self._since = monotonic()
        self._heard_at: float | None = None

    def note(self, outbox: int) -> None:
        """A receipt came for an outbox that is not held now."""
        if outbox in self._ours:
            return
        self._health.count("uplink.foreign_receipts")
        if self._monotonic() - self._since < GRACE_S:
            return
        self._heard_at = self._monotonic()
        cure = "give each box a name of its own, or end the agent that was started twice"
        self._health.fault("name", f"another box uses the name {self._device}: receipts come for what it sent; {cure}")

    def look(self) -> None:
        """Clear the fault if nothing was heard for long."""
        if self._heard_at is not None and self._monotonic() - self._heard_at > GONE_S:
            self._heard_at = None
            self._health.clear("name")
