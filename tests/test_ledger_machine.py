"""The ledger against plain sets: random runs, stored, lost and told again, two collectors, restarts, outboxes gone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collector.database import open_database
from collector.ledger import Ledger
from edge_agent.contract.events import BoxStatus, Lost
from edge_agent.contract.runs import pack_runs

Key = tuple[str, int]
KEYS: tuple[Key, ...] = (("air-01", 7), ("air-01", 8), ("air-02", 7))
NUMBERS = st.sets(st.integers(1, 40), min_size=1, max_size=12).map(sorted)
WHY = (Lost(kind="health", reason="the outbox was full"), Lost(kind="readings", reason="the disk could not be written"))


class LedgerMachine(RuleBasedStateMachine):
    """What is stored and what is lost, as sets; the first that is said of a number holds."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.engine = open_database(f"sqlite:///{Path(self.folder.name) / 'collector.sqlite'}")
        self.ledgers = [Ledger(self.engine), Ledger(self.engine)]
        self.stored: dict[Key, set[int]] = {key: set() for key in KEYS}
        self.lost: dict[Key, dict[int, Lost]] = {key: {} for key in KEYS}
        self.gone: set[Key] = set()

    def known(self, key: Key) -> set[int]:
        return self.stored[key] | set(self.lost[key])

    def note(self, key: Key, numbers: Sequence[int], lost: Lost | None) -> None:
        for number in numbers:
            if number in self.known(key):
                continue
            if lost is None:
                self.stored[key].add(number)
            else:
                self.lost[key][number] = lost

    @rule(
        entries=st.lists(
            st.tuples(st.sampled_from(KEYS), NUMBERS, st.sampled_from((None, None, *WHY))), min_size=1, max_size=4
        ),
        collector=st.integers(0, 1),
    )
    def enter(self, entries: list[tuple[Key, list[int], Lost | None]], collector: int) -> None:
        self.ledgers[collector].enter([(*key, pack_runs(numbers), lost) for key, numbers, lost in entries])
        for key, numbers, lost in entries:
            self.note(key, numbers, lost)

    @rule(key=st.sampled_from(KEYS), numbers=NUMBERS, collector=st.integers(0, 1))
    def ask(self, key: Key, numbers: list[int], collector: int) -> None:
        (said,) = self.ledgers[collector].known([(*key, pack_runs(numbers))])
        assert said == (set(numbers) <= self.known(key))

    @rule(holds=st.sets(st.sampled_from((7, 8)), max_size=2), collector=st.integers(0, 1))
    def status(self, holds: set[int], collector: int) -> None:
        status = BoxStatus(online=True, at=0, version="1", outbox=9, holds=(*sorted(holds), 9))
        self.ledgers[collector].explain([("air-01", status)])
        for key in KEYS:
            if key[0] == "air-01" and self.known(key):
                (self.gone.discard if key[1] in holds else self.gone.add)(key)

    @rule()
    def restart(self) -> None:
        self.ledgers = [Ledger(self.engine), Ledger(self.engine)]

    @invariant()
    def the_accounts_are_those_of_the_sets(self) -> None:
        if not hasattr(self, "engine"):
            return
        accounts = {(account.device, account.outbox): account for account in self.ledgers[0].summary()}
        assert set(accounts) == {key for key in KEYS if self.known(key)}
        for key, account in accounts.items():
            holes = set(range(1, max(self.known(key)) + 1)) - self.known(key)
            missing, lost = (set(), holes) if key in self.gone else (holes, set())
            assert account.highest == account.stored + account.lost + account.missing == max(self.known(key))
            assert (account.stored, account.missing) == (len(self.stored[key]), len(missing))
            assert account.lost == len(self.lost[key]) + len(lost)
            assert {n for a, b in account.missing_ranges for n in range(a, b + 1)} == missing
            told = {n: span.reason for span in account.lost_ranges for n in range(span.first, span.last + 1)}
            assert {n: told[n] for n in self.lost[key]} == {n: why.reason for n, why in self.lost[key].items()}
            assert set(told) == set(self.lost[key]) | lost
        totals = self.ledgers[1].totals()
        assert totals == {
            what: sum(getattr(account, what) for account in accounts.values()) for what in ("stored", "lost", "missing")
        }
        assert sum(self.ledgers[1].lost_by().values()) == totals["lost"]

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.folder.cleanup()


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=25)
