"""The packs that are under way to the collector and have no receipt yet, by what a receipt names of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.contract.runs import ranges


@dataclass(kw_only=True)
class Flight:
    """A pack that is under way."""

    topic: str
    payload: bytes
    outbox: int
    runs: tuple[int, ...]
    fresh: bool
    lost_id: int | None = None
    attempt: int = 0
    again_at: float = 0.0


class Flights:
    """The window: no more packs than it takes are under way, in each of two lanes no more than half of them."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._all: dict[tuple[int, tuple[int, ...]], Flight] = {}

    def __iter__(self) -> Iterator[Flight]:
        return iter(list(self._all.values()))

    def add(self, flight: Flight) -> None:
        """It is sent, for the first time or again."""
        self._all[flight.outbox, flight.runs] = flight

    def has(self, outbox: int, runs: tuple[int, ...]) -> bool:
        """Whether a pack of these numbers is under way."""
        return (outbox, runs) in self._all

    def room(self, *, fresh: bool) -> bool:
        """Whether a lane may send one more, so that neither waits for the other."""
        under_way = sum(flight.fresh == fresh for flight in self._all.values())
        return under_way < max(1, self._window // 2) and len(self._all) < self._window

    def land(self, outbox: int, runs: tuple[int, ...], stored: Sequence[tuple[int, int]]) -> Flight | None:
        """A receipt came: take what it covers from the window; returns the pack of just these runs, if there is one."""
        flight = self._all.pop((outbox, runs), None)
        if flight is None:
            for key, other in list(self._all.items()):
                covered = (any(a <= first and last <= b for a, b in stored) for first, last in ranges(other.runs))
                if other.outbox == outbox and other.lost_id is None and all(covered):
                    del self._all[key]
        return flight

    def clear(self) -> None:
        """All of it may be lost."""
        self._all.clear()
