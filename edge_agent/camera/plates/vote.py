"""What several readings of one plate say together; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from edge_agent.camera.plates.grammar import understand
from edge_agent.camera.plates.read import Instead, PlateText
from edge_agent.contract.events import Colour, Layout

SURENESS = 4
"""The power of its confidence with which a character votes. Far frames err alike, an 8 is a B in all of them: counted
one for one they outvote the near frame that shows what it is."""
UNSEEN = 0.5
"""The most for a text that no single reading said, put together from several."""
VALID_WEIGHT = 2
"""A reading that is a plate as it stands counts so often as one that is none: chance rarely makes a plate."""


def vote(reads: Sequence[PlateText], colour: Colour) -> PlateText:
    """Give the plate that the readings (at least one) support best, character by character.

    Only readings of the best-supported length are aligned. Where the winner is no plate but single readings are,
    those vote alone, and the confidence of the whole shrinks to their share. The confidence of a character is its
    share of the votes times that of its surest reading: being many makes none surer.
    """
    winner = _count(reads, colour)
    if not winner.valid and (valid := [read for read in reads if read.valid]):
        winner = _count(valid, colour)
        share = sum(map(_weight, valid)) / sum(map(_weight, reads))
        winner = msgspec.structs.replace(winner, confidence=winner.confidence * share)
    return _narrowed(_measured(winner, reads), reads)


def agreeing(reads: Sequence[PlateText], voted: PlateText) -> int:
    """Count the readings that say letter for letter what was voted, repaired or not."""
    return sum(read.text == voted.text for read in reads)


def support(reads: Sequence[PlateText], voted: PlateText) -> int:
    """Count the readings that bear out the least supported character of what was voted."""
    alike = [read.raw for read in reads if len(read.raw) == len(voted.raw)]
    return min((sum(raw[n] == c for raw in alike) for n, c in enumerate(voted.raw)), default=0)


def majority(colours: Sequence[Colour]) -> Colour:
    """Give the commonest known colour."""
    known = Counter(colour for colour in colours if colour != "unknown")
    return known.most_common(1)[0][0] if known else "unknown"


def _weight(read: PlateText) -> float:
    return VALID_WEIGHT if read.valid and not read.repaired else 1


def _sureness(percent: float) -> float:
    return (percent + 1) ** SURENESS  # one, so that readings without any confidence count too


def _count(reads: Sequence[PlateText], colour: Colour) -> PlateText:
    lengths: defaultdict[int, float] = defaultdict(float)
    for read in reads:
        lengths[len(read.raw)] += _weight(read) * _sureness(sum(read.char_confidence) / max(1, len(read.raw)))
    length = max(lengths, key=lambda n: (lengths[n], n))
    voters = [read for read in reads if len(read.raw) == length]

    raw = ""
    confidence: list[int] = []
    instead: list[Instead] = []
    for place in range(length):
        votes: defaultdict[str, float] = defaultdict(float)
        surest: defaultdict[str, int] = defaultdict(int)
        for read in voters:
            character, sure = read.raw[place], read.char_confidence[place]
            votes[character] += _weight(read) * _sureness(sure)
            surest[character] = max(surest[character], sure)
        best = max(votes, key=lambda character: (votes[character], character))
        raw += best
        confidence.append(round(surest[best] * votes[best] / sum(votes.values())))
        instead.append(_instead(voters, place, best))

    layouts: Counter[Layout] = Counter(read.layout for read in voters)
    return understand(raw, confidence, layouts.most_common(1)[0][0], colour, instead)


def _instead(voters: Sequence[PlateText], place: int, best: str) -> Instead:
    """Give what the voters saw at a place of the other kind than `best`, and their mean per cent for it."""
    seen: defaultdict[str, int] = defaultdict(int)
    for read in voters:
        if read.raw[place].isdigit() != best.isdigit():
            seen[read.raw[place]] += read.char_confidence[place]
        elif read.instead:
            seen[read.instead[place][0]] += read.instead[place][1]
    other = max(seen, key=lambda character: (seen[character], character), default="")
    return other, round(seen[other] / len(voters))


def _measured(winner: PlateText, reads: Sequence[PlateText]) -> PlateText:
    """Make the winner no surer than its surest reading: what a reading's confidence is worth was measured."""
    surest = max((read.confidence for read in reads if read.text == winner.text), default=UNSEEN)
    return msgspec.structs.replace(winner, confidence=min(winner.confidence, surest))


def _narrowed(winner: PlateText, reads: Sequence[PlateText]) -> PlateText:
    """Take the classes that most agreeing readings saw where they are fewer: they knew where the line breaks."""
    seen = Counter(read.classes for read in reads if read.text == winner.text and read.classes)
    if not seen:
        return winner
    classes = seen.most_common(1)[0][0]
    if not set(classes) < set(winner.classes):
        return winner
    return msgspec.structs.replace(winner, classes=classes)
