"""Reads one line of text (crop -> read)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import cv2
import numpy as np

from edge_agent.camera.plates.ppocr_detector import Quad
from edge_agent.camera.plates.ppocr_model import READER, Floats, Image, Network, open_network

HEIGHT = 48
"""What the network was trained with, in pixels."""
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZĐ"
DIGITS = [number for number, character in enumerate(ALPHABET) if character.isdigit()]
LETTERS = [n for n, character in enumerate(ALPHABET) if not character.isdigit() and character not in "IJOQW"]
"""Those of plates."""
CHANCE = 0.005
"""What the network gives to a character that nothing in the crop speaks for."""


class Read(NamedTuple):
    """What stands in a crop."""

    text: str
    """Letters and digits, capitals, separators dropped."""
    confidence: tuple[float, ...]
    """0 to 1 for each character of `text`."""
    instead: tuple[tuple[str, float], ...]
    """For each character the likeliest of the other kind, letter for digit and digit for letter, and how likely it is
    (0 to 1) if one of that kind stands there; near 0 where the network saw nothing of the kind."""


class Reader:
    """The line reader of PP-OCR, decoded with the alphabet of plates instead of its 6,623 characters."""

    def __init__(self, network: Network | None = None, *, threads: int = 1) -> None:
        self._network = network or open_network(READER, threads=threads)
        # the network's classes: 0 nothing, then its alphabet, then a space
        known = ["", *self._network.notes["character"].splitlines(), " "]
        self._columns, self._fold = _fold(known)

    def __call__(self, crops: Sequence[Image]) -> list[Read]:
        """Read crops of any size, each one line of text that runs to the right."""
        reads: list[Read] = []
        # one at a time: in a batch the short ones would be padded to the longest, which costs more than it saves
        for crop in crops:
            width = max(16, round(crop.shape[1] * HEIGHT / crop.shape[0] / 8) * 8)
            line = cv2.resize(crop, (min(width, 960), HEIGHT), interpolation=cv2.INTER_LINEAR)
            batch = (line.astype(np.float32) / 127.5 - 1.0).transpose(2, 0, 1)[None]
            reads.append(self._decode(self._network(np.ascontiguousarray(batch))[0]))
        return reads

    def _decode(self, steps: Floats) -> Read:
        """Greedy CTC over the plate's alphabet; `steps` is time x classes."""
        folded = steps[:, self._columns] @ self._fold  # time x (nothing, alphabet..., others)
        best = folded.argmax(axis=1)
        text, confidence, instead = [], [], []
        start = 0
        for step in range(1, len(best) + 1):
            if step < len(best) and best[step] == best[start]:
                continue
            if 0 < best[start] <= len(ALPHABET):
                seen = folded[start:step, 1:-1].max(axis=0)
                text.append(ALPHABET[best[start] - 1])
                confidence.append(float(seen[best[start] - 1]))
                instead.append(_likeliest(seen, LETTERS if text[-1].isdigit() else DIGITS))
            start = step
        return Read("".join(text), tuple(confidence), tuple(instead))


def _likeliest(seen: Floats, kind: Sequence[int]) -> tuple[str, float]:
    """Give the likeliest character of a kind, and its share of all that speaks for the kind."""
    best = max(kind, key=lambda number: seen[number])
    return ALPHABET[best], float(seen[best] / (seen[kind].sum() + CHANCE))


def _fold(known: Sequence[str]) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]:
    """Give the network's classes that matter, and a matrix that adds them up by character of ALPHABET.

    Column 0 is "nothing"; the last one holds the marks that part or decorate a plate and stand for no character.
    """
    columns, targets = [0], [0]
    for number, character in enumerate(known[1:], start=1):
        capital = character.upper()
        if len(capital) == 1 and capital in ALPHABET:
            columns.append(number)
            targets.append(ALPHABET.index(capital) + 1)
        elif character and character in ".-·•:,'|/* ":
            columns.append(number)
            targets.append(len(ALPHABET) + 1)
    fold = np.zeros((len(columns), len(ALPHABET) + 2), np.float32)
    fold[np.arange(len(columns)), targets] = 1
    return np.array(columns), fold


def rectify(frame: Image, quad: Quad) -> Image:
    """Cut the quadrilateral out of the frame and straighten it."""
    width = max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[3] - quad[2]))
    height = max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))
    size = (max(1, round(float(width))), max(1, round(float(height))))
    goal = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    return cast(
        Image,
        cv2.warpPerspective(
            frame, cv2.getPerspectiveTransform(quad, goal), size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        ),
    )
