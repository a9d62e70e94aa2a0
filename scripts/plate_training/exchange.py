"""New plates from real glyphs: the boxed characters of plates change places between pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.camera.plates.rectify import Image
from scripts.plate_training.examples import Example
from scripts.plate_training.weather import Random

LETTERS = "ABCDEFGHKLMNPRSTUVXYZ"
Shares = npt.NDArray[np.float32]
"""How much ground shows, 0 ink to 1 ground, or a colour."""
RATIO = (0.25, 1.2)
"""Width over height of a character's box that is believed."""


DOUBLED = 0.15
"""How often a digit stands twice: what CTC finds hardest."""


class Glyphs:
    """Pictures of single characters, cut from plates whose characters are boxed."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._of: dict[str, list[Shares]] = defaultdict(list)
        self._levels: dict[str, list[tuple[Shares, Shares]]] = {}
        for example in examples:
            levels: list[tuple[Shares, Shares]] = []
            for x0, y0, x1, y1, character in example.characters:
                patch = example.image[max(0, int(y0)) : int(y1), max(0, int(x0)) : int(x1)].astype(np.float32)
                if min(patch.shape[:2]) < 4:
                    levels = []
                    break
                low, high = np.percentile(patch, (5, 92), axis=(0, 1)).astype(np.float32)
                levels.append((low, high))
                if y1 - y0 >= 14 and RATIO[0] < (x1 - x0) / (y1 - y0) < RATIO[1]:
                    self._of[character].append(np.clip((patch - low) / np.maximum(12, high - low), 0, 1.1))
            if levels:
                self._levels[example.name] = levels
        self.plates = [example for example in examples if example.name in self._levels]
        """Those that can be exchanged."""

    def exchanged(self, example: Example, random: Random) -> Example:
        """Give the plate with other characters of the same kinds, light and sharpness as they were found."""
        image = example.image.copy()
        boxes: list[tuple[float, float, float, float, str]] = []
        placed = zip(example.characters, self._levels[example.name], strict=True)
        for (x0, y0, x1, y1, old), (dark, light) in sorted(placed, key=lambda one: one[0][0]):
            kind = LETTERS if old.isalpha() else "0123456789"
            new = kind[int(random.integers(len(kind)))]
            if (
                len(example.lines) == 1
                and boxes
                and boxes[-1][4].isdigit()
                and old.isdigit()
                and random.random() < DOUBLED
            ):
                new = boxes[-1][4]
            glyphs = self._of[new]
            if glyphs:
                place = image[max(0, int(y0)) : int(y1), max(0, int(x0)) : int(x1)]
                _lay(place, glyphs[int(random.integers(len(glyphs)))], dark, light)
            boxes.append((x0, y0, x1, y1, new if glyphs else old))
        return example._replace(
            image=image, lines=_lines(boxes, len(example.lines)), characters=tuple(boxes), name="exchange"
        )


def _lay(place: Image, glyph: Shares, dark: Shares, light: Shares) -> None:
    """Put a glyph over another, with the ground and the ink of the place."""
    height, width = place.shape[:2]
    # a 1 may not become as wide as an 8
    natural = min(width, max(3, round(height * glyph.shape[1] / glyph.shape[0])))
    shares = np.ones(place.shape, np.float32)
    left = (width - natural) // 2
    shares[:, left : left + natural] = cv2.resize(glyph, (natural, height), interpolation=cv2.INTER_AREA)
    place[:] = np.clip(dark + shares * (light - dark), 0, 255).astype(np.uint8)


def _lines(boxes: Sequence[tuple[float, float, float, float, str]], lines: int) -> tuple[str, ...]:
    if lines == 1:
        return ("".join(box[4] for box in sorted(boxes)),)
    middle = (min(box[1] for box in boxes) + max(box[3] for box in boxes)) / 2
    upper = sorted(box for box in boxes if (box[1] + box[3]) / 2 < middle)
    lower = sorted(box for box in boxes if (box[1] + box[3]) / 2 >= middle)
    return "".join(box[4] for box in upper), "".join(box[4] for box in lower)
