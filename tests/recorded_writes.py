"""What a program did to the files of a folder, write by write, as strace saw it; and any power cut in it replayed.

    record = recorded([sys.executable, "-c", ...], folder)
    for cut in cuts(record): cut.lay(other_folder)

A disk keeps what was synced; of what was written since, any part may be there, in any order, torn at 512 bytes.
"""

from __future__ import annotations

import itertools
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

CALLS = "openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink,rename,close"
SECTOR = 512
_LINE = re.compile(rb"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_RESUMED = re.compile(rb"^\d+ +<\.\.\. \w+ resumed>(.*)")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


class Step(NamedTuple):
    """A call: `write` of data at a place, `truncate` to a size, `sync`, `make`, `unlink`, `rename`; or words `said`."""

    what: str
    file: str
    at: int = 0
    data: bytes = b""


def recorded(command: Sequence[str], folder: Path) -> list[Step]:
    """Run a program under strace; the test is skipped where that cannot be. What it prints is among the steps."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = folder.parent / "strace.log"
    trace = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run([*trace, *command], capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr and done.returncode:
        pytest.skip("nothing may be traced here")
    assert done.returncode == 0, done.stderr
    steps: list[Step] = []
    open_files: dict[int, str] = {}
    for line in _whole(log.read_bytes().splitlines()):
        if (found := _LINE.match(line)) and int(found[3]) >= 0:
            steps += _step(found[1].decode(), found[2], int(found[3]), open_files, str(folder) + "/")
    return steps


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Put together the calls during which another thread called."""
    begun: dict[bytes, bytes] = {}
    for line in lines:
        thread = line.split(b" ", 1)[0]
        if line.endswith(b" <unfinished ...>"):
            begun[thread] = line.removesuffix(b" <unfinished ...>")
        elif found := _RESUMED.match(line):
            yield begun.pop(thread) + found[1]
        else:
            yield line


def _step(call: str, arguments: bytes, result: int, open_files: dict[int, str], folder: str) -> list[Step]:
    texts = [bytes.fromhex(text.replace(b"\\x", b"").decode()) for text in _TEXT.findall(arguments)]
    names = [text.decode().removeprefix(folder) for text in texts if text.startswith(folder.encode())]
    numbers = [int(n) for n in re.findall(rb"(?<![\w\\])-?\d+(?![\w\\])", _TEXT.sub(b"", arguments))]
    if call == "openat":
        open_files.pop(result, None)
        if names and not names[0].endswith("-shm"):
            open_files[result] = names[0]
            return [Step("make", names[0])] if b"O_CREAT" in arguments else []
        return []
    if call in ("unlink", "rename"):
        return [Step(call, names[0], data=names[-1].encode())] if names and not names[0].endswith("-shm") else []
    file = open_files.get(numbers[0])
    if call == "close":
        open_files.pop(numbers[0], None)
    elif call == "write" and numbers[0] == 1:
        return [Step("said", "", data=texts[0])]
    elif file is not None:
        kind = {"pwrite64": "write", "ftruncate": "truncate", "fsync": "sync", "fdatasync": "sync"}[call]
        return [Step(kind, file, at=numbers[-1] if kind != "sync" else 0, data=texts[0] if texts else b"")]
    return []


class Disk:
    """The files of a folder as they stand on the disk, and the writes that no sync has settled yet."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.unsettled: list[Step] = []

    def take(self, step: Step) -> None:
        """Do a step. Names are settled at once and in order, as a journalling file system has them."""
        if step.what == "make":
            self.files.setdefault(step.file, bytearray())
        elif step.what == "unlink":
            self.files.pop(step.file, None)
            self.unsettled = [other for other in self.unsettled if other.file != step.file]
        elif step.what == "rename":
            self._settle(step.file)
            self.files[step.data.decode()] = self.files.pop(step.file)
        elif step.what == "sync":
            self._settle(step.file)
        elif step.what in ("write", "truncate"):
            self.unsettled.append(step)

    def _settle(self, file: str) -> None:
        for step in self.unsettled:
            if step.file == file:
                _do(self.files[file], step)
        self.unsettled = [step for step in self.unsettled if step.file != file]

    def cut(self, chance: random.Random | None) -> dict[str, bytes]:
        """What is there after a power cut: all that was written, or by chance a part of what is not settled."""
        files = {name: bytearray(content) for name, content in self.files.items()}
        steps = list(self.unsettled)
        if chance is not None:
            chance.shuffle(steps)
            steps = [torn for step in steps if chance.random() < 0.6 for torn in _torn(step, chance)]
        for step in steps:
            _do(files[step.file], step)
        return {name: bytes(content) for name, content in files.items()}


def _torn(step: Step, chance: random.Random) -> list[Step]:
    if step.what != "write" or chance.random() < 0.5:
        return [step]
    begin = -step.at % SECTOR
    edges = [0, *range(begin, len(step.data), SECTOR), len(step.data)]
    parts = [(a, b) for a, b in itertools.pairwise(edges) if a < b and chance.random() < 0.5]
    return [Step("write", step.file, step.at + a, step.data[a:b]) for a, b in parts]


def _do(content: bytearray, step: Step) -> None:
    if step.what == "truncate":
        del content[step.at :]
        content.extend(bytes(step.at - len(content)))
        return
    content.extend(bytes(max(0, step.at - len(content))))
    content[step.at : step.at + len(step.data)] = step.data
