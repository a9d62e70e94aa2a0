"""Disks are full; the power is cut."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, fault
from scripts.fault_matrix.link import GOOD, Spoilt
from scripts.fault_matrix.stage import Stage


def with_real_disks(stage: Stage) -> Sequence[Box]:
    """Boxes whose disk can be filled and lose its power."""
    return [box for box in stage.boxes if box.disk.is_real]


def with_a_real_disk(stage: Stage) -> Sequence[Stage]:
    """The stage, if the disk of its centre can."""
    return [stage] if stage.disk.is_real else []


@fault(with_real_disks)
def fill_the_disk_of_a_box(box: Box, moment: Moment) -> None:
    """No block is free for a while."""
    box.disk.fill()
    moment.hold()
    box.disk.free()


@fault(with_real_disks)
def start_a_box_on_a_full_disk(box: Box, moment: Moment) -> None:
    """kill -9 while the disk is full; it finds room only after it has started."""
    box.disk.fill()
    box.program.kill()
    box.program.start()
    moment.hold()
    box.disk.free()


@fault(with_a_real_disk)
def fill_the_disk_of_the_centre(stage: Stage, moment: Moment) -> None:
    """Neither store nor database can write; then somebody makes room, and does what the collector's log asks for."""
    stage.disk.fill()
    moment.hold()
    stage.disk.free()
    server = stage.store.program
    if server is not None and stage.store.stays_full:
        server.end()
        server.start()


@fault(with_real_disks)
def cut_the_power_of_a_box(box: Box, moment: Moment) -> None:
    """What was written and not synced is gone; events wait, since the link is cut too."""
    box.link.spoil(Spoilt(state="cut"))
    moment.hold()
    box.program.freeze()
    left = box.disk.copy("cut")
    box.program.kill()
    box.disk.put_back(left)
    box.program.start()
    box.link.spoil(GOOD)


@fault(with_a_real_disk)
def cut_the_power_of_the_centre(stage: Stage, moment: Moment) -> None:
    """The same for broker, collector, store and database at once."""
    for program in stage.centre:
        program.freeze()
    left = stage.disk.copy("cut")
    for program in stage.centre:
        program.kill()
    stage.disk.put_back(left)
    moment.hold()
    for program in stage.centre:
        program.start()
