"""Vehicles that pass a camera, played as sights frame by frame: each must be said once, and read better than seen."""

from __future__ import annotations

import random

from lookalikes import offered

from edge_agent.camera.plates.grammar import rank, understand
from edge_agent.camera.plates.read import PlateText, Quad, Sight
from edge_agent.camera.plates.track import MOST_READS, Pass
from edge_agent.camera.plates.tracker import MOST_TRACKS, Tracker
from edge_agent.camera.plates.vote import vote
from edge_agent.contract.events import Colour

GONE_MS = 3000
FRAME_MS = 200


def quad_at(x: float, y: float = 300, width: float = 100, height: float = 70) -> Quad:
    return (x, y), (x + width, y), (x + width, y + height), (x, y + height)


def sight(text: str, x: float = 100, *, sure: int = 95, colour: Colour = "white", width: float = 100) -> Sight:
    read = understand(text, [sure] * len(text.replace("\n", "")), None, colour, offered(text))
    return Sight(quad=quad_at(x, width=width), colour=colour, read=read)


def play(tracker: Tracker, frames: list[list[Sight]], start: int = 0) -> list[Pass]:
    """Feed a frame every 200 ms; the frame object is its time."""
    return [
        said
        for number, sights in enumerate(frames)
        for said in tracker.update(start + number * FRAME_MS, sights, start + number * FRAME_MS)
    ]


def test_a_pass_is_said_once_as_soon_as_frames_agree() -> None:
    tracker = Tracker(GONE_MS)
    assert play(tracker, [[sight("68A12345", 100)], [sight("68A12345", 130)]]) == []
    (said,) = play(tracker, [[sight("68A12345", 160, width=140)]], start=400)
    assert (said.read.text, said.read.valid, said.colour) == ("68A12345", True, "white")
    assert (said.first, said.last, said.frames) == (0, 400, 3)
    assert (said.best_at, said.frame, said.quad) == (400, 400, quad_at(160, width=140))  # the largest of equal reads
    assert play(tracker, [[sight("68A12345", 190)]] * 10, start=600) == []
    assert tracker.flush() == []
    assert tracker.dropped == 0


def test_a_vehicle_that_stands_for_minutes_is_one_pass() -> None:
    tracker = Tracker(GONE_MS)
    said = play(tracker, [[sight("68A12345")] if n % 7 else [] for n in range(3000)])
    assert len(said + tracker.flush()) == 1


def test_a_vehicle_that_comes_back_is_a_new_pass() -> None:
    tracker = Tracker(GONE_MS)
    first = play(tracker, [[sight("68A12345")]] * 4)
    assert tracker.update(600 + GONE_MS, [sight("68A12345")], None) == []  # unseen for so long, no longer
    again = play(tracker, [[sight("68A12345")]] * 4, start=600 + 2 * GONE_MS + 1)
    assert [len(first), len(again)] == [1, 1]
    assert again[0].first == 600 + 2 * GONE_MS + 1


def test_a_vehicle_stands_on_while_nothing_moves() -> None:
    tracker = Tracker(GONE_MS)
    said = play(tracker, [[sight("68A12345")]] * 4)
    for at in range(800, 60_000, FRAME_MS):
        said += tracker.still(at)
    said += play(tracker, [[sight("68A12345")]] * 4, start=60_000)
    assert len(said) == 1


def test_a_vehicle_that_left_before_nothing_moved_is_gone() -> None:
    tracker = Tracker(GONE_MS)
    said = play(tracker, [[sight("68A12345")]] * 4 + [[]] * 5)
    for at in range(1800, 10_000, FRAME_MS):
        said += tracker.still(at)
    said += play(tracker, [[sight("68A12345")]] * 4, start=10_000)
    assert len(said) == 2


def test_an_unsettled_track_is_said_at_its_end_if_two_frames_bear_it_out() -> None:
    tracker = Tracker(GONE_MS)
    assert play(tracker, [[sight("68A12345", sure=60)]] * 2) == []
    (said,) = tracker.update(200 + GONE_MS + 1, [], None)
    assert (said.read.text, said.last, said.frames) == ("68A12345", 200, 2)


