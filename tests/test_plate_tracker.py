"""Vehicles that pass a camera, played as sights frame by frame: each must be said once."""

from __future__ import annotations

import pytest
from played_sights import FRAME_MS, GONE_MS, play, quad_at, sight

from edge_agent.camera.plates.track import MOST_READS
from edge_agent.camera.plates.tracker import MOST_TRACKS, OUTAGE_MS, Tracker
from edge_agent.contract.events import Colour


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


@pytest.mark.parametrize("frame_ms", [GONE_MS - 100, GONE_MS + 100, 10_000, OUTAGE_MS])
def test_a_vehicle_stands_on_while_a_frame_takes_long_to_read(frame_ms: int) -> None:
    tracker = Tracker(GONE_MS)
    said = play(tracker, [[sight("68A12345")] if n % 5 else [] for n in range(60)], every=frame_ms)
    assert [one.read.text for one in said + tracker.flush()] == ["68A12345"]


def test_where_frames_are_rare_another_vehicle_in_the_same_place_is_another_pass() -> None:
    tracker = Tracker(GONE_MS)
    frames = [[sight(text)] for text in ("68A12345", "68A12345", "68A12678", "68A12678")]
    said = play(tracker, frames, every=GONE_MS + 100) + tracker.flush()
    assert [one.read.text for one in said] == ["68A12345", "68A12678"]


def test_after_an_outage_of_the_camera_all_is_new() -> None:
    tracker = Tracker(GONE_MS)
    first = play(tracker, [[sight("68A12345")]] * 4)
    again = play(tracker, [[sight("68A12345")]] * 4, start=601 + OUTAGE_MS)
    assert [len(first), len(again)] == [1, 1]


@pytest.mark.parametrize(("away_ms", "passes"), [(GONE_MS // 2, 1), (GONE_MS, 1), (GONE_MS + 2 * FRAME_MS, 2)])
def test_a_vehicle_that_comes_back_is_a_new_pass_only_once_it_was_gone(away_ms: int, passes: int) -> None:
    tracker = Tracker(GONE_MS)
    there = [[sight("68A12345")]] * 4
    said = play(tracker, [*there, *[[]] * (away_ms // FRAME_MS), *there])
    assert len(said) == passes
    if passes == 2:
        assert said[1].first == 800 + away_ms


@pytest.mark.parametrize("frame_ms", [FRAME_MS, GONE_MS + 100])
def test_a_vehicle_that_left_before_one_like_it_came_is_gone(frame_ms: int) -> None:
    tracker = Tracker(GONE_MS)
    frames = [[sight("68A12345")]] * 4 + [[]] * (2 * GONE_MS // min(frame_ms, GONE_MS // 2)) + [[sight("68A12346")]] * 4
    assert [said.read.text for said in play(tracker, frames, every=frame_ms)] == ["68A12345", "68A12346"]


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
    tracker = Tracker(GONE_MS, decide_ms=10**9)
    assert play(tracker, [[sight("68A12345", sure=60)]] * 2 + [[]] * (GONE_MS // FRAME_MS)) == []
    (said,) = play(tracker, [[]], start=400 + GONE_MS)
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


@pytest.mark.parametrize("step", [15, 100, 220, 900])
@pytest.mark.parametrize("gap", [130, 220, 440])
def test_a_convoy_of_similar_plates_is_told_apart_however_fast_it_moves(step: float, gap: float) -> None:
    tracker = Tracker(GONE_MS)
    numbers = ("68A12345", "68A12346", "68A12845")
    frames = [[sight(text, 2000 + n * step - place * gap) for place, text in enumerate(numbers)] for n in range(6)]
    frames[2][1] = sight("68A1Z346", 2000 + 2 * step - gap, sure=60)
    said = play(tracker, frames) + tracker.flush()
    assert sorted(one.read.text for one in said) == sorted(numbers)
    assert [one.read.confidence for one in said if one.read.text != numbers[1]] == [0.95] * 2  # no neighbour voted


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


def test_of_a_long_pass_the_surest_readings_vote() -> None:
    tracker = Tracker(GONE_MS, settle_confidence=1, decide_ms=10**9)
    far = [[sight("68A12845", sure=70)]] * (3 * MOST_READS)
    play(tracker, [[sight("68A12345")]] * 12 + far)
    assert [said.read.text for said in tracker.flush()] == ["68A12345"]


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
