"""Reads plates (crops -> reads)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from edge_agent.camera.plates.card import ReaderCard
from edge_agent.camera.plates.network import MODELS, open_network
from edge_agent.camera.plates.rectify import Image
from edge_agent.camera.plates.steps import Read, decode


class Reader:
    """The network that reads plates; used by one thread."""

    def __init__(self, models: Path = MODELS, *, threads: int = 1) -> None:
        """Raises ModelError."""
        self._network, card = open_network(models, "reader", ReaderCard, threads=threads)
        self._alphabet = card.alphabet
        self._measured, self._right = zip(*card.calibration, strict=True)

    def __call__(self, plates: Sequence[Sequence[Image]]) -> list[Read]:
        """Read plates, each from one crop or several (see rectify.py), whose probabilities are averaged."""
        if not plates:
            return []
        steps = self._network(np.stack([crop for crops in plates for crop in crops]))
        starts = accumulate((len(crops) for crops in plates[:-1]), initial=0)
        return [
            decode(steps[start : start + len(crops)].mean(axis=0), self._alphabet)
            for start, crops in zip(starts, plates, strict=True)
        ]

    def share_right(self, whole: float) -> float:
        """Give the share of readings that were right where the networks gave `whole` to the text, as measured."""
        return float(np.interp(whole, self._measured, self._right))
