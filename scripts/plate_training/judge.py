"""How good exported models are on photos that were held out, and what their own measure of sureness is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_agent.camera.plates.card import Accuracy, Measured
from edge_agent.camera.plates.cells import overlap
from edge_agent.camera.plates.detector import Detector
from edge_agent.camera.plates.grammar import understand
from edge_agent.camera.plates.sights import PlateReader
from scripts.plate_training.examples import Example

WIDTHS = (30, 40, 60, 90)
"""Bounds between the widths in pixels that are told apart."""
PROMISE = 0.99
"""Share right of what is reported at 0.9 and more."""
LEAST_PROMISED, LEAST_JUDGED = 50, 6
"""Judged plates that such a promise needs, and a point below it."""
LEAST_APART = 1e-3
"""Between the measures of a calibration."""


class Judged(NamedTuple):
    """One held-out plate and what the models made of it."""

    example: Example
    found: bool
    right: bool
    sure: float
    """The network's own measure for the whole text; 0 where nothing was told."""


def judge(models: Path, examples: Iterable[Example]) -> list[Judged]:
    """Look at each photo as the agent does; a plate may be found and yet nothing be told of it."""
    detector, reader = Detector(models), PlateReader(models=models)
    judged = []
    for example in examples:
        text = "".join(example.lines)
        near = [s for s in reader.sights(example.image) if overlap(np.array(s.quad), example.quad) > 0.5]
        best = max(near, key=lambda sight: sight.read.confidence, default=None)
        judged.append(
            Judged(example, any(overlap(find.quad, example.quad) > 0.5 for find in detector(example.image)),
                   best is not None and best.read.text == text,
                   best.read.confidence if best is not None else 0.0)
        )  # fmt: skip
    return judged


def accuracy(judged: Sequence[Judged], what: str, on: str, right: Callable[[Judged], bool]) -> Accuracy:
    """Count by class, layout, colour and width."""

    def by(key: Callable[[Judged], str]) -> dict[str, Measured]:
        names = sorted({key(one) for one in judged})
        return {name: _share([right(one) for one in judged if key(one) == name]) for name in names}

    return Accuracy(
        on=on, right=what, all=_share([right(one) for one in judged]), by_class=by(_class),
        by_layout=by(lambda one: "one" if len(one.example.lines) == 1 else "two"),
        by_colour=by(lambda one: one.example.colour or "unknown"), by_width=by(_width),
    )  # fmt: skip


def calibration(pairs: Sequence[tuple[float, bool]]) -> tuple[tuple[float, float], ...]:
    """Give (network's measure, confidence to report), both rising, from judged plates.

    Below 0.9 the confidence is the share of judged plates right there (isotonic regression). 0.9 is a promise: it
    stands only where of all that measured as much or more PROMISE were right; without such a measure nothing has it.
    """
    ordered = sorted(pairs)
    blocks: list[list[float]] = []  # lowest measure, highest, right, count
    for measure, right in ordered:
        blocks.append([measure, measure, float(right), 1.0])
        while len(blocks) > 1 and blocks[-2][2] / blocks[-2][3] >= blocks[-1][2] / blocks[-1][3]:
            _, high, more, count = blocks.pop()
            blocks[-1] = [blocks[-1][0], high, blocks[-1][2] + more, blocks[-1][3] + count]
    points = [((low + high) / 2, right / count) for low, high, right, count in blocks if count >= LEAST_JUDGED]
    promised = _promised(ordered)
    table = {0.0: 0.0}
    for measure, share in points:
        if measure - max(table) > LEAST_APART and measure < promised - LEAST_APART:
            table[round(measure, 4)] = round(min(0.89, max(share, *table.values())), 4)
    if promised < 1:
        table |= {round(promised - LEAST_APART, 4): 0.89, round(promised, 4): 0.9}
    table[1.0] = 0.99 if promised < 1 else max(table.values())
    return tuple(table.items())


def _promised(ordered: Sequence[tuple[float, bool]]) -> float:
    """Give the least measure from which on PROMISE of all were right; 1 where there is none."""
    best, wrong = 1.0, 0
    for count, (measure, right) in enumerate(reversed(ordered), 1):
        wrong += not right
        if count >= LEAST_PROMISED and wrong <= (1 - PROMISE) * count:
            best = measure
    return best


def _share(rights: Sequence[bool]) -> Measured:
    return Measured(count=len(rights), right=round(sum(rights) / max(1, len(rights)), 4))


def _class(one: Judged) -> str:
    lines = one.example.lines
    colour = one.example.colour if one.example.colour in ("white", "yellow", "blue", "red") else "unknown"
    read = understand("\n".join(lines), [100] * sum(map(len, lines)), None, colour)  # type: ignore[arg-type]
    return read.classes[0] if read.classes else "other"


def _width(one: Judged) -> str:
    width = float(np.linalg.norm(one.example.quad[1] - one.example.quad[0]))
    for low, high in zip((0, *WIDTHS), (*WIDTHS, 0), strict=True):
        if width < high or not high:
            return f"{low} to {high}" if high else f"{low} and more"
    raise AssertionError
