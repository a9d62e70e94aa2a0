"""One box is two, or is again what it was."""

from __future__ import annotations

import shutil

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, boxes, fault
from scripts.fault_matrix.link import GOOD, Spoilt
from scripts.fault_matrix.programs import wait_until

REFUSED_S = 20.0


@fault(boxes)
def start_a_second_agent_in_the_same_folder(box: Box, moment: Moment) -> None:
    """Whoever is the later one must see that the folder is taken, and end."""
    if box.double is not None:
        return
    ends = len(box.program.ended)
    double = box.start_double(box.disk.path / "state")
    double.wanted = False
    try:
        wait_until(
            lambda: not double.alive or len(box.program.ended) > ends,
            REFUSED_S,
            f"{double.name} or {box.name} finds the folder taken and ends",
        )
    finally:
        double.kill()
        box.double = None


@fault(boxes)
def start_a_box_twice(box: Box, moment: Moment) -> None:
    """The same name from another folder: an empty one, or a copy of the first. It runs until the round is over."""
    if box.double is not None:
        return
    state = box.folder / f"again-{moment.chance.randrange(10**9)}"
    state.mkdir(mode=0o700)
    if moment.chance.random() < 0.5:
        box.program.freeze()
        shutil.copytree(box.disk.path / "state", state, dirs_exist_ok=True)
        box.program.thaw()
    box.start_double(state)
    moment.hold()


@fault(boxes)
def put_an_old_image_back(box: Box, moment: Moment) -> None:
    """The disk is set back to what it was a while ago, perhaps with events that wait."""
    box.link.spoil(moment.chance.choice((GOOD, Spoilt(state="cut"))))
    try:
        box.program.freeze()
        before = box.accepted()
        image = box.disk.copy("image")
        box.program.thaw()
        moment.hold()
        box.program.kill()
        box.destroy("its disk was set back", spare=before)
        box.disk.put_back(image)
    finally:
        box.link.spoil(GOOD)
    box.program.start()
