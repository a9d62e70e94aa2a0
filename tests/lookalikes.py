"""What a reader that confuses lookalikes offers for a repair."""

from __future__ import annotations

from edge_agent.camera.plates.read import Instead

LOOKALIKES = dict(zip("OQDIJLZASGTB012345678", "000114245678DLZBASGZB", strict=True))


def offered(raw: str, sure: int = 80) -> list[Instead]:
    """One for each letter or digit: its lookalike, or nothing."""
    return [(LOOKALIKES[c], sure) if c in LOOKALIKES else ("", 0) for c in raw if c.isalnum()]
