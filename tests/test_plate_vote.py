"""What several readings of one plate say together; on vehicles by the hundred it must beat their best single frame."""

from __future__ import annotations

import random

import pytest
from lookalikes import offered
from played_sights import GONE_MS, play, quad_at, sight

from edge_agent.camera.plates.grammar import understand
from edge_agent.camera.plates.read import PlateText, Sight
from edge_agent.camera.plates.tracker import Tracker
from edge_agent.camera.plates.vote import vote


def test_a_repair_is_made_after_the_vote_and_the_raw_text_kept() -> None:
    tracker = Tracker(GONE_MS)
    (said,) = play(tracker, [[sight("6BA12345")]] * 3)
    assert (said.read.raw, said.read.text, said.read.repaired) == ("6BA12345", "68A12345", True)
    # one frame that read it right is enough to keep the reader from guessing elsewhere
    voted = vote([sight("6BA12345", sure=50).read, sight("68A12345").read], "white")
    assert (voted.raw, voted.repaired) == ("68A12345", False)


def test_what_a_repair_may_use_is_what_the_frames_saw_together() -> None:
    def seen(raw: str, letter: str, sure: int) -> PlateText:
        instead = [*offered("68"), (letter, sure), *offered("12345")]
        return understand(raw, [90] * 8, "one", "white", instead)

    weak, strong = seen("68012345", "D", 30), seen("68012345", "C", 80)
    assert not weak.valid
    voted = vote([weak, strong, strong], "white")
    assert (voted.text, voted.instead[2], voted.confidence) == ("68C12345", ("C", 53), 0.53)
    alone = vote([weak, weak, strong], "white")  # the other two saw nothing of the kind
    assert (alone.text, round(alone.confidence, 3)) == ("68C12345", 0.267)
    # a frame that read the letter itself speaks for it too
    voted = vote([weak, weak, weak, seen("68C12345", "0", 10)], "white")
    assert voted.text == "68C12345"


def test_disagreement_lowers_the_confidence_of_just_that_character() -> None:
    voted = vote([sight("68A12345").read, sight("68A12345").read, sight("68A17345").read], "white")
    assert voted.text == "68A12345"
    assert [place for place, percent in enumerate(voted.char_confidence) if percent < 90] == [4]
    assert voted.confidence == 0.63


def test_one_near_frame_outvotes_the_far_ones_that_err_alike() -> None:
    def seen(text: str, fifth: int) -> PlateText:
        return understand(text, [90, 90, 90, 90, fifth, 90, 90, 90])

    voted = vote([*[seen("68A1B345", 40)] * 3, seen("68A18345", 97)], "white")
    assert (voted.text, voted.char_confidence[4]) == ("68A18345", 93)  # a little less: others saw something else


def test_being_many_makes_no_reading_surer_than_its_surest() -> None:
    voted = vote([sight("68A12345", sure=60).read] * 20, "white")
    assert voted.confidence == 0.6


# Vehicles by the hundred, read with errors. A confidence of 80 is right in 80 of 100 cases: the readings are honest.

LOOKALIKES = {"0": "OD8", "1": "7I4", "2": "Z7", "3": "8B", "4": "LA1", "5": "S6", "6": "G8", "7": "1T", "8": "B3",
              "9": "0", "A": "4", "C": "0G", "K": "X", "F": "P"}  # fmt: skip
VEHICLES = 400


def chances(kind: str, nearness: float, difficulty: float, chance: random.Random) -> float:
    """How likely one character is read right in a frame; `nearness` goes from 0 to 1 as the vehicle comes."""
    match kind:
        case "any frame may be the best":
            return min(0.99, max(0.3, chance.betavariate(6, 1.2) * (0.7 + 0.3 * chance.random())))
        case "it comes nearer":
            return max(0.35, 0.995 - (1 - nearness) * 0.75 * difficulty)
        case _:  # some characters are hard in every frame
            return max(0.35, 0.995 - (1 - nearness * chance.random()) * 0.75 * difficulty)


def passing(kind: str, frames: int, chance: random.Random) -> tuple[str, list[PlateText]]:
    """A plate, and how the frames of its pass read it: a character that is misread is mostly misread alike."""
    text = f"68{chance.choice('ACFK')}{chance.randrange(100_000):05}"
    taken_for = [chance.choice(LOOKALIKES[character]) for character in text]
    difficulty = [chance.random() for _ in text]
    reads = []
    for frame in range(1, frames + 1):
        right = [chances(kind, frame / frames, hard, chance) for hard in difficulty]
        raw = "".join(
            character if chance.random() < share else wrong
            for character, share, wrong in zip(text, right, taken_for, strict=True)
        )
        reads.append(understand(raw, [round(100 * share) for share in right], "one", "white", offered(raw)))
    return text, reads


@pytest.mark.parametrize("frames", [3, 8, 20])
@pytest.mark.parametrize("kind", ["any frame may be the best", "it comes nearer", "hard characters stay hard"])
def test_the_vote_reads_better_than_the_best_frame(kind: str, frames: int) -> None:
    chance = random.Random(f"{kind} {frames}")
    voted_right = best_right = sure = sure_right = 0
    for _ in range(VEHICLES):
        text, reads = passing(kind, frames, chance)
        voted = vote(reads, "white")
        voted_right += voted.text == text
        best_right += max(reads, key=lambda read: read.confidence).text == text
        sure += voted.confidence >= 0.9
        sure_right += voted.confidence >= 0.9 and voted.text == text
    print(f"{kind}, {frames} frames: vote {voted_right / VEHICLES:.1%}, best frame {best_right / VEHICLES:.1%} exact")
    assert voted_right > best_right
    assert sure_right >= 0.99 * sure


def test_followed_through_its_frames_a_vehicle_is_said_once_and_better_than_its_best_frame() -> None:
    chance = random.Random(20260101)
    right = best_right = sure_wrong = 0
    for number in range(VEHICLES):
        text, reads = passing("any frame may be the best", 8, chance)
        tracker = Tracker(GONE_MS, decide_ms=10_000)
        frames = [[Sight(quad=quad_at(100 + 20 * chance.random()), colour="white", read=read)] for read in reads]
        said = play(tracker, frames, start=number * 100_000) + tracker.flush()
        assert len(said) <= 1
        best_right += max(reads, key=lambda read: read.confidence).text == text
        right += any(one.read.text == text for one in said)
        sure_wrong += any(one.read.text != text and one.read.confidence >= 0.9 for one in said)
    print(f"tracked: said {right / VEHICLES:.1%}, best frame {best_right / VEHICLES:.1%} exact")
    assert right > best_right + VEHICLES * 0.1
    assert sure_wrong <= VEHICLES * 0.01
