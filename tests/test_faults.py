"""The short form of the fault matrix: every fault once on real processes, in three stages; broken parts are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from scripts.fault_matrix.__main__ import explain
from scripts.fault_matrix.disks import can_mount
from scripts.fault_matrix.faults import all_faults
from scripts.fault_matrix.kinds import KINDS
from scripts.fault_matrix.rounds import NORMAL_S
from scripts.fault_matrix.run import Failure, Run

FAULTS = all_faults()
STAGES = {kind.name: kind for kind in KINDS}
PLACES = {fault.place for fault in FAULTS.values()}


def played(
    folder: Path, stage: str, seed: int, names: list[str], *, broken: str = "", normal_s: float = NORMAL_S
) -> tuple[Run, Failure | None]:
    """Do each of some faults once on a stage."""
    faults = [FAULTS[name] for name in names]
    run = Run(folder, seed, faults, real_disks=can_mount(), broken=broken, normal_s=normal_s)
    return run, run.once(STAGES[stage], lambda *_: None)


@pytest.mark.parametrize(
    ("stage", "seed", "places", "at_least"),
    [
        ("mosquitto-duckdb-sqlite", 2026, PLACES, 30),
        ("amqtt-victoria-sqlite", 7, {"process", "store"}, 10),
        ("mosquitto-victoria-postgresql-2-collectors", 11, {"process", "store", "broker"}, 10),
    ],
)
def test_made_is_stored_once_or_explained_whatever_happens(
    stage: str, seed: int, places: set[str], at_least: int, tmp_path: Path
) -> None:
    names = sorted(name for name, fault in FAULTS.items() if fault.place in places)
    run, failure = played(tmp_path, stage, seed, names)
    if failure is not None:
        explain(failure, Console())
        pytest.fail(f"stage {stage}, seed {seed}: see above")
    lacking = 0 if can_mount() else len([name for name in names if FAULTS[name].place == "disk"])
    assert run.tally.faults >= at_least - lacking
    assert run.tally.all.stored > 2 * run.tally.faults, "events flowed meanwhile"


@pytest.mark.parametrize(
    ("broken", "stage", "names", "found"),
    [
        ("receipt-before-commit", "amqtt-victoria-sqlite", ["answer 503"], "not back to normal"),
        ("no-ledger", "mosquitto-duckdb-sqlite", ["delete plates that come again"], "seen again"),
        ("no-fsync", "mosquitto-duckdb-sqlite", ["cut the power of a box"], "given up"),
    ],
)
def test_what_is_broken_is_found(broken: str, stage: str, names: list[str], found: str, tmp_path: Path) -> None:
    if broken == "no-fsync" and not can_mount():
        pytest.skip("the power of a disk can only be cut where it can be mounted; that needs root")
    _, failure = played(tmp_path, stage, 5, names, broken=broken, normal_s=10)
    assert failure is not None
    assert found in str(failure.round.findings)
