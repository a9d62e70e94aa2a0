"""The times of polls, of which none is given twice though the clock may be set back.

A point of a time series is known by its station and its time, and polls fall on whole seconds: after the clock was set
back, the polls of the same hours would fall on the very milliseconds of the first ones and take their place in every
store. So each time that the clock begins anew in hours that were polled before, the times there carry one millisecond
more (up to 999); where nothing was polled yet they are whole seconds again.

What the hours polled before are stands in a file of the state folder, an hour ahead, so that it is written once an hour
and a restart gives no time twice either: up to an hour after an agent was killed its times carry a millisecond more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge_agent.health import Health

AHEAD_MS = 3_600_000
SHIFTS = 999
"""No pace is less than a second, so a time with so many milliseconds more is never that of the next poll."""


class Given:
    """Up to when times have been given to any sensor of the station, and how often the clock began anew before that."""

    def __init__(self, file: Path | None, health: Health) -> None:
        """Without a file, as for a station that is only tried out, it lasts as long as the process."""
        self._file = file
        self._health = health
        self.until = self.begun_anew = self._newest = 0
        with suppress(OSError, ValueError):  # none yet, or damaged: then only this process knows
            if file is not None:
                until, begun_anew = map(int, file.read_text().split())
                self.until, self.begun_anew = max(0, until), max(0, begun_anew)

    def note(self, at: int, begun_anew: int) -> None:
        """A poll is given the time `at`; on disk when this returns, unless the disk is full."""
        self._newest = max(self._newest, at)
        if at > self.until or begun_anew > self.begun_anew:
            self.until = max(self.until, at + AHEAD_MS)
            self.begun_anew = max(self.begun_anew, begun_anew)
            self._write()

    def close(self) -> None:
        """Note just how far it came: the next start need not step aside."""
        if self._newest and self.until - self._newest <= AHEAD_MS:
            self.until = self._newest
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        draft = self._file.with_suffix(".new")
        try:
            with draft.open("w") as out:
                out.write(f"{self.until} {self.begun_anew}\n")
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self._file)
        except OSError:  # what goes wrong with the disk is said by the outbox
            self._health.count("clock.not_noted")


class Stamps:
    """Gives the polls of one sensor their times."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._highest = self._last = given.until
        self._begun_anew = given.begun_anew

    def give(self, due: int) -> int:
        """The time (ms) for a poll that is due at a whole second; never one that this sensor has had."""
        if due <= self._last:
            self._begun_anew += 1
        self._last = due
        fresh = due > self._highest
        self._highest = max(self._highest, due)
        self._given.note(due, self._begun_anew)
        return due if fresh else due + (self._begun_anew - 1) % SHIFTS + 1
