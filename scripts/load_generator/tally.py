"""What the boxes sent and what became of it."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict

import msgspec

from edge_agent.contract.events import PRIORITY


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took, in seconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a run; packs by kind, times in seconds."""

    boxes: int
    minutes: float
    events: int
    """Made by the boxes, the backlog included."""
    packs: dict[str, int]
    """Sent for the first time."""
    confirmed: dict[str, int]
    resent: dict[str, int]
    megabytes: float
    """Of all payloads that were sent."""
    receipts: dict[str, Waits]
    """From the first publishing of a pack to its receipt."""
    delays: dict[str, Waits]
    """From the making of an event while the box ran to its deletion, which happens once a second."""
    not_confirmed: int
    """Events that still wait in the end."""
    connections_lost: int
    failures: dict[str, int]
    """Connections that could not be made, by reason."""


class Tally:
    """Counters of all boxes together; everything happens in one event loop."""

    def __init__(self) -> None:
        self.connected = 0
        self.lost_connections = 0
        self.events = 0
        self.waiting = 0
        self.bytes = 0
        self.packs: Counter[str] = Counter()
        self.confirmations: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.newest: dict[int, float] = {}
        """When the newest stored sample of each outbox was made, by the monotonic clock."""
        self._receipts: defaultdict[str, array[float]] = defaultdict(lambda: array("f"))
        self._delays: defaultdict[str, array[float]] = defaultdict(lambda: array("f"))

    def sent(self, kind: str, size: int, *, again: bool) -> None:
        """A pack was published."""
        (self.resent if again else self.packs)[kind] += 1
        self.bytes += size

    def confirmed(self, kind: str, seconds: float) -> None:
        """The receipt of a pack came so long after its first publishing."""
        self.confirmations[kind] += 1
        self._receipts[kind].append(seconds)

    def deleted(self, kind: str, seconds: float) -> None:
        """A box deleted an event that it made so long ago."""
        self._delays[kind].append(seconds)

    def receipts_of(self, kind: str) -> array[float]:
        """How long each pack of a kind has waited for its receipt, in the order in which they came."""
        return self._receipts[kind]

    def failed(self, error: Exception) -> None:
        """A connection could not be made."""
        self.failures[str(getattr(error, "strerror", None) or error)] += 1

    def result(self, boxes: int, minutes: float) -> Result:
        """Everything so far."""
        return Result(
            boxes=boxes,
            minutes=round(minutes, 2),
            events=self.events,
            packs=_by_priority(self.packs),
            confirmed=_by_priority(self.confirmations),
            resent=_by_priority(self.resent),
            megabytes=round(self.bytes / 1e6, 2),
            receipts={kind: waits(values) for kind, values in self._receipts.items() if values},
            delays={kind: waits(values) for kind, values in self._delays.items()},
            not_confirmed=self.waiting,
            connections_lost=self.lost_connections,
            failures=dict(self.failures),
        )


def waits(values: array[float]) -> Waits:
    """The quantiles of at least one value."""
    ordered = sorted(values)
    p50, p95, p99 = (round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 4) for q in (0.5, 0.95, 0.99))
    return Waits(count=len(ordered), p50=p50, p95=p95, p99=p99, max=round(ordered[-1], 4))


def _by_priority(counts: Counter[str]) -> dict[str, int]:
    return {kind: counts[kind] for kind in (*PRIORITY, "lost") if counts[kind]}
