"""Which hours have new samples: every consumer learns of each, and a touch is forgotten only when it was dealt with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event

from collector.averages import touched as module
from collector.averages.touched import TAKEN, TOUCHED, Touched
from collector.database import METADATA

HOUR = 3_600_000
CYCLE = 300_000
T0 = 1_780_000_200_000 // HOUR * HOUR
LATER = T0 + 1000 * HOUR


def note(touched: Touched, *times: int, station: str = "air-01") -> None:
    touched.note([(station, np.array(times, np.int64))])


def starts(touched: Touched, consumer: str = "averages", before: int = LATER, limit: int = 100) -> list[int]:
    return [touch.start for touch in touched.take(consumer, before=before, limit=limit)]


def test_each_consumer_gets_stretches_of_its_own_length_and_is_done_by_itself(engine: Engine) -> None:
    touched = Touched(engine, {"averages": HOUR, "regulator": CYCLE})
    note(touched, T0 + 1, T0 + CYCLE, T0 + CYCLE + 7, T0 + 2 * HOUR - 1)
    assert starts(touched) == [T0, T0 + HOUR]
    assert starts(touched, "regulator") == [T0, T0 + CYCLE, T0 + 2 * HOUR - CYCLE]
    touched.done("averages", touched.take("averages", before=LATER, limit=100))
    assert starts(touched) == []
    assert len(starts(touched, "regulator")) == 3


def test_only_what_has_ended_is_given_oldest_first_and_stays_until_it_is_done(engine: Engine) -> None:
    touched = Touched(engine, {"averages": HOUR})
    note(touched, T0 + 2 * HOUR, T0)
    note(touched, T0 + HOUR, station="air-02")
    assert starts(touched, before=T0 + HOUR - 1) == []
    assert starts(touched, before=T0 + HOUR) == [T0]
    assert starts(touched, limit=2) == starts(touched, limit=2) == [T0, T0 + HOUR]
    touched.done("averages", touched.take("averages", before=LATER, limit=2))
    assert starts(touched) == [T0 + 2 * HOUR]


def test_what_is_touched_again_after_it_was_taken_is_not_done(engine: Engine) -> None:
    touched = Touched(engine, {"averages": HOUR})
    note(touched, T0, T0 + HOUR)
    taken = touched.take("averages", before=LATER, limit=10)
    note(touched, T0 + 5)
    touched.done("averages", taken)
    assert starts(touched) == [T0]


def test_a_restart_forgets_nothing(engine: Engine) -> None:
    touched = Touched(engine, {"averages": HOUR})
    note(touched, T0)
    touched.take("averages", before=LATER, limit=10)
    again = Touched(engine, {"averages": HOUR, "new": HOUR})
    assert starts(again) == [T0], "taken and not done"
    assert starts(again, "new") == [], "a new consumer begins now"
    note(again, T0)
    assert starts(again, "new") == [T0]


def test_samples_of_an_hour_that_is_noted_already_write_nothing(engine: Engine) -> None:
    touched = Touched(engine, {"averages": HOUR})
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    for second in range(100):
        note(touched, T0 + second * 1000)
    assert len(commits) == 1
    touched.take("averages", before=LATER, limit=10)
    del commits[:]
    note(touched, T0)
    assert len(commits) == 1, "it was taken meanwhile"


def test_what_is_remembered_is_bounded_and_nothing_is_lost_by_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    touched = Touched(engine, {"averages": HOUR})
    for hour in (*range(10), *range(10)):
        note(touched, T0 + hour * HOUR)
    assert starts(touched) == [T0 + hour * HOUR for hour in range(10)]


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("note"), st.lists(st.integers(0, 5 * HOUR), min_size=1, max_size=4)),
            st.tuples(st.just("take"), st.integers(1, 4)),
            st.tuples(st.just("done"), st.just(0)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_every_touch_is_dealt_with_after_it_whatever_the_order(steps: list[tuple[str, object]]) -> None:
    """An hour that has a touch later than the last `take` that was done with it is always still to be taken."""
    engine = create_engine("sqlite://")
    METADATA.create_all(engine, tables=[TOUCHED, TAKEN])
    touched, taken, due = Touched(engine, {"averages": HOUR}), [], set()
    owed: set[int] = set()  # of what was taken, hours that nothing touched since
    for step, given_ in steps:
        if step == "note":
            hours = {at // HOUR * HOUR for at in given_}
            note(touched, *given_)
            due |= hours
            owed -= hours
        elif step == "take":
            taken = touched.take("averages", before=LATER, limit=given_)
            owed = {touch.start for touch in taken}
        elif step == "done":
            touched.done("averages", taken)
            due -= owed
            taken, owed = [], set()
        else:
            touched, taken, owed = Touched(engine, {"averages": HOUR}), [], set()
        assert sorted(due) == [row.start for row in engine.connect().execute(TOUCHED.select())]
    assert starts(touched) == sorted(due)
