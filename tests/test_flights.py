"""The window: how many packs are under way when receipts come, come late, or stay away."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.contract.topics import up
from edge_agent.flights import Flight, Flights
from edge_agent.settings import UplinkSettings

SETTINGS = UplinkSettings(window=8, resend_s=5, resend_max_s=30)


def flight(number: int, kind: str = "readings", *, fresh: bool = True) -> Flight:
    return Flight(topic=up("air-01", kind), payload=b"", outbox=7, runs=(number,), fresh=fresh)


def sent(numbers: Iterable[int], now: float = 0.0) -> Flights:
    flights = Flights(SETTINGS)
    for number in numbers:
        flights.add(flight(number, fresh=number % 2 == 0), now)
    return flights


def again(flights: Flights, now: float, *, silent: bool = False) -> list[int]:
    found = flights.due(now, silent=silent)
    for each in found:
        flights.add(each, now)
    return [each.runs[0] for each in found]


def land(flights: Flights, number: int, now: float) -> None:
    assert flights.land(7, (number,), [(number, number)], now) is not None


def test_late_receipts_halve_what_goes_again_and_each_receipt_lets_one_more_go() -> None:
    flights = sent(range(1, 9))
    assert again(flights, 4.9) == []
    assert again(flights, 5.0) == [1, 2, 3, 4], "half of the window"
    assert again(flights, 6.0) == [], "the others wait"
    land(flights, 1, 6.0)
    assert again(flights, 6.0) == [5], "a receipt lets the longest waiting go"
    land(flights, 2, 6.5)
    assert again(flights, 6.5) == [6]


def test_a_window_shrinks_to_one_pack_of_each_lane_and_grows_again() -> None:
    flights = sent(range(1, 9))
    for now in (5.0, 16.0, 40.0, 80.0):
        again(flights, now)
    for number in range(1, 9):
        assert not flights.room(fresh=True) or number > 4
        land(flights, number, 81.0)
    assert flights.room(fresh=True)
    assert flights.room(fresh=False)


def test_a_silent_collector_is_asked_by_one_pack_at_a_time_in_turn() -> None:
    flights = sent(range(1, 9))
    asked = [again(flights, now, silent=True) for now in range(5, 400)]
    said = [number for numbers in asked for number in numbers]
    assert max(map(len, asked)) == 1
    assert 10 <= len(said) <= 30, "about one in each longest pause"
    assert set(said) == set(range(1, 9)), "no pack that can never be taken keeps the others back"


def test_boxes_that_were_late_together_do_not_stay_together() -> None:
    boxes = [sent([1]) for _ in range(20)]
    for flights in boxes:
        assert again(flights, 5.0) == [1]
    assert 1 < sum(again(flights, 12.5) == [1] for flights in boxes) < 20


def test_a_new_plate_waits_for_nothing_but_plates() -> None:
    flights = sent(range(1, 9))
    assert not flights.room("readings", fresh=True)
    assert not flights.room("plates", fresh=False)
    assert flights.room("plates", fresh=True)
    flights.add(flight(9, "plates"), 0.0)
    assert not flights.room("plates", fresh=True)


def test_who_takes_long_is_not_asked_twice_before() -> None:
    flights = Flights(SETTINGS)
    for number in range(1, 40):
        flights.add(flight(number), 10.0 * number)
        land(flights, number, 10.0 * number + 4)
    flights.add(flight(40), 1000.0)
    assert again(flights, 1007.0) == []
    assert again(flights, 1008.0) == [40]


def test_packs_that_are_never_confirmed_hold_up_nothing_for_ever_and_stay_within_the_window() -> None:
    flights, now, sent_since = sent([1, 2]), 0.0, 2
    for now in range(5, 2000, 5):
        again(flights, now)
        if flights.room(fresh=True):
            sent_since += 1
            flights.add(flight(sent_since), now)
            if sent_since > 100:
                break
            land(flights, sent_since, now + 1)
    assert sent_since > 100
    unconfirmed = list(flights)
    assert [each.runs for each in unconfirmed[:2]] == [(1,), (2,)], "they are still sent"

    while flights.room(fresh=True) or flights.room(fresh=False):
        sent_since += 1
        flights.add(flight(sent_since), now)
    assert len(list(flights)) <= SETTINGS.window
