"""`edge-agent` with a clock that is set from outside, for tests and the fault matrix.

    python -m scripts.stepped_agent OFFSET_FILE run FILE ...

The file holds by how many milliseconds the agent's clock is wrong; it is read at every look at the clock, and none, or
an empty one, means that the clock is right. The steady clock, by which things wait, is the machine's own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edge_agent.__main__ import main
from edge_agent.clock import now_ms


def step(now: int, file: Path) -> int:
    """The time that a clock shows which is wrong by what stands in the file."""
    try:
        return now + int(file.read_text() or 0)
    except FileNotFoundError:
        return now


if __name__ == "__main__":
    offset = Path(sys.argv[1])
    now_ms.system = lambda: step(time.time_ns() // 1_000_000, offset)
    sys.exit(main(sys.argv[2:]))
