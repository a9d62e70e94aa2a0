"""Cuts a plate out of a frame, straightened, as the reader wants it: the training cuts its examples by this too."""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""Height x width x 3, blue green red."""
Corners = npt.NDArray[np.float32]
"""4 x 2: the corners of a plate's text in pixels (x, y): top left as it is read, then clockwise.

The top left pixel reaches from 0 to 1: coordinates scale with the picture."""

WIDTH, HEIGHT = 160, 64
"""A crop in pixels, whatever the shape of the plate."""
ASIDE = 0.12
"""Margin on the left and on the right, as a share of the text's width: corners are found with an error."""
ABOVE, ABOVE_TWO_LINES = 0.30, 0.18
"""Margin above and below, as a share of the text's height: of one line, of two lines together."""
MOST_SAMPLES = 8
"""A crop is sampled at most so finely across and down before it is averaged."""


def crop(frame: Image, quad: Corners, two_lines: bool) -> Image:
    """Give the plate with its margins, HEIGHT x WIDTH x 3; what lies outside the frame repeats the frame's edge.

    `quad` is convex and has an area. Where the plate is larger than the crop its pixels are averaged, not skipped.
    """
    inner = place(two_lines)
    # pixels of the frame for one of the crop
    across = max(math.dist(quad[0], quad[1]), math.dist(quad[3], quad[2])) / (inner[1, 0] - inner[0, 0])
    down = max(math.dist(quad[0], quad[3]), math.dist(quad[1], quad[2])) / (inner[3, 1] - inner[0, 1])
    samples = [min(MOST_SAMPLES, max(1, math.ceil(scale - 0.1))) for scale in (across, down)]
    half = np.float32(0.5)  # OpenCV counts from the middle of the first pixel
    matrix = cv2.getPerspectiveTransform(
        np.asarray(quad, np.float32) - half, inner * np.array(samples, np.float32) - half
    )
    size = (WIDTH * samples[0], HEIGHT * samples[1])
    straight = cv2.warpPerspective(frame, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cast(Image, cv2.resize(straight, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


def place(two_lines: bool) -> Corners:
    """Where the corners of the text lie in a crop."""
    above = ABOVE_TWO_LINES if two_lines else ABOVE
    left, top = WIDTH * ASIDE / (1 + 2 * ASIDE), HEIGHT * above / (1 + 2 * above)
    right, bottom = WIDTH - left, HEIGHT - top
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
