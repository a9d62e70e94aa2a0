"""What the stream remembers, and how it forgets what was not stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """A mapping to values that never change themselves, which can go back to how it was at the last `keep`."""

    def __init__(self) -> None:
        self._now: dict[K, V] = {}
        self._before: dict[K, V | None] = {}
        """What changed since the last `keep`; None for what is new."""

    def get(self, key: K) -> V | None:
        """The value, or None."""
        return self._now.get(key)

    def set(self, key: K, value: V) -> None:
        """Remember, until the next `undo` at least."""
        self._before.setdefault(key, self._now.get(key))
        self._now[key] = value

    def forget(self, key: K) -> None:
        """Forget for good: no `undo` brings it back."""
        self._now.pop(key, None)
        self._before.pop(key, None)

    def keep(self) -> None:
        """Let no later `undo` go further back than this."""
        self._before.clear()

    def undo(self) -> None:
        """Be again as at the last `keep`."""
        for key, value in self._before.items():
            if value is None:
                self._now.pop(key, None)
            else:
                self._now[key] = value
        self._before.clear()

    def items(self) -> Iterator[tuple[K, V]]:
        """Everything that is remembered."""
        yield from self._now.items()
