"""RapidOCR beside our reader: general text reading as its package ships it, on one thread."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import permutations
from typing import Any, NamedTuple

from edge_agent.camera.pictures import Image
from scripts.plate_evaluation.labels import Box

PACKAGE = "rapidocr-onnxruntime"
LONGEST_RUN = 4
"""Pieces that a plate may have been found in."""


class PeerError(RuntimeError):
    """The peer cannot be had; the text says what to do."""


class Piece(NamedTuple):
    """A piece of text, and the upright box around it in pixels of the picture."""

    text: str
    box: Box


class RapidOCR:
    """The pipeline with its defaults; every piece of text in a picture, in its own reading order."""

    def __init__(self) -> None:
        """Load its models. Raises PeerError where the package is missing."""
        try:
            from rapidocr_onnxruntime import RapidOCR as Pipeline
        except ImportError as error:
            raise PeerError(f"{PACKAGE} is not installed: pip install 'island-edge[dev]'") from error
        self._pipeline: Callable[[Image], Any] = Pipeline(intra_op_num_threads=1, inter_op_num_threads=1)
        self.name = f"RapidOCR {version(PACKAGE)}"

    def __call__(self, image: Image) -> list[Piece]:
        """Give the texts in a BGR picture."""
        found, _ = self._pipeline(image)
        return [Piece(text, _around(corners)) for corners, text, _ in found or ()]


def _around(corners: Sequence[tuple[float, float]]) -> Box:
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def says(texts: Sequence[str], plate: str) -> bool:
    """Tell whether `plate` is among the texts, joined generously; separators do not count, and Đ is D."""
    return _plain(plate) in joined(texts)


def joined(texts: Sequence[str]) -> set[str]:
    """Everything that the texts may be read as: any run of neighbours, any two in either order."""
    return set(_joined([plain for text in texts if (plain := _plain(text))]))


def _joined(texts: Sequence[str]) -> Iterator[str]:
    for start in range(len(texts)):
        for end in range(start + 1, min(len(texts), start + LONGEST_RUN) + 1):
            yield "".join(texts[start:end])
    # the lines of a plate need not be neighbours where other text stands beside it
    for one, other in permutations(texts, 2):
        yield one + other


def _plain(text: str) -> str:
    capitals = unicodedata.normalize("NFKC", text).upper().replace("Đ", "D").replace("Ð", "D")
    return "".join(filter(str.isalnum, capitals))
