"""What the reader's steps say: rows of probabilities -> readings of a plate; pure arithmetic.

The network gives two lines of steps from left to right, each a probability for every class: class 0 is "no character
ends here", the others are the alphabet's characters. A text's steps may be spread in many ways (CTC: a character may
last several steps, and "none" stands between two equal ones); its probability is the sum over all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LINES, STEPS = 2, 40
"""Lines of a plate, and steps of a line."""
NONE = 0
"""The class of no character."""
WIDTH = 8
"""Beginnings of a line that are followed at a time."""
LEAST = 0.005
"""Probability below which a step does not mean a class."""
MOST = 12
"""Readings of a plate that are told."""
UNUSED = frozenset("IJOQW")
"""Letters that civil plates do not carry; never offered instead of a digit."""
CHANCE = 0.005
"""What is given to a character that nothing in the crop speaks for."""

Text = tuple[str, str]
"""Upper and lower line; the lower is empty for a plate of one line."""


class Read(NamedTuple):
    """What may stand on a plate."""

    text: str
    """Letters and digits; a line break where the lower line begins."""
    confidence: tuple[float, ...]
    """0 to 1 for each character of `text` but the break."""
    instead: tuple[tuple[str, float], ...]
    """For each of these the likeliest of the other kind, letter for digit and digit for letter, and how likely it is
    (0 to 1) if one of that kind stands there; near 0 where the network saw nothing of the kind."""
    whole: float
    """0 to 1: the network's own probability of the whole text."""


def readings(views: Sequence[Floats], alphabet: str) -> list[Read]:
    """Give what one plate may say, the likeliest first, at least one; the probabilities of its views are averaged.

    Each view is the steps of one crop, (upper line's, lower line's) x (none, alphabet).
    """
    likely: defaultdict[Text, float] = defaultdict(float)
    for steps in views:
        upper, lower = (lines(part, alphabet) for part in np.split(steps, LINES))
        for above, sure in upper:
            for below, sure_too in lower:
                likely[above, below] += sure * sure_too / len(views)
    texts = sorted(likely, key=lambda text: (-likely[text], text))[:MOST]
    return [_read(text, likely) for text in texts]


def lines(steps: Floats, alphabet: str) -> list[tuple[str, float]]:
    """Give the likeliest texts of one line and their probabilities, the likeliest first."""
    # for each beginning: the probability that it ends in none, and that it ends in its last character
    begun: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for step in steps:
        meant = [int(class_) for class_ in np.flatnonzero(step > LEAST) if class_ != NONE]
        none = float(step[NONE])
        if not meant:
            begun = {text: ((ended + lasting) * none, 0.0) for text, (ended, lasting) in begun.items()}
            continue
        longer: defaultdict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for text, (ended, lasting) in begun.items():
            longer[text][0] += (ended + lasting) * none
            if text:
                longer[text][1] += lasting * float(step[text[-1]])
            for class_ in meant:
                before = ended if text and text[-1] == class_ else ended + lasting
                longer[(*text, class_)][1] += before * float(step[class_])
        best = sorted(longer.items(), key=lambda item: -sum(item[1]))[:WIDTH]
        begun = {text: (ended, lasting) for text, (ended, lasting) in best}
    return [("".join(alphabet[class_ - 1] for class_ in text), sum(ends)) for text, ends in begun.items()]


def _read(text: Text, likely: dict[Text, float]) -> Read:
    """Give a text with the share of each character: of all that was read with as many characters on each line."""
    said = "".join(text)
    alike = {"".join(other): sure for other, sure in likely.items() if tuple(map(len, other)) == tuple(map(len, text))}
    confidence, instead = [], []
    for place, character in enumerate(said):
        shares: defaultdict[str, float] = defaultdict(float)
        for other, sure in alike.items():
            shares[other[place]] += sure
        confidence.append(min(1.0, shares[character]))
        kind = {c: share for c, share in shares.items() if c.isdigit() != character.isdigit() and c not in UNUSED}
        likeliest = max(kind, key=lambda c: (kind[c], c), default="")
        instead.append((likeliest, kind.get(likeliest, 0.0) / (sum(kind.values()) + CHANCE)))
    return Read("\n".join(filter(None, text)), tuple(confidence), tuple(instead), min(1.0, likely[text]))