def test_frames_that_misread_different_characters_bear_each_other_out() -> None:
    tracker = Tracker(GONE_MS)
    play(tracker, [[sight(text, sure=60)] for text in ("68A12346", "68A17345", "88A12345")])
    assert [said.read.text for said in tracker.flush()] == ["68A12345"]
    play(tracker, [[sight(text, sure=60)] for text in ("68A12346", "68A17345")], start=10_000)
    assert tracker.flush() == []
    assert tracker.dropped == 1


def test_a_single_sight_must_be_sure() -> None:
    tracker = Tracker(GONE_MS, sure=0.9)
    play(tracker, [[sight("68A12345", sure=92)]])
    assert [said.read.text for said in tracker.flush()] == ["68A12345"]
    play(tracker, [[sight("68A12345", sure=88)]], start=1000)
    assert tracker.flush() == []
    assert tracker.dropped == 1


def test_the_time_limit_settles_what_is_unsure() -> None:
    tracker = Tracker(GONE_MS, decide_ms=1000)
    frames = [[sight("68A12345", sure=60)]] * 8
    said = play(tracker, frames)
    assert [(one.last, one.frames) for one in said] == [(1000, 6)]


def test_what_is_no_plate_is_said_when_it_is_gone_as_it_was_read() -> None:
    tracker = Tracker(GONE_MS, decide_ms=1000)
    assert play(tracker, [[sight("UN4821XX")]] * 10) == []
    (said,) = tracker.flush()
    assert (said.read.text, said.read.valid) == ("UN4821XX", False)


def test_vehicles_side_by_side_are_told_apart() -> None:
    tracker = Tracker(GONE_MS)
    frames = [[sight("68A12346", 320 + 15 * n), sight("68A12345", 100 + 15 * n)] for n in range(6)]
    assert sorted(said.read.text for said in play(tracker, frames)) == ["68A12345", "68A12346"]


def test_the_next_vehicle_in_the_same_place_is_another_pass() -> None:
    tracker = Tracker(GONE_MS)
    frames = [[sight("68A12345")]] * 4 + [[]] * 3 + [[sight("68C77091")]] * 4
    assert [said.read.text for said in play(tracker, frames)] == ["68A12345", "68C77091"]


def test_a_fast_vehicle_is_followed_by_its_text() -> None:
    tracker = Tracker(GONE_MS)
    said = play(tracker, [[sight("68A12345", 20)], [sight("68A12345", 900)], [sight("68A12345", 1800)]])
    assert len(said + tracker.flush()) == 1


def test_a_misread_in_the_same_place_is_the_same_vehicle() -> None:
    tracker = Tracker(GONE_MS)
    frames = [[sight("68A12345", 100)], [sight("XXQ", 105, sure=30)], [sight("68A12345", 110)]] * 2
    (said,) = play(tracker, frames) + tracker.flush()
    assert said.read.text == "68A12345"
    assert tracker.dropped == 0


def test_a_plate_found_twice_in_one_frame_is_one_pass() -> None:
    tracker = Tracker(GONE_MS)
    frames = [[sight("68A12345", 100), sight("8A12345", 110), sight("68A12345", 600)]] * 4
    assert len(play(tracker, frames) + tracker.flush()) == 1


def test_two_tracks_that_turn_out_as_one_vehicle_are_said_once() -> None:
    tracker = Tracker(GONE_MS)
    play(tracker, [[sight("68A12345", 100)], [sight("68K92745", 900, sure=50)]])  # two letters of one vehicle misread
    said = play(tracker, [[sight("68A12345", 900)]] * 6, start=400)
    assert [one.read.text for one in said + tracker.flush()] == ["68A12345"]


def test_the_colour_is_that_of_most_frames_that_know_it() -> None:
    tracker = Tracker(GONE_MS)
    colours: list[Colour] = ["unknown", "yellow", "white", "yellow", "unknown", "unknown"]
    play(tracker, [[sight("68A12345", colour=colour, sure=70)] for colour in colours])
    assert [said.colour for said in tracker.flush()] == ["yellow"]


