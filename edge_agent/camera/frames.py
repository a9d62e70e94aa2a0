"""Frames of a camera: the newest whenever one is asked for, through every loss of the source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from edge_agent.camera.reading import Frame, Reader
from edge_agent.camera.settings import CameraSettings
from edge_agent.camera.sources import CameraError, is_live, recorded
from edge_agent.clock import Now, now_ms
from edge_agent.errors import FrameError
from edge_agent.health import Health

__all__ = ["Camera", "CameraError", "Frame", "read_all"]

log = logging.getLogger(__name__)

PART = "camera"
PICTURES_PER_S = 5.0
LEAVE_S = 1.0
"""How long leaving waits for the thread; one that hangs in a dead stream ends later, within the stream's time limit."""
GRACE_S = 1.0
"""How much later than its own limits the thread may report before it counts as hanging, as in a look-up of a name."""


def read_all(path: Path, now: Now = now_ms) -> Iterator[Frame]:
    """Every frame of a video file or folder (as if five pictures a second), at once; damaged ones are left out.

    A video that is cut short ends early. Raises CameraError where nothing can be read at all.
    """
    start = now()
    for shot in recorded(path, PICTURES_PER_S):
        position = shot.position_s or 0.0
        try:
            yield Frame(image=shot.image(), at=start + round(position * 1000), position_s=position)
        except FrameError as error:
            log.warning("left out: %s", error)


class Camera:
    """The frames of one source, newest first served: what comes while nobody asks is passed over, nothing waits.

        async with Camera(settings, health) as camera:
            async for frame in camera: ...

    At most `frames_per_s` are given; files play at their own pace and end unless `loop` is set. A source that fails
    is the fault `camera` until its next frame and is opened anew every `reopen_s`. Counts camera.lost,
    camera.reopened and camera.bad_frames. One task may iterate.
    """

    def __init__(self, settings: CameraSettings, health: Health, now: Now = now_ms) -> None:
        self._settings = settings
        self._health = health
        self._reader = Reader(settings, now, self)
        self._running = False
        self._lost = False
        self._next: asyncio.Future[Frame | None] | None = None
        self._ended = asyncio.Event()
        self._bug: Exception | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.stop()
        if self._running:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LEAVE_S)
                self._reader.join()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """Wait for the next frame; what the thread did not foresee is raised here."""
        frame = None if self._ended.is_set() else await self._newest()
        if frame is None:
            raise self._bug or StopAsyncIteration
        return frame

    async def _newest(self) -> Frame | None:
        """The first frame from now on; None after the last."""
        self._next = asyncio.get_running_loop().create_future()
        self._reader.wanted.set()
        if not self._running:  # only now, so that a short file is not over before anybody looks
            self._running = True
            self._reader.begin()
        try:
            while not (await asyncio.wait([self._next], timeout=self._patience_s()))[0]:
                self.lost(f"{self._settings.source}: no answer at all; is the network up? · còn mạng không?")
            return self._next.result()
        finally:
            self._reader.wanted.clear()
            self._next = None

    def _patience_s(self) -> float | None:
        settings = self._settings
        if self._lost or not is_live(settings.source):
            return None
        return max(settings.open_timeout_s, settings.read_timeout_s) + 1 / settings.frames_per_s + GRACE_S

    # What the reader has to say.

    def came(self, frame: Frame) -> None:
        """Hand out a frame; it is dropped if nobody waits any more."""
        if self._lost:
            self._lost = False
            self._health.count("camera.reopened")
        self._health.clear(PART)
        if self._next is not None and not self._next.done():
            self._next.set_result(frame)

    def bad(self) -> None:
        """Count a damaged frame."""
        self._health.count("camera.bad_frames")

    def lost(self, why: str) -> None:
        """Say that no frames come."""
        if not self._lost:
            self._lost = True
            self._health.count("camera.lost")
        self._health.fault(PART, why)

    def ended(self, bug: Exception | None) -> None:
        """Wake who waits for a frame that will not come, and who waits for the thread."""
        self._bug = bug
        self._ended.set()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
