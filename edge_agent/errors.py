"""The agent's errors; each class answers who deals with it.

EdgeError
├── ConfigError    the file is wrong: say where; exit 78; systemd does not retry
├── LineError      the wire failed: close it, try at the next poll
│   └── Silence    nobody answered in time
├── FrameError     bytes arrived but are wrong: drop, count, go on
└── ModelError     a model file is missing or is not what its card says

Anything else is a bug: it ends the process, and systemd restarts it.
"""

from __future__ import annotations

EXIT_CONFIG = 78
"""Exit status of a wrong configuration (sysexits' EX_CONFIG)."""
EXIT_INTERRUPTED = 130
"""Of a command that Ctrl-C ended before it was done, as shells have it; `edge-agent run` ends with 0: it is its way."""


class EdgeError(Exception):
    """Something that the agent foresees."""


class ConfigError(EdgeError):
    """A configuration that cannot be used; the text names every mistake with its place."""


class LineError(EdgeError):
    """The wire failed."""


class Silence(LineError):
    """Nobody answered within the time limit."""


class FrameError(EdgeError):
    """Bytes arrived but do not form what the sensor says."""


class ModelError(EdgeError):
    """A model file is missing or is not what its card says."""
