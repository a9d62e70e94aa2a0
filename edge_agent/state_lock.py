"""One agent for a state folder: two with one outbox would give the same numbers to different events.

And one box: what waits there of another, on a copied card or in a box that was renamed, would be sent as its own.
"""

from __future__ import annotations

import fcntl
import os
import re
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


def claim_state(state: Path, device: str, *, waits: bool) -> None:
    """Note in the folder whose it is; `waits`: whether events in it are not sent yet.

    Raises ConfigError where these are another box's, OSError where the folder cannot be written.
    """
    note = state / "device"
    owner = note.read_text(errors="replace").strip() if note.exists() else ""
    if owner == device:
        return
    if waits and re.fullmatch("[a-z][a-z0-9-]{0,31}", owner):
        raise ConfigError(
            f"state: {state} holds events of {owner} that are not sent yet, and this box is {device}\n"
            f"  a card copied from {owner}: move them away, mv {state} {state}.{owner}, and start again\n"
            f"  {owner} was renamed: let it run as {owner} once more until all is sent"
        )
    new = state / "device.new"
    new.write_text(f"{device}\n")
    new.rename(note)
