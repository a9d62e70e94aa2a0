"""The clock of a box is wrong."""

from __future__ import annotations

import time

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, boxes, fault

HOUR_MS = 3_600_000


@fault(boxes)
def step_a_clock_back(box: Box, moment: Moment) -> None:
    """By seconds, so that times come a second time, or by hours; then it is put right."""
    by = moment.chance.choice((moment.chance.randint(2, 90) * 1000, moment.chance.randint(1, 12) * HOUR_MS))
    _step(box, moment, -by)


@fault(boxes)
def step_a_clock_forth(box: Box, moment: Moment) -> None:
    """By seconds or by hours; to be put right is a step back."""
    by = moment.chance.choice((moment.chance.randint(2, 90) * 1000, moment.chance.randint(1, 12) * HOUR_MS))
    _step(box, moment, by)


@fault(boxes)
def boot_in_1970(box: Box, moment: Moment) -> None:
    """A box without a battery starts, and learns the time later."""
    box.program.kill()
    box.set_clock(-int(time.time() * 1000) + moment.chance.randint(0, HOUR_MS))
    box.program.start()
    moment.hold()
    box.set_clock(0)


def _step(box: Box, moment: Moment, by_ms: int) -> None:
    box.set_clock(by_ms)
    moment.hold()
    box.set_clock(0)
