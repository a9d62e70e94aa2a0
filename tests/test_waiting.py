"""What waits for the sinks: plates first, bounded by what is soon worked through."""

from __future__ import annotations

import time

import pytest

from collector.batch import Message
from collector.waiting import BATCH, LEAST, MANY, MOST, MOST_BYTES, OVERDUE_S, Waiting
from edge_agent.contract.topics import up


def message(kind: str, number: int = 0, size: int = 10) -> Message:
    return Message(up("air-01", kind), bytes(size), number)


def filled(plates: int, readings: int) -> Waiting:
    waiting = Waiting()
    for n in range(readings):
        assert waiting.put(message("readings", n))
    for n in range(plates):
        assert waiting.put(message("plates", n))
    return waiting


def test_plates_are_taken_before_readings_that_came_earlier_each_in_their_order() -> None:
    batch = filled(plates=3, readings=BATCH).take()
    assert [m.topic.rpartition("/")[2] for m in batch] == ["plates"] * 3 + ["readings"] * (BATCH - 3)
    assert [m.received for m in batch] == [0, 1, 2, *range(BATCH - 3)]


def test_plates_without_end_leave_a_quarter_to_the_rest() -> None:
    waiting = filled(plates=2 * BATCH, readings=2 * BATCH)
    batch = waiting.take()
    assert len(batch) == BATCH
    assert sum(m.topic.endswith("plates") for m in batch) == BATCH * 3 // 4
    assert len(waiting) == 3 * BATCH


@pytest.mark.parametrize(("plates", "size", "taken"), [(0, 100, MANY), (0, 1000, BATCH), (1, 100, BATCH)])
def test_small_messages_are_taken_many_at_once_unless_a_plate_would_wait(plates: int, size: int, taken: int) -> None:
    waiting = filled(plates=plates, readings=0)
    for n in range(2 * MANY):
        assert waiting.put(message("readings", n, size))
    assert len(waiting.take()) == taken
    assert len(waiting) == plates + 2 * MANY - taken


def test_everything_comes_out_once() -> None:
    waiting, taken = filled(plates=750, readings=30), 0
    while waiting:
        taken += len(waiting.take())
    assert taken == 780


def test_slow_sinks_let_little_wait_and_fast_ones_much() -> None:
    waiting = Waiting()
    assert waiting.room == MOST
    for _ in range(20):
        waiting.worked(BATCH, 4.0)  # 100 a second
    assert waiting.room == pytest.approx(300, rel=0.02)
    for _ in range(20):
        waiting.worked(BATCH, 400.0)
    assert waiting.room == LEAST
    for _ in range(50):
        waiting.worked(3, 0.1)  # they keep up
    assert waiting.room == MOST


def test_a_full_queue_takes_plates_and_statuses_all_the_same() -> None:
    waiting = Waiting()
    for _ in range(20):
        waiting.worked(BATCH, 400.0)
    for n in range(LEAST):
        assert waiting.put(message("readings", n))
    assert not waiting.put(message("readings"))
    assert waiting.put(message("plates"))
    assert waiting.put(message("status"))


def test_who_was_refused_for_long_goes_before_who_just_came(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    waiting = Waiting()
    for _ in range(20):
        waiting.worked(BATCH, 400.0)
    for n in range(LEAST):
        assert waiting.put(message("readings", n))
    late = [Message(up(f"air-{n}", "readings"), b"", n) for n in range(LEAST + 1)]
    assert not any(map(waiting.put, late))
    now += OVERDUE_S - 1
    assert not any(map(waiting.put, late)), "their first refusal counts, not each"
    now += 1
    assert not waiting.put(message("readings"))
    assert list(map(waiting.put, late)) == [True] * LEAST + [False], "and there is an end to it"
    assert not waiting.put(late[0]), "it was let in, and waits as all do"


def test_bytes_are_bounded_and_free_again_when_taken() -> None:
    waiting = Waiting()
    large = message("plates", size=250_000)
    while waiting.put(large):
        pass
    assert MOST_BYTES <= sum(len(m.payload) for m in waiting._urgent) < MOST_BYTES + 250_000
    waiting.take()
    assert waiting.put(large)
