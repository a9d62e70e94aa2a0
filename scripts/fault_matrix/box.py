"""A box of a stage: its disk, its link to the broker, its processes and what they made."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from scripts.fault_matrix.disks import Disk, Folder
from scripts.fault_matrix.link import Link
from scripts.fault_matrix.programs import Program
from scripts.fault_matrix.side_log import Reader

DISK_MB = 12


class Box:
    """One box; a fault takes `busy` while it works on it."""

    def __init__(self, name: str, folder: Path, file: Path, link: Link, *, real_disk: bool, broken: str) -> None:
        self.name = name
        self.busy = threading.Lock()
        self.folder = folder
        self.link = link
        self.disk: Disk | Folder = Disk(folder / "disk", DISK_MB) if real_disk else Folder(folder / "disk")
        self.clock = folder / "clock"
        """Milliseconds by which its clock is wrong; no file: it is right."""
        self.image: Path | None = None
        """An old copy of the disk, if one was taken."""
        self.made = Reader(folder)
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

    def start_double(self, state: Path) -> None:
        """Start the box a second time; `state` is the folder that it works in."""
        self._copies += 1
        self.double = self._program(f"{self.name}-again-{self._copies}", state, self._copies)
        self.double.start()

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
        return Program(name, [sys.executable, *module, *arguments], self.folder)
