"""A damaged file of the collector's own database: said with what to do, and what can do without it goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from city import FLEET
from events import plate_read
from sqlalchemy.exc import OperationalError
from test_collector_commands import settings_file

from collector.__main__ import main
from collector.alerts.desk import PlateDesk
from collector.database import UNAVAILABLE, open_database
from collector.ledger import Ledger

AT = 1_795_000_000_000


def test_a_damaged_page_ends_only_what_needs_it(tmp_path: Path) -> None:
    file = tmp_path / "collector.sqlite"
    engine = open_database(f"sqlite:///{file}")
    PlateDesk(engine).take(FLEET["cam-01"], 7, [(n, plate_read(AT, bytes(3000))) for n in range(1, 50)], AT)
    engine.dispose()
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sightings'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as damaged:
        damaged.seek((page - 1) * size)
        damaged.write(b"\xff" * size)

    engine = open_database(f"sqlite:///{file}")
    with pytest.raises(UNAVAILABLE, match="malformed") as said:
        PlateDesk(engine).forget(AT + 1, AT + 1)
    assert isinstance(said.value, OperationalError)
    ledger = Ledger(engine)
    ledger.enter([("air-01", 5, (1,), None)])
    assert ledger.known([("air-01", 5, (1,))]) == [True]
    engine.dispose()


def test_a_file_that_is_no_database_is_named_with_the_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_file(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "collector.sqlite").write_bytes(b"\xff" * 8192)
    assert main(["run", str(settings)]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "state" / "collector.sqlite") in said
    assert "damaged" in said
    assert "backup" in said


def test_a_file_that_another_program_holds_is_named_with_the_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_file(tmp_path)
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / "collector.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert main(["run", str(settings)]) == 1
    assert "another program" in capsys.readouterr().err
