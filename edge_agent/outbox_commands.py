"""`edge-agent outbox status|inspect|verify|export`: what a box still holds, also from a file that was set aside."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from edge_agent.clock import LOCAL
from edge_agent.contract.as_json import as_json
from edge_agent.contract.events import EVENT_OF, PRIORITY, Event
from edge_agent.errors import ConfigError
from edge_agent.outbox_file import waiting
from edge_agent.outbox_rows import Row, every, total


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the four commands."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="outbox_command")
    for name, help_ in (
        ("status", "how much waits, and since when"),
        ("inspect", "the newest events, one JSON line each"),
        ("verify", "read every event and check the file; exit 1 if anything is damaged"),
        ("export", "every readable event as JSON lines, oldest first"),
    ):
        command = commands.add_parser(name, help=help_)
        command.add_argument(
            "file", type=Path, metavar="FILE", help="outbox file, such as /var/lib/edge-agent/outbox.sqlite"
        )
        if name == "inspect":
            command.add_argument("--last", type=int, default=20, metavar="N", help="how many (default 20)")
        if name == "export":
            command.add_argument("--to", type=Path, metavar="FILE", help="file to write (default: standard output)")


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; the file is only read."""
    commands = {"status": _status, "inspect": _inspect, "verify": _verify, "export": _export}
    try:
        if not options.file.is_file():
            raise ConfigError(
                f"{options.file}: no such file; the outbox stands in the folder that `state` names, "
                "and nowhere where `outbox.storage` is memory"
            )
        with closing(sqlite3.connect(f"{options.file.resolve().as_uri()}?mode=ro", uri=True)) as db:
            if not _identity(db)[0]:
                raise sqlite3.DatabaseError("it has no number of its own")  # noqa: TRY301
            return commands[options.outbox_command](db, options)
    except sqlite3.DatabaseError as error:
        cure = "is it the outbox? The agent sets a damaged one aside by itself; `export` gives what can be read"
        print(f"{options.file}: not readable as an outbox: {error}\n  {cure}", file=sys.stderr)
    except PermissionError as error:
        print(f"{error.filename}: {error.strerror}; the outbox belongs to the agent's user", file=sys.stderr)
    return 1


def _identity(db: sqlite3.Connection) -> tuple[list[int], str]:
    """The outbox ids and why the file before was set aside, if it was; also of a file of an earlier version."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'epochs'").fetchone():
        ids = [id_ for (id_,) in db.execute("SELECT id FROM epochs ORDER BY first")]
        return ids, "; ".join(text for (text,) in db.execute("SELECT text FROM damage"))
    rows = db.execute("SELECT id, set_aside FROM meta").fetchall()
    return [id_ for id_, _ in rows], "; ".join(text for _, text in rows)


def _status(db: sqlite3.Connection, _options: argparse.Namespace) -> int:
    all_kinds = waiting(db)
    outboxes, set_aside = _identity(db)
    print(f"outbox    {', '.join(map(str, outboxes))}")
    print(f"waiting   {all_kinds.events} events, {all_kinds.bytes / 1e6:.1f} MB")
    for kind in PRIORITY:
        count, oldest, newest = total(db, kind)
        if oldest is not None and newest is not None:
            print(f"  {kind:9} {count:8}   {_local(oldest)} to {_local(newest)}")
    lost = db.execute("SELECT kind, reason, count(*) FROM lost GROUP BY kind, reason").fetchall()
    for kind, reason, count in lost:
        print(f"lost      {kind}: {reason} ({count} times, not yet told)")
    if set_aside:
        print(f"note      {set_aside}")
    return 0


def _inspect(db: sqlite3.Connection, options: argparse.Namespace) -> int:
    for line in _lines(deque(every(db), maxlen=max(0, options.last))):
        print(line)
    return 0


def _verify(db: sqlite3.Connection, _options: argparse.Namespace) -> int:
    findings = [row[0] for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
    read = 0
    for _, event in _events(every(db)):
        if isinstance(event, str):
            findings.append(event)
        else:
            read += 1
    for finding in findings:
        print(finding)
    print(f"{read} events are readable, {len(findings)} findings")
    return 1 if findings else 0


def _export(db: sqlite3.Connection, options: argparse.Namespace) -> int:
    if options.to is None:
        for line in _lines(every(db)):
            print(line)
        return 0
    count = 0
    try:
        with options.to.open("w") as out:
            for line in _lines(every(db)):
                out.write(line + "\n")
                count += 1
    except OSError as error:
        print(f"{options.to}: {error.strerror}; name another file with --to", file=sys.stderr)
        return 1
    print(f"{count} events written to {options.to}")
    return 0


def _lines(rows: Iterable[Row]) -> Iterator[str]:
    for number, event in _events(rows):
        if isinstance(event, str):
            yield msgspec.json.encode({"number": number, "unreadable": event}).decode()
        else:
            yield msgspec.json.encode({"number": number, **as_json(event)}).decode()


def _events(rows: Iterable[Row]) -> Iterator[tuple[int, Event | str]]:
    """The event in every row; the text of what is wrong where it cannot be decoded."""
    for number, kind, body in rows:
        try:
            yield number, msgspec.msgpack.decode(body, type=EVENT_OF[kind])
        except (msgspec.MsgspecError, KeyError, TypeError) as error:  # TypeError: no bytes stand there
            yield number, f"event {number} ({kind}): {error}"


def _local(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, LOCAL).strftime("%Y-%m-%d %H:%M:%S+07")
    except (TypeError, ValueError, OverflowError):  # a damaged file may hold anything
        return f"no time ({ms!r})"
