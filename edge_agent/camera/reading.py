"""The thread that reads a source: all that OpenCV makes wait waits here, and nothing piles up."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from edge_agent.camera.pictures import Image
from edge_agent.camera.settings import CameraSettings
from edge_agent.camera.sources import CameraError, Shot, shots
from edge_agent.clock import Now
from edge_agent.errors import FrameError

log = logging.getLogger(__name__)

SLACK = 0.25
"""Share of the pause between frames by which one may come early: else a camera of just that rate loses every second."""
LONGEST_PAUSE_S = 5.0
"""A file whose times jump further ahead just plays on."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frame:
    """One picture of the street."""

    image: Image
    """Height x width x 3, blue green red; nobody else writes into it."""
    at: int
    """Milliseconds since 1970 in UTC: when it came; of a file that is read unpaced, now plus its position."""
    position_s: float | None
    """Seconds from the start of the file or folder; None where live."""


class Listener(Protocol):
    """Whom the thread tells, always in the loop's own thread."""

    def came(self, frame: Frame) -> None:
        """A frame, once each time that one was wanted."""

    def bad(self) -> None:
        """A damaged frame was left out."""

    def lost(self, why: str) -> None:
        """The source gives no frames; it is opened anew after a pause."""

    def ended(self, bug: Exception | None) -> None:
        """The thread's last words: told to stop, at the end of a file, or by an error that nobody foresaw."""


class Reader:
    """Reads a source until told to stop; begins with `begin`."""

    def __init__(self, settings: CameraSettings, now: Now, listener: Listener) -> None:
        self.wanted = threading.Event()
        """Whether somebody waits for a frame; only then is one made an image. Set from outside, cleared here."""
        self._settings = settings
        self._now = now
        self._listener = listener
        self._stop = threading.Event()
        self._period_s = 1 / settings.frames_per_s
        self._due = float("-inf")
        self._complaint = ""

    def begin(self) -> None:
        """Start the thread; its news goes to the running loop. Not a daemon: OpenCV must not be cut off half-way."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="camera")
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end: at once, or where it waits for a dead stream, within that one's time limit."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the thread; a moment where it has said that it ended."""
        self._thread.join()

    def _run(self) -> None:
        bug = None
        try:
            while not self._stop.is_set():
                try:
                    with closing(shots(self._settings)) as found:
                        self._play(found)
                except CameraError as error:
                    self._tell(self._listener.lost, str(error))
                    self._stop.wait(self._settings.reopen_s)
                else:
                    if not self._settings.loop:
                        break
        except Exception as error:
            bug = error
        self._tell(self._listener.ended, bug)

    def _play(self, found: Iterator[Shot]) -> None:
        """One pass from opening to the end; a file is paced, and its last frame stands as long as the one before."""
        started = time.monotonic()
        position, step = 0.0, self._period_s
        for shot in found:
            if shot.position_s is not None:
                step, position = (shot.position_s - position) or step, shot.position_s
                started = self._pause_until(started, position)
            if self._stop.is_set():
                return
            self._offer(shot)
        self._pause_until(started, position + step)

    def _pause_until(self, started: float, position_s: float) -> float:
        """Wait until a position is due; returns when the file started, moved where its times jump."""
        pause = started + position_s - time.monotonic()
        if pause > 0:
            self._stop.wait(min(pause, LONGEST_PAUSE_S))
        return started - max(0.0, pause - LONGEST_PAUSE_S)

    def _offer(self, shot: Shot) -> None:
        now = time.monotonic()
        if not self.wanted.is_set() or now < self._due - SLACK * self._period_s:
            return
        at = self._now()
        try:
            image = shot.image()
        except FrameError as error:
            if self._complaint != str(error):
                self._complaint = str(error)
                log.warning("left out: %s", error)
            self._tell(self._listener.bad)
            return
        self._due = max(self._due, now - SLACK * self._period_s) + self._period_s
        self.wanted.clear()
        self._tell(self._listener.came, Frame(image=image, at=at, position_s=shot.position_s))

    def _tell(self, what: Callable[..., None], *news: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *news)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stop.set()
