"""Joined rows of the outbox: what waits long stands closer together, and nothing else changes."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from collector_double import EXAMPLES

from edge_agent import outbox_rows
from edge_agent.__main__ import main
from edge_agent.contract.events import KIND_OF, PRIORITY, Event, Heartbeat, PlateRead, Reading, Readings, WifiUsage
from edge_agent.contract.runs import numbers
from edge_agent.outbox import Outbox
from edge_agent.outbox_rows import JOIN_EVENTS, every
from scripts.benchmarks._outage import outage

LARGE = 10**9


def event(kind: type, i: int) -> Event:
    """Event number `i`, which its time tells."""
    return msgspec.structs.replace(EXAMPLES[kind], at=i)


async def put(outbox: Outbox, kinds: Sequence[type], first: int = 1) -> None:
    """Put events, and wait for what the outbox does behind them."""
    await asyncio.gather(*(outbox.put(event(kind, i)) for i, kind in enumerate(kinds, first)))
    await outbox.waiting()


async def every_pack(outbox: Outbox, after: int, before: int) -> list[tuple[int, Event]]:
    """What several reads give, each of them of one epoch."""
    found: list[tuple[int, Event]] = []
    while pack := await outbox.read("readings", found[-1][0] if found else after, before, LARGE):
        assert len({outbox.epochs.of(number) for number, _ in pack}) == 1
        found += pack
    return found


def in_file(path: Path) -> list[tuple[int, str, int]]:
    """Number, kind and time of every event in a file."""
    with closing(sqlite3.connect(path)) as db:
        return [(row.number, row.kind, msgspec.msgpack.decode(row.body)[0]) for row in every(db)]


def rows(path: Path) -> tuple[int, int]:
    """How many events have rows of their own, and how many are joined."""
    with closing(sqlite3.connect(path)) as db:
        return (
            db.execute("SELECT count(*) FROM events").fetchone()[0],
            db.execute("SELECT coalesce(sum(events), 0) FROM joined").fetchone()[0],
        )


async def test_events_are_joined_when_many_wait_and_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    outbox = Outbox.open(path, LARGE)
    await put(outbox, [Readings] * (JOIN_EVENTS - 1))
    assert rows(path) == (JOIN_EVENTS - 1, 0), "an outage of some hours moves nothing"
    await put(outbox, [Readings, Heartbeat, Readings], JOIN_EVENTS)
    assert rows(path) == (2, JOIN_EVENTS)
    for after, before, expected in (
        (0, LARGE, range(1, JOIN_EVENTS + 1)),
        (JOIN_EVENTS - 2, LARGE, (JOIN_EVENTS - 1, JOIN_EVENTS, JOIN_EVENTS + 2)),
        (10, 14, range(11, 14)),
        (JOIN_EVENTS + 2, LARGE, ()),
    ):
        found = await outbox.read("readings", after, before, LARGE)
        assert found == [(n, event(Readings, n)) for n in expected]
    assert [n for n, _ in await outbox.read("health", 0, LARGE, LARGE)] == [JOIN_EVENTS + 1]
    waiting = await outbox.waiting()
    assert (waiting.events, waiting.oldest) == (JOIN_EVENTS + 2, 1)
    await outbox.close()


async def test_pictures_are_left_alone(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.sqlite", LARGE)
    await put(outbox, [PlateRead] * (JOIN_EVENTS + 1))
    await outbox.close()
    assert rows(tmp_path / "o.sqlite") == (JOIN_EVENTS + 1, 0)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_comes_and_goes_the_outbox_holds_what_a_list_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(outbox_rows, "JOIN_EVENTS", 7)
    chance, path = random.Random(seed), tmp_path / "o.sqlite"
    expected: dict[int, type] = {}
    outbox, last = Outbox.open(path, LARGE), 0
    for _ in range(150):
        kinds = chance.choices([Readings, Heartbeat, WifiUsage, PlateRead], [6, 2, 1, 1], k=chance.randrange(6))
        await put(outbox, kinds, last + 1)
        expected |= dict(enumerate(kinds, last + 1))
        last += len(kinds)
        if chance.random() < 0.3 and last:
            firsts = [chance.randint(1, last) for _ in range(chance.randint(1, 4))]
            spans = [(first, first + chance.randrange(8)) for first in firsts]
            await outbox.forget(spans)
            expected = {n: kind for n, kind in expected.items() if not any(a <= n <= b for a, b in spans)}
        if chance.random() < 0.2:
            after, before = chance.randint(0, last), chance.randint(0, last + 1)
            found = await every_pack(outbox, after, before)
            inside = [n for n, kind in expected.items() if kind is Readings and after < n < before]
            assert found == [(n, event(Readings, n)) for n in inside]
        if chance.random() < 0.05:
            await outbox.close()
            outbox = Outbox.open(path, LARGE)
    assert (await outbox.waiting()).events == len(expected)
    assert rows(path)[1] > 100, "many were joined"
    await outbox.close()
    assert in_file(path) == [(n, KIND_OF[kind], n) for n, kind in expected.items()]


async def test_a_long_outage_drops_the_oldest_and_explains_every_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_rows, "JOIN_EVENTS", 100)
    path, cap = tmp_path / "o.sqlite", 80_000
    outbox = Outbox.open(path, cap)
    dropped: dict[str, list[int]] = {"health": [], "readings": []}
    for first in range(1, 40_001, 100):
        await put(outbox, [Heartbeat if i % 4 == 3 else Readings for i in range(100)], first)
        assert (await outbox.waiting()).bytes <= cap
        while told := await outbox.lost():
            for lost in told:
                assert lost.lost.reason == "the outbox was full"
                dropped[lost.lost.kind] += numbers(lost.runs)
                await outbox.forget_lost(lost.id)
                if lost.lost.kind == "readings":
                    assert await outbox.read("health", 0, first, LARGE) == [], "only when no heartbeat waited"
    await outbox.close()
    kept = in_file(path)
    assert rows(path)[1] > 10_000
    everything = [*dropped["health"], *dropped["readings"], *(number for number, _, _ in kept)]
    assert sorted(everything) == list(range(1, 40_001)), "each is kept or known to be lost, none both"
    for kind, gone in dropped.items():
        assert len(gone) > 1000
        assert max(gone) < min((number for number, k, _ in kept if k == kind), default=LARGE), "the oldest first"


async def test_an_error_at_joining_is_said_once_and_costs_no_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "o.sqlite"
    outbox = Outbox.open(path, LARGE)
    with closing(sqlite3.connect(path)) as db, db:  # a row that says it begins where ours will
        db.execute("INSERT INTO joined VALUES (1, 1, 'plates', 1, 0, 0, '', '', 0)")
    await put(outbox, [Readings] * JOIN_EVENTS)
    await put(outbox, [Readings] * JOIN_EVENTS, JOIN_EVENTS + 1)
    assert rows(path) == (2 * JOIN_EVENTS, 1)
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "outbox: old events cannot be joined"
    ]
    await outbox.close()


@pytest.mark.parametrize(("damage", "lost"), [("bodies = x'00'", range(1, 1001)), ("runs = x'c1'", range(1, 1001))])
async def test_a_damaged_joined_row_is_told_as_lost_and_the_others_go_on(
    tmp_path: Path, damage: str, lost: Sequence[int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "o.sqlite"
    outbox = Outbox.open(path, LARGE)
    for first in (1, 1001, 2001):
        await put(outbox, [Readings] * 1000, first)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE joined SET {damage} WHERE first = 1")
    assert main(["outbox", "verify", str(path)]) == 1
    assert "event 1 (readings)" in capsys.readouterr().out
    assert next(n for n, _ in await outbox.read("readings", 0, LARGE, LARGE)) == 1001
    (entry,) = await outbox.lost()
    assert list(numbers(entry.runs)) == list(lost)
    assert entry.lost.reason == "the bytes on disk were damaged"
    assert (await outbox.waiting()).events == 2000
    await outbox.close()


OLD_SCHEMA = """
CREATE TABLE meta (id INTEGER NOT NULL, set_aside TEXT NOT NULL);
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX events_by_kind ON events (kind, number);
CREATE TABLE lost (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, runs BLOB NOT NULL);
INSERT INTO meta VALUES (7, '');
"""


async def test_a_file_from_before_rows_were_joined_is_read_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, n = tmp_path / "o.sqlite", 2500
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(OLD_SCHEMA)
        db.executemany(
            "INSERT INTO events (kind, at, body) VALUES ('readings', ?, ?)",
            [(i, msgspec.msgpack.encode(event(Readings, i))) for i in range(1, n + 1)],
        )
    for command in ("status", "inspect", "verify", "export"):
        assert main(["outbox", command, str(path)]) == 0
    assert f"{n} events are readable, 0 findings" in capsys.readouterr().out
    outbox = Outbox.open(path, LARGE)
    assert (outbox.epochs.of(1), outbox.last_number) == ((7, 1, n), n)
    for i in range(n + 1, n + 4):
        assert await outbox.put(event(Readings, i)) == i
    await outbox.close()
    assert rows(path) == (503, 2000)
    assert in_file(path) == [(i, "readings", i) for i in range(1, n + 4)]


async def test_commands_show_joined_events_like_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "o.sqlite"
    outbox = Outbox.open(path, LARGE)
    kinds = [Readings, Heartbeat] * 1100
    await put(outbox, kinds)
    await put(outbox, [PlateRead, Readings], len(kinds) + 1)
    await outbox.close()
    assert rows(path)[1] == 2000
    assert main(["outbox", "export", str(path)]) == 0
    exported = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in exported] == list(range(1, 2203))
    assert [line["kind"] for line in exported] == [KIND_OF[kind] for kind in (*kinds, PlateRead, Readings)]
    assert main(["outbox", "inspect", str(path), "--last", "500"]) == 0
    assert [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()] == exported[-500:]
    assert main(["outbox", "status", str(path)]) == 0
    said = capsys.readouterr().out
    assert "waiting   2202 events" in said
    assert all(kind in said for kind in PRIORITY if kind != "wifi")


async def test_sixty_days_of_a_station_with_three_sensors_fit_into_ten_megabytes(tmp_path: Path) -> None:
    """Five days here, with heartbeats; `scripts/bench stations` makes all sixty."""
    path, days = tmp_path / "o.sqlite", 5
    outbox = Outbox.open(path, LARGE)
    moved: list[str] = []
    outbox._db.set_trace_callback(lambda sql: moved.append(sql[:6]) if sql.startswith("INSERT INTO joined") else None)
    events = 0
    for hour in outage(days, sensors=3):
        await asyncio.gather(*(outbox.put(each) for each in hour))
        events += len(hour)
    assert (await outbox.waiting()).events == events == days * 1440 * 4
    await outbox.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM joined").fetchone() == (len(moved),), "no row is ever made again"
    assert path.stat().st_size * 60 / days <= 10_000_000


def test_readings_keep_their_ticks_exactly(tmp_path: Path) -> None:
    """A joined body is the very bytes of the event, so also what this version does not know."""
    path = tmp_path / "o.sqlite"
    odd = Readings(at=5, readings=(Reading(9999, -(2**53), 7), Reading(2, None, 2)))

    async def fill() -> list[tuple[int, Event]]:
        outbox = Outbox.open(path, LARGE)
        await asyncio.gather(*(outbox.put(odd) for _ in range(JOIN_EVENTS)))
        found = await outbox.read("readings", 0, LARGE, LARGE)
        await outbox.close()
        return found

    assert asyncio.run(fill()) == [(n, odd) for n in range(1, JOIN_EVENTS + 1)]
    assert rows(path) == (0, JOIN_EVENTS)
