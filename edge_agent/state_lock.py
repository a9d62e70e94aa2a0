"""One agent for a state folder: two with one outbox would give the same numbers to different events."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from edge_agent.errors import ConfigError


def lock_state(state: Path) -> TextIO:
    """Lock the folder until the file that is returned is closed, or the process ends, however it does.

    Raises ConfigError where another agent has it, OSError where the folder cannot be written.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)  # plates are personal data
    file = (state / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise ConfigError(
            f"state: {state}: another agent works with this folder, process {holder}\n"
            "  end that one first, or give each box a folder of its own"
        ) from None
    with suppress(OSError):  # the disk may be full; the lock is ours all the same
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    return file
