"""What the fault matrix calls lost, doubled, altered and explained: on books that are easy to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from scripts.fault_matrix.books import Books, Outbox
from scripts.fault_matrix.comparison import Comparison, Known, compare
from scripts.fault_matrix.numbered import COPY, Made
from scripts.fault_matrix.side_log import Entry

BOX, AT, OUTBOX = "air-01", 1_795_000_000_000, 7
GONE = "its disk was changed"


def reading(number: int, at: int = AT, place: str = "pm10") -> Made:
    return Made("readings", number, at, place)


def found(
    made: Mapping[int, Made],
    stored: list[Made],
    ledger: Outbox,
    excused: Mapping[tuple[str, int], str] | None = None,
    **books: Any,
) -> Comparison:
    """Compare what one box has made, by number in its outbox (0: `put` has not returned), with what is stored."""
    entries = {
        (event.kind, event.number): Entry(event, OUTBOX if number > 0 else 0, max(0, number))
        for number, event in made.items()
    }
    known = Known(excused={BOX: excused or {}}, deleted=books.pop("deleted", set()))
    all_books = Books(outboxes={(BOX, OUTBOX): ledger}, **books)
    return compare({BOX: entries}, all_books, [(BOX, event) for event in stored], {BOX: entries}, known)


def test_what_is_stored_once_is_good() -> None:
    result = found({1: reading(8), 2: reading(9)}, [reading(8), reading(9), reading(9)], Outbox([(1, 2)]))
    assert (result.made, result.stored, result.good) == (2, 2, True), "written twice at one place, it is there once"


def test_an_event_whose_put_has_not_returned_may_be_stored_or_not() -> None:
    for stored in ([], [reading(9)]):
        assert found({1: reading(8), -1: reading(9)}, [reading(8), *stored], Outbox([(1, 1)])).good


@pytest.mark.parametrize(
    ("made", "stored", "ledger", "what"),
    [
        ({1: reading(8)}, [], Outbox([(1, 1)]), "lost"),
        ({1: reading(8)}, [], Outbox([(1, 1)], [(1, 1, "full")]), "lost"),
        ({1: reading(8)}, [], Outbox([(2, 2)], gone=GONE), "lost"),
        ({1: reading(8)}, [reading(8), reading(8, AT + 1)], Outbox([(1, 1)]), "twice"),
        ({1: reading(8)}, [reading(8, AT + 1)], Outbox([(1, 1)]), "never made so"),
        ({1: reading(8)}, [reading(8), reading(9)], Outbox([(1, 1)]), "never made so"),
        ({1: reading(8)}, [reading(8)], Outbox([(2, 2)]), "not back to normal after 60 s"),
        ({3: reading(8)}, [], Outbox([(1, 2)]), "not back to normal after 60 s"),
    ],
)
def test_what_is_wrong_is_named(made: dict[int, Made], stored: list[Made], ledger: Outbox, what: str) -> None:
    result = found(made, stored, ledger)
    assert not result.good
    ((name, (line, *_)),) = result.findings(60).items()
    assert name == what
    assert line.startswith(f"{BOX} readings ")


def test_a_gap_is_explained_where_the_ledger_tells_it_and_a_fault_has_caused_it() -> None:
    excused = {("readings", 8): "its outbox was deleted"}
    told = found({1: reading(8)}, [], Outbox([(2, 2)], gone=GONE), excused)
    assert told.good
    assert told.explained == Counter({GONE: 1})
    unheard = found({3: reading(8)}, [], Outbox([(1, 2)]), excused)
    assert unheard.good
    assert unheard.explained == Counter({"its outbox was deleted before the centre had heard of them": 1})
    missing = found({1: reading(8)}, [], Outbox([(2, 2)]), excused)
    assert missing.waiting, "a hole below what the ledger knows must be told"


def test_of_two_processes_of_one_box_the_store_keeps_one_value_of_a_moment() -> None:
    twins = {1: reading(8), 2: reading(COPY + 8)}
    assert found(twins, [reading(8)], Outbox([(1, 2)])).good
    assert not found({1: reading(8), 2: reading(16)}, [reading(8)], Outbox([(1, 2)])).good, "one process never"


def test_every_pass_that_is_looked_for_raises_one_alert_and_none_comes_back() -> None:
    watched, other = Made("plates", 3, AT, "frames"), Made("plates", 4, AT + 9, "frames")
    made, stored, ledger = {1: watched, 2: other}, [watched, other], Outbox([(1, 2)])
    sightings = {(BOX, 3): [1], (BOX, 4): [2]}
    assert found(made, stored, ledger, sightings=sightings, alerts=Counter({1: 1})).good
    assert found(made, stored, ledger, sightings=sightings).alerts_missed
    assert found(made, stored, ledger, sightings=sightings, alerts=Counter({1: 2})).alerts_doubled
    assert found(made, stored, ledger, sightings=sightings, alerts=Counter({1: 1, 2: 1})).alerts_doubled
    assert found(made, stored, ledger, sightings={**sightings, (BOX, 4): [2, 3]}, alerts=Counter({1: 1})).twice
    assert found(made, stored, ledger, sightings={(BOX, 3): [1]}, alerts=Counter({1: 1})).lost
    deleted = {(BOX, 3)}
    assert found(made, stored, ledger, sightings={(BOX, 4): [2]}, deleted=deleted).good
    assert not found(made, stored, ledger, sightings=sightings, deleted=deleted).good
