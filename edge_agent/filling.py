"""How fast a box's outbox fills, over the last week in which its agent ran: a street is quiet at night.

The hours stand in a file of the state folder, so that a restart at night forgets no day.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HOURS = 7 * 24
KNOWN_AFTER_MS = 600_000
"""After so little time of running no rate is told."""

_decode = msgspec.json.Decoder(list[int]).decode


class Filling:
    """Bytes put, hour by hour."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hours: deque[int] = deque(maxlen=HOURS)
        self._bytes = self._ms = 0
        with suppress(OSError, msgspec.MsgspecError):  # none yet, or damaged: it is learnt anew
            self._hours.extend(size for size in _decode(file.read_bytes()) if size >= 0)

    def add(self, size: int, ms: int) -> None:
        """So many bytes were put in the last `ms` of running; once an hour that is written down."""
        self._bytes, self._ms = self._bytes + size, self._ms + ms
        if self._ms < HOUR_MS:
            return
        self._hours.append(self._bytes * HOUR_MS // self._ms)
        self._bytes = self._ms = 0
        draft = self._file.with_suffix(".new")
        with suppress(OSError):  # a full disk is said by the outbox
            draft.write_bytes(msgspec.json.encode(list(self._hours)))
            draft.replace(self._file)

    @property
    def bytes_a_day(self) -> int | None:
        """The rate; None until it is known."""
        ms = len(self._hours) * HOUR_MS + self._ms
        return (sum(self._hours) + self._bytes) * DAY_MS // ms if ms >= KNOWN_AFTER_MS else None

    def days_left(self, room: int) -> float | None:
        """For how long `room` bytes are enough; None while the rate is not known, or where nothing is put."""
        rate = self.bytes_a_day
        return round(max(0, room) / rate, 2) if rate else None