def test_the_line_breaks_of_the_frames_narrow_the_classes() -> None:
    tracker = Tracker(GONE_MS)
    (said,) = play(tracker, [[sight("68B1\n1234")]] * 3)
    assert (said.read.text, said.read.layout, said.read.classes) == ("68B11234", "two", ("moto_old",))


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


def test_being_many_makes_no_reading_surer_than_its_surest() -> None:
    voted = vote([sight("68A12345", sure=60).read] * 20, "white")
    assert voted.confidence == 0.6


def test_a_clock_that_is_set_back_ends_what_was_open() -> None:
    tracker = Tracker(GONE_MS)
    play(tracker, [[sight("68A12345")]] * 2, start=1_000_000)
    (said,) = tracker.update(5000, [], None)
    assert said.last == 1_000_200
    assert tracker.still(4000) == []


def test_memory_is_bounded() -> None:
    tracker = Tracker(GONE_MS, settle_confidence=1, decide_ms=10**9)
    play(tracker, [[sight("68A12345")]] * (3 * MOST_READS))
    crowd = [sight(f"{n:02}X{n * 7919 % 100000:05}", 300 * n) for n in range(4 * MOST_TRACKS)]
    said = tracker.update(100_000, crowd, None)
    assert said[0].frames == MOST_READS
    assert tracker.dropped + len(said) >= 3 * MOST_TRACKS
    assert tracker.dropped + len(said) + len(tracker.flush()) <= 1 + 4 * MOST_TRACKS


class Collected:
    """A frame that tells when nobody holds it any more."""

    def __init__(self, number: int, alive: set[int]) -> None:
        self.number, self.alive = number, alive
        alive.add(number)

    def __del__(self) -> None:
        self.alive.discard(self.number)


def test_a_track_holds_one_frame_and_none_once_it_was_said() -> None:
    alive: set[int] = set()
    tracker = Tracker(GONE_MS)
    for number in range(2):
        tracker.update(number * FRAME_MS, [sight("68A12345", width=100 + number)], Collected(number, alive))
    assert alive == {1}
    said = tracker.update(400, [sight("68A12345")], Collected(2, alive))
    assert len(said) == 1
    said.clear()
    assert alive == set()


LOOKALIKES = {"0": "OD8", "1": "7I4", "2": "Z7", "3": "8B", "4": "LA1", "5": "S6", "6": "G8", "7": "1T", "8": "B3",
              "9": "0", "A": "4", "C": "0G", "K": "X", "F": "P"}  # fmt: skip


def noisy(text: str, chance: random.Random) -> Sight:
    """Read a plate as a reader at its limits does: one character in six wrong, and then mostly less sure."""
    raw, confidence = "", []
    for character in text:
        wrong = chance.random() < 1 / 6
        raw += chance.choice(LOOKALIKES[character]) if wrong else character
        confidence.append(chance.randint(30, 85) if wrong else chance.randint(60, 99))
    if chance.random() < 0.1:
        raw, confidence = raw[1:], confidence[1:]
    read: PlateText = understand(raw, confidence, "one", "white", offered(raw))
    return Sight(quad=quad_at(100 + chance.random() * 20), colour="white", read=read)


def test_the_vote_reads_better_than_the_best_frame() -> None:
    chance = random.Random(20260101)
    voted_right = best_right = valid_wrong = 0
    vehicles = 200
    for number in range(vehicles):
        text = f"68{chance.choice('ACFK')}{chance.randrange(100_000):05}"
        sights = [noisy(text, chance) for _ in range(8)]
        tracker = Tracker(GONE_MS, decide_ms=10_000)
        said = play(tracker, [[one] for one in sights], start=number * 60_000) + tracker.flush()
        assert len(said) <= 1
        best = max((one.read for one in sights), key=rank)
        best_right += best.text == text
        voted_right += any(one.read.text == text for one in said)
        valid_wrong += any(one.read.text != text and one.read.valid for one in said)
    assert voted_right > best_right + vehicles * 0.1
    assert voted_right > vehicles * 0.85
    assert valid_wrong < vehicles * 0.1
