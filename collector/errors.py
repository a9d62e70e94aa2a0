"""What ends a command of the collector with a clear word instead of a traceback."""

from __future__ import annotations


class Failure(Exception):
    """Something outside the settings keeps a command from its work; the text says what, and what to do."""
