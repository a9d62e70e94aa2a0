"""The ledger: what is stored, lost and missing always adds up, also over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from collector.database import open_database
from collector.ledger import Ledger
from collector.ledger_account import SHOWN
from collector.spans import Spans
from edge_agent.contract.events import BoxStatus, Lost
from edge_agent.contract.runs import pack_runs


def ledger_at(path: Path) -> Ledger:
    return Ledger(open_database(f"sqlite:///{path}"))


def test_holes_are_missing_until_they_are_filled_or_explained(engine: Engine) -> None:
    ledger = Ledger(engine)
    ledger.enter([("air-01", 7, (1, 3), None), ("air-01", 7, (6, 2), None)])
    (account,) = ledger.summary()
    assert (account.highest, account.stored, account.lost, account.missing) == (7, 5, 0, 2)
    assert account.missing_ranges == ((4, 5),)

    ledger.enter([("air-01", 7, (4,), Lost(kind="health", reason="the outbox was full"))])
    (account,) = Ledger(engine).summary()
    assert (account.highest, account.stored, account.lost, account.missing) == (7, 5, 1, 1)
    assert [(r.first, r.last, r.kind, r.reason) for r in account.lost_ranges] == [
        (4, 4, "health", "the outbox was full")
    ]


def test_a_new_outbox_of_the_same_box_has_its_own_account(engine: Engine) -> None:
    ledger = Ledger(engine)
    ledger.enter([("air-01", 7, (1, 3), None), ("air-01", 8, (1,), None)])
    assert ledger.known([("air-01", 8, (2,))]) == [False]
    assert [(a.outbox, a.highest) for a in ledger.summary()] == [(7, 3), (8, 1)]


def test_what_is_missing_of_an_outbox_that_the_box_holds_no_more_is_lost_until_it_comes_after_all(
    engine: Engine,
) -> None:
    ledger = Ledger(engine)
    ledger.enter([("air-01", 7, (2, 2), None), ("air-01", 7, (6,), None), ("air-01", 8, (1,), None)])

    def of_7() -> tuple[int, int, int]:
        account, of_8 = ledger.summary()
        total = ledger.totals()
        assert total["stored"] == account.stored + of_8.stored
        assert (total["lost"], total["missing"]) == (account.lost, account.missing)
        assert account.highest == account.stored + account.lost + account.missing
        return account.stored, account.lost, account.missing

    def says(*holds: int, volatile: bool = False) -> None:
        status = BoxStatus(online=True, at=0, version="1", outbox=8, holds=holds, volatile=volatile)
        ledger.explain([("air-01", status)])

    says()
    assert of_7() == (3, 0, 3), "an agent of before says nothing"
    says(7, 8)
    assert of_7() == (3, 0, 3)
    ledger.explain([("air-02", BoxStatus(online=True, at=0, version="1", outbox=9, holds=(9,)))])
    assert of_7() == (3, 0, 3), "another box's disk is another"
    says(8)
    says(8)
    assert of_7() == (3, 3, 0)
    account = ledger.summary("air-01")[0]
    assert [(r.first, r.last, r.kind) for r in account.lost_ranges] == [(1, 1, ""), (4, 5, "")]
    assert "no longer has this outbox" in account.lost_ranges[0].reason
    assert ledger.known([("air-01", 7, (4,))]) == [False]
    ledger.enter([("air-01", 7, (4,), None)])
    assert of_7() == (4, 2, 0), "stored as any other"
    says(7, 8)
    assert of_7() == (4, 0, 2), "the disk is back"
    says(8, volatile=True)
    assert of_7() == (4, 2, 0)
    assert "in memory only" in ledger.summary()[0].lost_ranges[0].reason


def test_of_very_many_holes_the_newest_are_named_and_all_are_counted(engine: Engine) -> None:
    ledger = Ledger(engine)
    for part in range(4):
        lost = Lost(kind="health", reason=f"reason {part % 3}")
        ledger.enter([("air-01", 7, (2 + 2000 * part, 1) + (1, 1) * 999, lost)])
    (account,) = ledger.summary()
    assert (account.lost, account.missing, account.highest) == (4000, 4000, 8000)
    assert (account.lost_ranges_count, len(account.lost_ranges)) == (4000, SHOWN)
    assert (account.missing_ranges_count, len(account.missing_ranges)) == (4000, SHOWN)
    assert (account.lost_ranges[-1].first, account.missing_ranges[-1]) == (8000, (7999, 7999))
    assert [(by.reason, by.events) for by in account.lost_by] == [
        ("reason 0", 2000),
        ("reason 1", 1000),
        ("reason 2", 1000),
    ]
    ledger.explain([("air-01", BoxStatus(online=True, at=0, version="1", outbox=8, holds=(8,)))])
    (account,) = ledger.summary()
    assert (account.lost, account.missing, account.missing_ranges) == (8000, 0, ())
    assert (account.lost_ranges_count, len(account.lost_ranges), len(account.lost_by)) == (8000, SHOWN, 4)
    many = [("air-02", 7, (n,), Lost(kind="health", reason=f"reason {n}")) for n in range(1, 2 * SHOWN + 1)]
    ledger.enter(many)
    (account,) = ledger.summary("air-02")
    assert (account.lost_by_count, len(account.lost_by)) == (2 * SHOWN, SHOWN)


def test_a_database_looks_at_the_runs_that_are_asked_for_and_no_others(engine: Engine) -> None:
    """Every other number is lost; one that compares all with all looks at four million."""
    holes = 2000
    runs, asked = (2, 1) + (1, 1) * (holes - 1), list[tuple[str, Any]]()
    ledger = Ledger(engine)
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, given, *_: asked.append((sql, given)))
    for _ in range(2):
        ledger.enter([("air-01", 7, runs, Lost(kind="health", reason="the outbox was full"))])
    assert ledger.known([("air-01", 7, runs)]) == [True]
    assert len(asked) < 20, "not one for each run"
    assert ledger.totals() == {"stored": 0, "lost": holes, "missing": holes}
    if engine.dialect.name == "postgresql":
        for sql, given in list(asked):
            assert rows_seen(engine, sql, given) < 30 * holes, sql


def test_a_status_costs_no_more_where_an_outbox_has_many_holes(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}")
    ledger = Ledger(engine)
    ledger.enter([("air-01", 7, (1 + 2000 * part, 1) + (1, 1) * 999, None) for part in range(20)])
    ledger.enter([("air-01", outbox, (2,), None) for outbox in (5, 9)])
    steps: list[None] = []
    with engine.connect() as db:
        driver: Any = db.connection.driver_connection
    driver.set_progress_handler(lambda: steps.append(None), 1000)  # thousands of steps of SQLite's machine
    ledger.explain([("air-01", BoxStatus(online=True, at=0, version="1", outbox=9, holds=(9,)))])
    assert len(steps) < 20
    driver.set_progress_handler(None, 0)
    assert [(a.outbox, a.missing > 0) for a in ledger.summary()] == [(5, False), (7, False), (9, True)]
    engine.dispose()


def test_statuses_that_come_together_cost_one_commit(engine: Engine) -> None:
    ledger, commits = Ledger(engine), list[object]()
    boxes = [f"air-{n}" for n in range(50)]
    ledger.enter([(box, 7, (2,), None) for box in boxes])
    event.listen(engine, "commit", commits.append)
    ledger.explain([(box, BoxStatus(online=True, at=0, version="1", outbox=8, holds=(8,))) for box in boxes])
    assert len(commits) == 1
    assert ledger.totals() == {"stored": 50, "lost": 50, "missing": 0}


def rows_seen(engine: Engine, sql: str, given: Any) -> int:
    """How many rows all steps of a statement give or pass over; PostgreSQL alone tells."""
    with engine.connect() as db:
        (((plan,),),) = db.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", given).all()
    steps, seen = [plan["Plan"]], 0
    while steps:
        step = steps.pop()
        steps += step.get("Plans", ())
        each = sum(n for what, n in step.items() if what == "Actual Rows" or what.startswith("Rows Removed by"))
        seen += each * step["Actual Loops"]
    return seen


batches = st.lists(st.lists(st.sets(st.integers(1, 60), min_size=1, max_size=12), min_size=1, max_size=4), max_size=6)


@settings(max_examples=25)
@given(batches)
def test_the_ledger_knows_exactly_what_was_entered(tmp_path_factory: object, batches: list[list[set[int]]]) -> None:
    path = tmp_path_factory.mktemp("ledger") / "l.sqlite"  # type: ignore[attr-defined]
    ledger, entered = ledger_at(path), set[int]()
    for batch in batches:
        ledger.enter([("sea-01", 1, pack_runs(sorted(numbers)), None) for numbers in batch])
        entered |= set().union(*batch)
    for book in (ledger, ledger_at(path)):
        asked = range(1, 70)
        known = book.known([("sea-01", 1, (n,)) for n in asked])
        assert {n for n, is_known in zip(asked, known, strict=True) if is_known} == entered
        for account in book.summary():
            assert account.highest == account.stored + account.lost + account.missing == max(entered)


@given(st.sets(st.integers(1, 40)), st.integers(1, 40), st.integers(0, 10))
def test_spans_tell_what_they_lack(numbers: set[int], first: int, length: int) -> None:
    spans = Spans((n, n) for n in numbers)
    wanted = set(range(first, first + length + 1))
    parts = spans.missing(first, first + length)
    assert {n for a, b in parts for n in range(a, b + 1)} == wanted - numbers
    assert spans.count() == len(numbers)
    assert spans.covers(first, first + length) == (wanted <= numbers)
