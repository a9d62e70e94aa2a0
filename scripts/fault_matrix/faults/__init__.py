"""The faults, in files by the place where they happen. A fault is a function that spoils something, holds it and mends
it again; what it may be done to stands in its decorator.

    @fault(boxes)
    def freeze_a_box(box: Box, moment: Moment) -> None: ...
"""

from __future__ import annotations

import importlib
import pkgutil
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.stage import Stage

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When and where a fault is done."""

    stage: Stage
    chance: random.Random
    hold_s: float
    """How long it lasts."""

    def hold(self, share: float = 1.0) -> None:
        """Let it last, or some of it."""
        time.sleep(self.hold_s * share)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind of fault."""

    name: str
    place: str
    targets: Callable[[Stage], Sequence[Any]]
    """What it may be done to in a stage; nothing, if the stage has no such part."""
    act: Callable[[Any, Moment], None]


_FOUND: dict[str, Fault] = {}


def fault(
    targets: Callable[[Stage], Sequence[T]],
) -> Callable[[Callable[[T, Moment], None]], Callable[[T, Moment], None]]:
    """Make a function a fault; its name in words is the fault's name."""

    def register(act: Callable[[T, Moment], None]) -> Callable[[T, Moment], None]:
        name = act.__name__.replace("_", " ")
        place = act.__module__.rpartition(".")[2]
        _FOUND[name] = Fault(name=name, place=place, targets=targets, act=act)
        return act

    return register


def all_faults() -> dict[str, Fault]:
    """Every fault by its name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(_FOUND)


def boxes(stage: Stage) -> Sequence[Box]:
    """Every box."""
    return stage.boxes


def whole_stage(stage: Stage) -> Sequence[Stage]:
    """The stage itself."""
    return [stage]
