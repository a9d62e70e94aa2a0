"""Events for tests that do not look at what is in them."""

from __future__ import annotations

from edge_agent.contract.events import PlateRead

PLATE = "68A12345"


def plate_read(at: int, jpeg: bytes) -> PlateRead:
    """A plate that was read without doubt at one moment."""
    return PlateRead(
        at=at,
        text=PLATE,
        raw=PLATE,
        confidence=0.99,
        char_confidence=(99,) * len(PLATE),
        valid=True,
        classes=("car",),
        colour="white",
        layout="one",
        quad=(0, 0, 9, 0, 9, 3, 0, 3),
        frame_size=(640, 360),
        frames=5,
        first=at,
        last=at,
        jpeg=jpeg,
    )
