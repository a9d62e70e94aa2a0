"""Commands on the regulator's files: `collector regulator status|files|make|test`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from collector.client import add_connection, ask
from collector.errors import Failure
from collector.local_time import LOCAL, local
from collector.regulator import files
from collector.regulator.cycles import lead_ms
from collector.regulator.login import log_in
from collector.regulator.maker import make_files
from collector.regulator.push import PART, PushError, Session
from collector.regulator.settings import Ftp, RegulatorSettings
from collector.regulator.spool import Account, Spool
from collector.settings import load
from collector.state import database, now_ms
from collector.stores import ReadingRow
from collector.web.query import iso
from edge_agent.contract.nearest import meant

T = TypeVar("T")
_TEST = "connection-test"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `regulator`; each part of it sets `run`, which returns the exit status."""
    parts = commands.add_parser("regulator", help="the files for the department").add_subparsers(required=True)
    status = parts.add_parser("status", help="how every station stands; exit status 1 where something is wrong")
    status.add_argument("settings", type=Path, help="the collector's settings")
    status.set_defaults(run=_status)

    listing = parts.add_parser("files", help="list a station's files, sent and waiting")
    make = parts.add_parser("make", help="write files into a folder for a look, and send nothing")
    for command in (listing, make):
        command.add_argument("settings", type=Path, help="the collector's settings")
        command.add_argument("station", help="such as air-01")
        command.add_argument("start", metavar="FROM", help="such as 2026-11-22T08:00, time of the island")
        command.add_argument("stop", metavar="TO")
    listing.set_defaults(run=_files)
    make.add_argument("--folder", type=Path, default=Path("regulator-files"), help="(default ./regulator-files)")
    add_connection(make)
    make.set_defaults(run=_make)

    test = parts.add_parser("test", help="log in at a server; write, rename and delete a file; say what is wrong")
    test.add_argument("settings", type=Path, help="the collector's settings")
    test.add_argument("server", help="as named in the settings")
    test.set_defaults(run=_test)


def _settings(options: argparse.Namespace) -> RegulatorSettings:
    settings = load(options.settings).regulator
    if settings is None:
        raise Failure(f"{options.settings} has no `regulator`: nothing is sent")
    return settings


def _spool(options: argparse.Namespace) -> Spool:
    return Spool(database(load(options.settings)))


def _status(options: argparse.Namespace) -> int:
    settings = _settings(options)
    accounts = {account.station: account for account in _spool(options).accounts()}
    now, wrong = now_ms(), False
    for name, station in settings.stations.items():
        account = accounts.get(name)
        if account is None:
            print(f"{name:<10} {station.code:<12} {station.server:<12} not begun: the collector has not run since")
            continue
        late = account.silent_ms(now) > settings.notify_after_h * 3_600_000
        wrong = wrong or late or account.error is not None
        print(f"{name:<10} {station.code:<12} {station.server:<12} {_standing(account)}")
        if account.error is not None:
            print(f"  since {_local(account.error_since)}: {account.error}")
        if late:
            print(f"  nothing for {account.silent_ms(now) / 3_600_000:.0f} h: tell the department in writing")
    return 1 if wrong else 0


def _standing(account: Account) -> str:
    sent = f"last sent {_local(account.sent)}" if account.sent else "nothing sent yet"
    return f"{sent}; {account.waiting} wait" + (f", from {_local(account.oldest)}" if account.oldest else "")


def _files(options: argparse.Namespace) -> int:
    _station(_settings(options), options.station)
    found = _spool(options).files(options.station, _time(options.start), _time(options.stop))
    for file in found:
        print(f"{file.name}  {file.size:>5} bytes  {f'sent {_local(file.sent)}' if file.sent else 'waits'}")
    if not found:
        raise Failure(f"no file of {options.station} was made for this time")
    return 0


def _make(options: argparse.Namespace) -> int:
    """By HTTP, since no second process can read the embedded store."""
    settings = _settings(options)
    _station(settings, options.station)
    step = settings.cycle_ms
    start, stop = _time(options.start) // step * step, -(-_time(options.stop) // step) * step
    samples: dict[str, list[ReadingRow]] = {}
    for quantity in settings.stations[options.station].parameters:
        query = {"station": options.station, "quantity": quantity}
        query |= {"start": str(iso(start - lead_ms(quantity))), "stop": str(iso(stop))}
        answer = msgspec.json.decode(ask(options, "GET", "readings", query=query))
        samples[quantity] = [_row(row) for row in answer["rows"]]
    made = make_files(settings, options.station, range(start, stop, step), samples)
    options.folder.mkdir(parents=True, exist_ok=True)
    for file in made:
        (options.folder / file.name).write_bytes(file.content)
    print(f"{len(made)} files of {(stop - start) // step} cycles in {options.folder}")
    return 0 if made else 1


def _row(row: dict[str, object]) -> ReadingRow:
    at = round(datetime.fromisoformat(str(row["at"])).timestamp() * 1000)
    return msgspec.convert({**row, "at": at}, ReadingRow)


def _test(options: argparse.Namespace) -> int:
    settings = _settings(options)
    server = settings.servers.get(options.server)
    if server is None:
        raise Failure(f"there is no server {options.server!r}\n  {meant(options.server, settings.servers)}")
    stations = settings.of_server(options.server)
    if isinstance(server, Ftp):
        print("warning: plain FTP; password and files can be read and changed on the way")
    session: Session = _step(f"log in at {server.host}:{server.port} as {server.user}", partial(log_in, server))
    try:
        for name in stations:
            at = files.stamp(server, now_ms(), settings.cycle_ms)
            _try_folder(session, name, files.folder(server, settings.stations[name], at))
    finally:
        session.close()
    print("everything works" if stations else "the login works; no station sends here")
    return 0


def _try_folder(session: Session, name: str, folder: str) -> None:
    path = f"{folder}/{_TEST}"
    _step(f"{name}: folder {folder}", partial(session.make_folder, folder))
    _step(f"{name}: write {_TEST}{PART}", partial(session.write, path + PART, b"test\r\n"))
    if _step(f"{name}: look for {_TEST}", partial(session.size, path)) is not None:
        _step(f"{name}: delete what an earlier test left", partial(session.delete, path))
    _step(f"{name}: rename it to {_TEST}", partial(session.rename, path + PART, path))
    _step(f"{name}: delete it", partial(session.delete, path))


def _step(what: str, work: Callable[[], T]) -> T:
    print(f"{what} ... ", end="", flush=True)
    try:
        done = work()
    except PushError as error:
        print("no")
        raise Failure(str(error)) from error
    print("ok")
    return done


def _station(settings: RegulatorSettings, name: str) -> None:
    if name not in settings.stations:
        raise Failure(f"{name!r} is no station that sends\n  {meant(name, settings.stations)}")


def _time(text: str) -> int:
    """Milliseconds UTC of a time that is the island's where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"{text!r} is no time; write it like 2026-11-22T08:00") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=LOCAL)).timestamp() * 1000)


def _local(ms: int | None) -> str:
    return "" if ms is None else f"{local(ms):%Y-%m-%d %H:%M:%S}"
