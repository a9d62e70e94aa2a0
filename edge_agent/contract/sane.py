"""Which times can be right."""

from __future__ import annotations

from edge_agent.contract.events import MAX_TIME

SANE_SINCE = 1_767_225_600_000
"""2026-01-01 UTC: a machine whose clock shows less has not learnt the time yet (no battery, no network)."""


def is_sane(ms: int) -> bool:
    """Tell whether a time can be right: the clock has been set since the boot, and not to what nobody takes."""
    return SANE_SINCE <= ms <= MAX_TIME
