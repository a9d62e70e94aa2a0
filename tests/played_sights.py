"""Plates played as sights frame by frame, as a reader would hand them to the tracker."""

from __future__ import annotations

from collections.abc import Sequence

from lookalikes import offered

from edge_agent.camera.plates.grammar import understand
from edge_agent.camera.plates.read import Quad, Sight
from edge_agent.camera.plates.track import Pass
from edge_agent.camera.plates.tracker import Tracker
from edge_agent.contract.events import Colour

GONE_MS = 3000
FRAME_MS = 200


def quad_at(x: float, y: float = 300, width: float = 100, height: float = 70) -> Quad:
    return (x, y), (x + width, y), (x + width, y + height), (x, y + height)


def sight(text: str, x: float = 100, *, sure: int = 95, colour: Colour = "white", width: float = 100) -> Sight:
    read = understand(text, [sure] * len(text.replace("\n", "")), None, colour, offered(text))
    return Sight(quad=quad_at(x, width=width), colour=colour, read=read)


def play(tracker: Tracker, frames: Sequence[list[Sight]], start: int = 0, every: int = FRAME_MS) -> list[Pass]:
    """Feed a frame every 200 ms (or `every`); the frame object is its time."""
    return [
        said
        for at, sights in zip(range(start, start + every * len(frames), every), frames, strict=True)
        for said in tracker.update(at, sights, at)
    ]
