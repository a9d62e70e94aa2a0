"""What waits for the sinks: plates first, bounded by what is soon worked through."""

from __future__ import annotations

import time

import pytest

from collector.batch import Message
from collector.waiting import BATCH, LEAST, MANY, MANY_BYTES, MOST, MOST_BYTES, OF_A_BOX, OVERDUE_S, SHARE, Waiting
from edge_agent.contract.topics import up


def message(kind: str, number: int = 0, size: int = 10, box: str | None = None) -> Message:
    """Of a box of its own, unless one is named."""
    return Message(up(box or f"air-{number}", kind), bytes(size), number)


FULL = [message("readings", n) for n in range(BATCH)]


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
        waiting.worked(FULL, 4.0)  # 100 a second
    assert waiting.room == pytest.approx(300, rel=0.02)
    for _ in range(20):
        waiting.worked(FULL, 400.0)
    assert waiting.room == LEAST
    for _ in range(50):
        waiting.worked(FULL[:3], 0.1)  # they keep up
    assert waiting.room == MOST


def test_a_full_queue_takes_plates_and_statuses_all_the_same() -> None:
    waiting = Waiting()
    for _ in range(20):
        waiting.worked(FULL, 400.0)
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
        waiting.worked(FULL, 400.0)
    for n in range(LEAST):
        assert waiting.put(message("readings", n))
    late = [message("readings", n, box=f"late-{n}") for n in range(LEAST + 1)]
    assert not any(map(waiting.put, late))
    now += OVERDUE_S - 1
    assert not any(map(waiting.put, late)), "their first refusal counts, not each"
    now += 1
    assert not waiting.put(message("readings"))
    assert list(map(waiting.put, late)) == [True] * LEAST + [False], "and there is an end to it"
    assert not waiting.put(late[0]), "it was let in, and waits as all do"


def test_bytes_are_bounded_and_free_again_when_taken() -> None:
    waiting = Waiting()
    put = 0
    while waiting.put(message("plates", put, 250_000)):
        put += 1
    assert put == MOST_BYTES // 250_000
    assert not waiting.put(message("status", size=250_000))
    waiting.take()
    assert waiting.put(message("plates", put, 250_000))


@pytest.mark.parametrize("kind", ["readings", "plates", "what-it-likes"])
def test_a_box_that_floods_leaves_the_room_to_the_others(kind: str) -> None:
    waiting = Waiting()
    assert sum(waiting.put(message(kind, n, box="flood")) for n in range(MOST)) == OF_A_BOX
    assert waiting.put(message("plates" if kind != "plates" else "lost", box="flood")), "plates have room of their own"
    assert all(waiting.put(message("readings", n)) for n in range(1000))
    waiting.take()
    assert waiting.put(message(kind, box="flood")), "what was taken makes room"


def test_where_the_sinks_are_slow_a_box_has_less_room_yet_more_than_its_window() -> None:
    waiting = Waiting()
    for _ in range(20):
        waiting.worked(FULL, 400.0)
    assert sum(waiting.put(message("readings", n, box="flood")) for n in range(MOST)) == LEAST // SHARE > 8


def test_of_a_box_that_comes_and_goes_the_newest_status_waits() -> None:
    waiting = Waiting()
    for n in range(3 * MOST):
        assert waiting.put(message("status", n, box="flaps"))
    assert waiting.put(message("status", 1, box="air-01"))
    assert all(waiting.put(message("readings", n)) for n in range(1000)), "statuses take no room from the rest"
    taken = [m for m in waiting.take() if m.topic.endswith("status")]
    assert [(m.topic, m.received) for m in taken] == [
        (up("flaps", "status"), 3 * MOST - 1),
        (up("air-01", "status"), 1),
    ]


def test_statuses_that_were_taken_in_vain_wait_again_unless_there_are_newer_ones() -> None:
    waiting = Waiting()
    for box in ("a", "b"):
        assert waiting.put(message("status", 1, box=box))
    assert waiting.put(message("readings"))
    batch = waiting.take()
    assert waiting.put(message("status", 2, box="a"))
    waiting.put_back(batch)
    assert [(m.topic, m.received) for m in waiting.take()] == [(up("a", "status"), 2), (up("b", "status"), 1)]


def test_a_batch_holds_few_of_the_packs_of_boxes_that_were_cut_off_for_long() -> None:
    waiting = Waiting()
    for n in range(BATCH):
        assert waiting.put(message("readings", n, 30_000))
    assert sum(len(m.payload) for m in waiting.take()) < MANY_BYTES + 30_000
