"""What a box knows of its own troubles: faults that last, counters that rise."""

from __future__ import annotations

import logging
from collections import Counter

from edge_agent.clock import Now, now_ms
from edge_agent.contract.events import Fault
from edge_agent.contract.pulse import Pulse

log = logging.getLogger(__name__)


class Health:
    """Faults and counters of one box; every part reports here, the heartbeat sends it.

    A fault is logged once when it starts and once when it ends, however often it is reported between.
    """

    def __init__(self, now: Now = now_ms) -> None:
        self._now = now
        self._faults: dict[str, Fault] = {}
        self.counters: Counter[str] = Counter()
        self.pulse = Pulse()
        """What the box's parts are at, with the time that they may take."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that last now, oldest first."""
        return tuple(self._faults.values())

    def fault(self, part: str, text: str) -> None:
        """Say that `part` (such as `line dust` or `camera`) does not work, and why."""
        known = self._faults.get(part)
        if known is None:
            log.warning("%s: %s", part, text)
        self._faults[part] = Fault(part=part, text=text, since=known.since if known else self._now())

    def clear(self, part: str) -> None:
        """Say that `part` works; harmless where no fault was known."""
        if self._faults.pop(part, None) is not None:
            log.info("%s: works again", part)

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter, such as `dust.wrong_checksum`."""
        self.counters[name] += n
