"""The file of an outbox is damaged while its box is switched off: what was in it may be gone; that must be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, boxes, fault
from scripts.fault_matrix.link import GOOD, Spoilt

FLIPS = (1, 20)
WAITING = 0.7
"""Share of the damages before which the link is cut."""


def _damage(box: Box, moment: Moment, damage: Callable[[Path], None]) -> None:
    """Damage the file or its log, whichever there is; mostly while something waits in it."""
    if moment.chance.random() < WAITING:
        box.link.spoil(Spoilt(state="cut"))
        moment.hold()
    box.program.kill()
    files = [file for file in (box.disk.path / "state").glob("outbox.sqlite*") if not file.name.endswith("-shm")]
    there = sorted(file for file in files if file.stat().st_size)
    if there:
        box.destroy("its outbox was damaged")
        damage(moment.chance.choice(there))
    box.program.start()
    moment.hold()
    box.link.spoil(GOOD)


@fault(boxes)
def truncate_an_outbox(box: Box, moment: Moment) -> None:
    """The file ends anywhere."""

    def truncate(file: Path) -> None:
        with file.open("r+b") as data:
            data.truncate(moment.chance.randrange(file.stat().st_size))

    _damage(box, moment, truncate)


@fault(boxes)
def zero_an_outbox(box: Box, moment: Moment) -> None:
    """A part of the file is zeros, as after a power cut on a bad disk."""

    def zero(file: Path) -> None:
        size = file.stat().st_size
        with file.open("r+b") as data:
            start = data.seek(moment.chance.randrange(size))
            data.write(bytes(moment.chance.randint(1, size - start)))

    _damage(box, moment, zero)


@fault(boxes)
def flip_bits_of_an_outbox(box: Box, moment: Moment) -> None:
    """Some bits are others."""

    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        for _ in range(moment.chance.randint(*FLIPS)):
            content[moment.chance.randrange(len(content))] ^= 1 << moment.chance.randrange(8)
        file.write_bytes(content)

    _damage(box, moment, flip)


@fault(boxes)
def delete_an_outbox(box: Box, moment: Moment) -> None:
    """The disk was changed for an empty one."""
    box.program.kill()
    box.destroy("its outbox was deleted")
    for file in (box.disk.path / "state").glob("outbox.sqlite*"):
        file.unlink()
    moment.hold()
    box.program.start()
