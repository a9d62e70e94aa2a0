"""An outbox whose process dies while rows are joined: every event is there once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_outbox_rows import in_file, rows

DIE_AT = """
import asyncio, os, sys
from pathlib import Path
from test_outbox_rows import event
from edge_agent import outbox_rows
from edge_agent.contract.events import Readings
from edge_agent.outbox import Outbox

outbox_rows.JOIN_EVENTS = 20
statement = int(sys.argv[2])

async def main():
    outbox = Outbox.open(Path(sys.argv[1]), 10**9)
    await asyncio.gather(*(outbox.put(event(Readings, i)) for i in range(1, 20)))
    inserted = False
    left = statement
    def trace(sql):
        nonlocal inserted, left
        inserted = inserted or sql.startswith("INSERT INTO joined")
        left -= inserted
        if inserted and left < 0:
            os._exit(9)
    await outbox._call(lambda: outbox._db.set_trace_callback(trace))
    await outbox.put(event(Readings, 20))
    await outbox.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("statement", range(4))
def test_a_process_that_dies_while_it_joins_loses_and_doubles_nothing(tmp_path: Path, statement: int) -> None:
    """It dies before the row is made, before the old ones are deleted, before the commit, and not at all."""
    path = tmp_path / "o.sqlite"
    child = subprocess.run(
        [sys.executable, "-c", DIE_AT, str(path), str(statement)], cwd=Path(__file__).parent, check=False
    )
    assert child.returncode == (9 if statement < 3 else 0)
    assert in_file(path) == [(n, "readings", n) for n in range(1, 21)]
    assert rows(path) == ((20, 0) if statement < 3 else (0, 20))


PUT_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from test_outbox_rows import put
from edge_agent import outbox_rows
from edge_agent.contract.events import Heartbeat, Readings
from edge_agent.outbox import Outbox

outbox_rows.JOIN_EVENTS = 25

async def main():
    outbox = Outbox.open(Path(sys.argv[1]), 10**9)
    while True:
        await put(outbox, [Readings, Readings, Heartbeat, Readings], outbox.last_number + 1)
        print(outbox.last_number, flush=True)

asyncio.run(main())
"""


def test_nothing_is_lost_or_doubled_by_kill_9_at_any_moment(tmp_path: Path) -> None:
    path, said = tmp_path / "o.sqlite", 0
    for round_ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", PUT_FOR_EVER, str(path)],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(20 + 7 * round_):
            said = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        said = max(
            [said, *(int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n"))]
        )
        child.wait()
        found = in_file(path)
        assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
        assert len(found) >= said, "what put has returned is on disk"
        assert all(number == at for number, _, at in found)
    assert rows(path)[1] > 100
