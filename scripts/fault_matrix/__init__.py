"""Faults injected into the whole, and what became of every event; `scripts/faults` runs it."""
