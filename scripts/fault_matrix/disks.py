"""The disk of a box or of the centre: a file with an ext4 file system, mounted by a loop device.

What was not synced is not in the file yet, so a copy of the file is the disk as a power cut would leave it, and its
journal is replayed when the copy is mounted. It can be filled, and an old copy can be put back. Where nothing may be
mounted (it takes root and loop devices) a plain folder stands in: there the power is not cut and no disk fills.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

OPTIONS = ["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0"]


class Disk:
    """A disk at `path`; whoever writes to it must be frozen or dead while it is copied or put back."""

    is_real = True
    """Whether it can be filled and lose its power."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self._image = path.with_suffix(".disk")
        self._ballast = path / "ballast"
        path.mkdir(parents=True)
        with self._image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", *OPTIONS, str(self._image))
        self._mount()

    def copy(self, name: str) -> Path:
        """Copy the disk as it would be if the power were cut now."""
        target = self.path.with_suffix(f".{name}")
        before = b""
        while True:  # the kernel may be writing back: only two copies alike are a moment's
            _run("cp", "--sparse=always", str(self._image), str(target))
            now = _digest(target)
            if now == before:
                return target
            before = now

    def put_back(self, copy: Path) -> None:
        """Make the disk what a copy of it is; the copy is used up. Nobody may have a file of it open."""
        self.close()
        copy.replace(self._image)
        self._mount()

    def fill(self) -> None:
        """Leave no block free."""
        with self._ballast.open("ab", buffering=0) as out:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(out.fileno(), out.seek(0, os.SEEK_END), size)

    def free(self) -> None:
        """Take away what filled it, for good: a power cut does not bring it back."""
        self._ballast.unlink(missing_ok=True)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Unmount it."""
        with suppress(subprocess.CalledProcessError):
            _run("umount", str(self.path))
            return
        _run("umount", "--lazy", str(self.path))

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))
        (self.path / "state").mkdir(mode=0o700, exist_ok=True)


class Folder:
    """A folder in place of a disk."""

    is_real = False

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "state").mkdir(parents=True)

    def copy(self, name: str) -> Path:
        """Copy the folder."""
        target = self.path.with_suffix(f".{name}")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.path, target)
        return target

    def put_back(self, copy: Path) -> None:
        """Make the folder what a copy of it is; the copy is used up."""
        shutil.rmtree(self.path)
        copy.rename(self.path)

    def fill(self) -> None:
        """A folder is never full."""

    def free(self) -> None:
        """Nothing filled it."""

    def close(self) -> None:
        """There is nothing to unmount."""


@cache
def can_mount() -> bool:
    """Whether disks of ours can be mounted here."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        return False
    with TemporaryDirectory() as folder:
        try:
            Disk(Path(folder) / "trial", 8).close()
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


def _digest(file: Path) -> bytes:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "blake2b").digest()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
