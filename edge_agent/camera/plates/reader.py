"""Reads plates (crops -> steps); what they say is decided in steps.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.camera.plates.card import ReaderCard
from edge_agent.camera.plates.network import MODELS, Floats, open_network
from edge_agent.camera.plates.rectify import Image


class Reader:
    """The network that reads plates; used by one thread."""

    def __init__(self, models: Path = MODELS, *, threads: int = 1) -> None:
        """Raises ModelError."""
        self._network, card = open_network(models, "reader", ReaderCard, threads=threads)
        self.alphabet = card.alphabet
        self._measured, self._right = zip(*card.calibration, strict=True)

    def __call__(self, crops: Sequence[Image]) -> Floats:
        """Give the steps of each crop (see rectify.py)."""
        if not crops:
            return np.empty((0, 0, 0), np.float32)
        return self._network(np.stack(crops))

    def share_right(self, whole: float) -> float:
        """Give the share of readings that were right where the networks gave `whole` to the text, as measured."""
        return float(np.interp(whole, self._measured, self._right))
