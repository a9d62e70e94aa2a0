"""A box of a stage: its disk, its link to the broker, its processes and what they made."""

from __future__ import annotations

import sys
import threading
from collections.abc import Container, Iterable
from pathlib import Path

from scripts.fault_matrix.cable import Cable
from scripts.fault_matrix.disks import Disk, Folder
from scripts.fault_matrix.link import Link
from scripts.fault_matrix.numbered import COPY
from scripts.fault_matrix.programs import Program
from scripts.fault_matrix.side_log import Reader

DISK_MB = 24


class Box:
    """One box; a fault takes `busy` while it works on it."""

    def __init__(
        self, name: str, folder: Path, file: Path, link: Link | Cable, *, real_disk: bool, broken: str
    ) -> None:
        self.name = name
        self.busy = threading.Lock()
        self.folder = folder
        self.link = link
        self.disk: Disk | Folder = Disk(folder / "disk", DISK_MB) if real_disk else Folder(folder / "disk")
        self.clock = folder / "clock"
        """Milliseconds by which its clock is wrong; no file: it is right."""
        self.made = Reader(folder)
        self.excused: dict[tuple[str, int], str] = {}
        """Events, by kind and number, that may be gone with a disk, and why; that they are must be said."""
        self._file = file
        self._broken = broken
        self._copies = 0
        self.program = self._program(name, self.disk.path / "state", 0)
        self.double: Program | None = None
        """A second process that plays the same box, while there is one."""

    @property
    def programs(self) -> list[Program]:
        """Its processes."""
        return [self.program] if self.double is None else [self.program, self.double]

    def accepted(self) -> set[tuple[str, int]]:
        """What its outboxes have accepted until now, by kind and number."""
        return {key for key, entry in self.made.read_on().items() if entry.outbox}

    def destroy(self, why: str, spare: Container[tuple[str, int]] = ()) -> None:
        """What it has accepted until now may be gone, save some."""
        self.excused |= dict.fromkeys((key for key in self.accepted() if key not in spare), why)

    def start_double(self, state: Path) -> Program:
        """Start the box a second time; `state` is the folder that it works in."""
        self._copies += 1
        self.double = self._program(f"{self.name}-again-{self._copies}", state, self._copies)
        self.double.start()
        return self.double

    def end_double(self, dealt_with: Iterable[tuple[str, int]]) -> None:
        """End the second one; what it has made since, besides what was dealt with, waits in its folder for ever."""
        if self.double is not None:
            self.double.kill()
            self.double = None
            left = {key for key in self.accepted() if key[0] == "health" or key[1] // COPY == self._copies}
            self.excused |= dict.fromkeys(left - set(dealt_with), "the second box was switched off")

    def set_clock(self, wrong_by_ms: int) -> None:
        """Set the clock of its processes wrong."""
        draft = self.clock.with_suffix(".new")
        draft.write_text(str(wrong_by_ms))
        draft.replace(self.clock)

    def close(self) -> None:
        """Its processes have ended: unmount its disk."""
        self.disk.close()

    def _program(self, name: str, state: Path, copy: int) -> Program:
        module = ["-m", "scripts.fault_matrix.box_program"]
        if self._broken:
            module = ["-m", "scripts.fault_matrix.broken", self._broken, "box_program"]
        log = self.folder / f"{copy:03}.made"
        arguments = [str(self._file), str(state), str(log), str(copy), str(self.clock)]
        inside = self.link.inside if isinstance(self.link, Cable) else []
        return Program(name, [*inside, sys.executable, *module, *arguments], self.folder)
