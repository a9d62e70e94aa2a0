"""What the reader's steps say: a row of probabilities -> text; pure arithmetic.

The network gives two lines of steps from left to right, each a probability for every class: class 0 is "no character
ends here", the others are the alphabet's characters. A text's steps may be spread in many ways (CTC: a character may
last several steps, and "none" stands between two equal ones); its probability is the sum over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LINES, STEPS = 2, 40
"""Lines of a plate, and steps of a line."""
NONE = 0
"""The class of no character."""
UNUSED = frozenset("IJOQW")
"""Letters that civil plates do not carry; never offered instead of a digit."""
CHANCE = 0.005
"""What the network gives to a character that nothing in the crop speaks for."""


class Read(NamedTuple):
    """What stands on a plate."""

    text: str
    """Letters and digits; a line break where the lower line begins."""
    confidence: tuple[float, ...]
    """0 to 1 for each character of `text` but the break."""
    instead: tuple[tuple[str, float], ...]
    """For each of these the likeliest of the other kind, letter for digit and digit for letter, and how likely it is
    (0 to 1) if one of that kind stands there; near 0 where the network saw nothing of the kind."""
    whole: float
    """0 to 1: the network's own probability of the whole text."""


def decode(steps: Floats, alphabet: str) -> Read:
    """Read the `steps` of a plate, (upper line's, lower line's) x (none, alphabet), by each step's likeliest class."""
    upper, lower = (_line(line, alphabet) for line in np.split(steps, LINES))
    return Read(
        "\n".join(line.text for line in (upper, lower) if line.text),
        upper.confidence + lower.confidence,
        upper.instead + lower.instead,
        upper.whole * lower.whole,
    )


def probability(steps: Floats, classes: Sequence[int]) -> float:
    """Give the probability that the steps of one line mean just these classes, however they are spread."""
    # states: none, the first class, none, the second ...; one ends in the last class or in the none behind it
    states = np.full(2 * len(classes) + 1, NONE)
    states[1::2] = classes
    skips = np.zeros(len(states))  # from class to class without a none between, if they differ
    skips[3::2] = states[3::2] != states[1:-2:2]
    reached = np.zeros(len(states))
    reached[0] = 1.0  # before the first step
    for step in steps[:, states].astype(float):
        came = reached.copy()
        came[1:] += reached[:-1]
        came[2:] += reached[:-2] * skips[2:]
        reached = came * step
    return float(reached[-2:].sum())


def _line(steps: Floats, alphabet: str) -> Read:
    best = steps.argmax(axis=1)
    classes, confidence, instead = [], [], []
    for class_, run in groupby(range(len(best)), lambda step: int(best[step])):
        if class_ != NONE:
            seen = steps[list(run)].max(axis=0)
            classes.append(class_)
            confidence.append(float(seen[class_]))
            kind = _kind(alphabet, digits=not alphabet[class_ - 1].isdigit())
            other = kind[int(seen[kind].argmax())]
            instead.append((alphabet[other - 1], float(seen[other] / (seen[kind].sum() + CHANCE))))
    text = "".join(alphabet[class_ - 1] for class_ in classes)
    return Read(text, tuple(confidence), tuple(instead), probability(steps, classes))


@cache
def _kind(alphabet: str, *, digits: bool) -> list[int]:
    """Give the classes of all digits, or of all letters."""
    return [n for n, c in enumerate(alphabet, 1) if c.isdigit() is digits and c not in UNUSED]
