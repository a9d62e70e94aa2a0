"""Processes die and stand still."""

from __future__ import annotations

import time
from collections.abc import Sequence

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, boxes, fault, whole_stage
from scripts.fault_matrix.programs import Program
from scripts.fault_matrix.stage import Stage

STORING_S = 0.15
"""In this time what was measured on the second is stored."""


def centre(stage: Stage) -> Sequence[Program]:
    """Broker, collectors, store, database."""
    return stage.centre


def collectors(stage: Stage) -> Sequence[Program]:
    """The collectors."""
    return stage.collectors


@fault(boxes)
def kill_a_box(box: Box, moment: Moment) -> None:
    """kill -9, and start again a moment later."""
    box.program.kill()
    moment.hold()
    box.program.start()


@fault(boxes)
def freeze_a_box(box: Box, moment: Moment) -> None:
    """SIGSTOP; its connection stays open."""
    box.program.freeze()
    moment.hold()
    box.program.thaw()


@fault(boxes)
def end_a_box(box: Box, moment: Moment) -> None:
    """SIGTERM, as at an update."""
    box.program.end()
    moment.hold()
    box.program.start()


@fault(centre)
def kill_a_part_of_the_centre(part: Program, moment: Moment) -> None:
    """kill -9 of broker, collector, store or database."""
    part.kill()
    moment.hold()
    part.start()


@fault(collectors)
def kill_a_collector_while_it_stores(collector: Program, moment: Moment) -> None:
    """kill -9 just after the stations have measured, on the whole second."""
    time.sleep(1 - time.time() % 1 + moment.chance.uniform(0, STORING_S))
    collector.kill()
    moment.hold()
    collector.start()


@fault(centre)
def freeze_a_part_of_the_centre(part: Program, moment: Moment) -> None:
    """SIGSTOP of broker, collector, store or database."""
    part.freeze()
    moment.hold()
    part.thaw()


@fault(centre)
def end_a_part_of_the_centre(part: Program, moment: Moment) -> None:
    """SIGTERM, as at an update."""
    part.end()
    moment.hold()
    part.start()


@fault(whole_stage)
def kill_everything(stage: Stage, moment: Moment) -> None:
    """kill -9 of every process at once; they come back in any order."""
    programs = [*stage.centre, *(box.program for box in stage.boxes)]
    for program in programs:
        program.kill()
    moment.hold()
    for program in moment.chance.sample(programs, len(programs)):
        program.start()
