"""Does anything move? Frames where nothing does are never read, which saves nearly all the work."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.settings import MotionSettings

ACROSS = 160
"""Points across that are compared; a motorcycle that fills 1/20 of the picture's width still covers 8."""


class MotionGate:
    """Compares each frame with the one before, a few thousand points of each; keeps only those points.

    Light that changes everywhere alike (a cloud, the camera's own exposure) is no motion: the middle change of all
    points is taken off first.
    """

    def __init__(self, settings: MotionSettings) -> None:
        self._settings = settings
        self._before: NDArray[np.int16] | None = None
        self._moved_at: int | None = None

    def moves(self, image: NDArray[np.uint8], at_ms: int) -> bool:
        """Tell whether this frame (BGR or grey) is to be read: something moves, or did within the hold time.

        The first frame moves, and so does one of another shape. `at_ms` may be any clock that counts milliseconds;
        after it was set back the hold time ends.
        """
        points = _points(image)
        before, self._before = self._before, points
        if self._settings.share <= 0 or before is None or before.shape != points.shape or self._changed(before, points):
            self._moved_at = at_ms
            return True
        return self._moved_at is not None and 0 <= at_ms - self._moved_at <= self._settings.hold_s * 1000

    def _changed(self, before: NDArray[np.int16], points: NDArray[np.int16]) -> bool:
        change = points - before
        change -= np.int16(np.median(change))
        changed = int(np.count_nonzero(np.abs(change) >= self._settings.levels))
        return 0 < changed >= self._settings.share * change.size


def _points(image: NDArray[np.uint8]) -> NDArray[np.int16]:
    """About 160 x 90 points of a frame as grey, each evened out with its eight neighbours: a third of the noise."""
    step = max(1, image.shape[1] // ACROSS)
    green = image[:, :, 1] if image.ndim == 3 else image  # green is most of what is bright, and needs no sum
    return np.asarray(cv2.blur(np.ascontiguousarray(green[::step, ::step]), (3, 3)), np.int16)
