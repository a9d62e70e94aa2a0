"""Clocks that are wrong, set back and set right: no time is given twice, and polls neither storm nor stop."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transcripts import sensor

from edge_agent.clock import Clock
from edge_agent.contract.sane import SANE_SINCE
from edge_agent.health import Health
from edge_agent.station.poll import MAX_SLEEP_MS, SLIP_MS, Polled
from edge_agent.station.stamps import AHEAD_MS, Given, Stamps

HOUR = 3_600_000
START = SANE_SINCE + 24 * HOUR


def test_a_clock_that_goes_wrong_goes_on_from_where_it_was_right() -> None:
    shown, steady = 1000, 0
    clock = Clock(lambda: shown, lambda: steady)
    assert clock() == 1000, "as long as it was never right, it says so"
    shown, steady = START, 10_000
    assert clock() == START
    shown, steady = 1000, 13_000
    assert clock() == START + 3000
    shown = 2**62
    assert clock() == START + 3000
    shown = START - HOUR
    assert clock() == START - HOUR, "set back, but it may be right"


class Station:
    """A sensor that is polled as `poll.py` does it, on a clock that is set; `real` is what no one sets."""

    def __init__(self, every_s: int, file: Path | None = None) -> None:
        self.real = self.wrong_by = 0
        self.file, self.every_s = file, every_s
        self.given: list[int] = []
        self.polled_at: list[int] = []
        self.start()

    @property
    def now(self) -> int:
        return START + self.real + self.wrong_by

    def start(self) -> None:
        self.polled = Polled("a", sensor(driver="sds011", every_s=self.every_s), self.now)
        self.noted = Given(self.file, Health())
        self.stamps = Stamps(self.noted)

    def run(self, seconds: int) -> None:
        """Let time pass, with as many looks at the clock as the agent would have."""
        end = self.real + seconds * 1000
        while self.real < end:
            self.polled.clock_looked_at(self.now)
            if (wait := self.polled.begins - self.now) > 0:
                self.real = min(end, self.real + min(wait, MAX_SLEEP_MS))
                continue
            at, _ = self.polled.begin(self.now)
            self.given.append(self.stamps.give(at))
            self.polled_at.append(self.real)


STEPS = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([1, 300, 60_000, HOUR, 30 * HOUR]), st.integers(-5, 5)), max_size=12
)


@settings(max_examples=150)
@given(every_s=st.sampled_from([1, 7, 60]), steps=STEPS, restarts=st.sets(st.integers(0, 11)))
def test_whatever_the_clock_does_no_time_is_given_twice_and_polls_keep_their_pace(
    tmp_path_factory: pytest.TempPathFactory,
    every_s: int,
    steps: list[tuple[int, int, int]],
    restarts: set[int],
) -> None:
    station = Station(every_s, tmp_path_factory.mktemp("state") / "polls")
    for n, (seconds, unit, times) in enumerate(steps):
        station.run(seconds)
        station.wrong_by += unit * times
        if n in restarts:
            station.start()  # killed: nothing was closed
    station.run(300)
    assert len(set(station.given)) == len(station.given)
    pauses = [b - a for a, b in zip(station.polled_at, station.polled_at[1:], strict=False)]
    assert max(pauses) <= 2 * every_s * 1000 + SLIP_MS + MAX_SLEEP_MS, "it never stops"
    assert len(station.given) <= station.real / 1000 / every_s + 1 + len(steps), "nor storms"
    assert all(at % 1000 <= 999 and at // 1000 % every_s == 0 for at in station.given), "still at its whole seconds"


def test_an_hour_that_is_polled_again_has_other_milliseconds_and_new_hours_have_none(tmp_path: Path) -> None:
    station = Station(60, tmp_path / "polls")

    def milliseconds(seconds: int) -> list[int]:
        """Of the times of the polls of the next seconds."""
        before = len(station.given)
        station.run(seconds)
        return [at % 1000 for at in station.given[before:]]

    assert milliseconds(3600 + 10) == [0] * 60
    station.wrong_by = -HOUR
    assert milliseconds(1800) == [1] * 30
    station.wrong_by = -2 * HOUR
    assert milliseconds(2 * 3600) == [2] * 90 + [0] * 30, "no more where nothing was polled yet"
    station.noted.close()
    station.start()
    assert milliseconds(120) == [0, 0], "an agent that was asked to end goes on as before"
    station.start()
    assert milliseconds(120) == [3, 3], "one that was killed steps aside"
    assert milliseconds(2 * AHEAD_MS // 1000)[-1] == 0


def test_what_was_polled_is_noted_once_an_hour(tmp_path: Path) -> None:
    station = Station(1, tmp_path / "polls")
    marks = set()
    for _ in range(4 * 360):
        station.run(10)
        marks.add((tmp_path / "polls").stat().st_ino)
    assert 1 <= len(marks) <= 5


@pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"12", b"-5 -7\n", b"9" * 5000])
def test_a_damaged_note_is_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "polls").write_bytes(damage)
    station = Station(60, tmp_path / "polls")
    station.run(130)
    assert [at % 1000 for at in station.given] == [0, 0]


def test_a_disk_that_takes_no_note_is_counted_and_polls_go_on(tmp_path: Path) -> None:
    station = Station(60, tmp_path / "gone" / "polls")
    health = Health()
    Given(tmp_path / "gone" / "polls", health).note(START, 0)
    station.run(130)
    assert health.counters == {"clock.not_noted": 1}
    assert len(station.given) == 2
