"""The ground colour of a plate: what most of its surface shows once the ink is left aside."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.contract.events import Colour

SAMPLE = (64, 32)
COLOURED = 80
"""Least saturation of paint; white in warm evening light stays below."""
HUES: tuple[tuple[Colour, int, int], ...] = (("red", 0, 9), ("yellow", 14, 38), ("blue", 95, 130), ("red", 170, 180))
"""OpenCV hues, 0 to 180."""
SHARE = 0.35
"""Least share of the surface that must agree."""


def ground_colour(plate: NDArray[np.uint8]) -> Colour:
    """The colour of a straightened BGR plate; `unknown` where it cannot be told, as at night."""
    hsv = cv2.cvtColor(cv2.resize(plate, SAMPLE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2HSV).reshape(-1, 3)
    hue, saturation, value = hsv.T
    if np.percentile(value, 80) < 50:
        return "unknown"
    # ink is the darker part on light grounds and grey or white on coloured ones
    painted = (saturation > COLOURED) & (value > 50)
    for colour in ("yellow", "blue", "red"):
        inside = np.zeros(len(hue), bool)
        for name, low, high in HUES:
            if name == colour:
                inside |= (hue >= low) & (hue <= high)
        if (painted & inside).mean() > SHARE:
            return colour
    return "white" if (~painted).mean() > 1 - SHARE else "unknown"
