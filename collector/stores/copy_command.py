"""`collector store copy`: the history of the embedded store to the server that the settings name now."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine

from collector.errors import Failure
from collector.points import NAMING, PLATES
from collector.settings import DuckDbSettings, Settings, VictoriaSettings, load
from collector.state import database
from collector.stores import Store
from collector.stores.copy import Counting, Day, Difference, History, copied, copy_day, differences, forget
from collector.stores.opening import FILE, open_store


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `store copy`; it sets `run`, which returns the exit status."""
    store = commands.add_parser("store", help="the time series themselves").add_subparsers(required=True)
    copy = store.add_parser("copy", help="copy the embedded store's history to the server of the settings")
    copy.add_argument("settings", type=Path, help="the collector's settings, with `store:` changed to that server")
    copy.set_defaults(run=_copy)


def _copy(options: argparse.Namespace) -> int:
    settings = load(options.settings)
    if isinstance(settings.store, DuckDbSettings):
        raise Failure(
            "store: names the embedded store itself\n  change it to influx1, influx2, victoriametrics first, then copy"
        )
    history = History(Path(settings.state) / FILE)
    try:
        store = open_store(settings.store, Path(settings.state))
        try:
            return _copied(history, store, settings, database(settings))
        finally:
            store.close()
    finally:
        history.close()


def _copied(history: History, store: Store, settings: Settings, engine: Engine) -> int:
    to = repr(settings.store)[:300]
    days, before = history.days(), copied(engine, to)
    todo = [day for day in days if before.get((day.measurement, day.day)) != day.points]
    total, left = sum(day.points for day in days), sum(day.points for day in todo)
    if left < total:
        print(f"{total - left} of {total} points were copied before")
    columns = (TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
        copying = progress.add_task("points", total=total, completed=total - left)
        for day in todo:
            progress.update(copying, description=f"{day.measurement} {day.day}")
            copy_day(history, day, store, engine, to)
            progress.advance(copying, day.points)
        progress.update(copying, description="points")
        counting = progress.add_task("days counted", total=len(days))
        wrong: list[Difference] = []
        for day in days:
            wrong += differences(history, day, cast(Counting, store), _unwritten(settings, history, day))
            progress.advance(counting)
    for each in wrong:
        forget(engine, to, each.day)
        place = f"{each.day.measurement} {each.day.day} {each.field}"
        print(f"{place}: {each.here} values here, {each.there} there", file=sys.stderr)
    if wrong:
        raise Failure("Not everything arrived; the same command copies these days again.")
    print(f"{total} points on {len(days)} days of measurements are there, every field counted")
    return 0


def _unwritten(settings: Settings, history: History, day: Day) -> frozenset[str]:
    """Fields that are left out on purpose: plates without a place of their own are written without their text."""
    if isinstance(settings.store, VictoriaSettings):
        # of two plates of one millisecond it keeps one
        kinds = history.kinds(day).items()
        return frozenset(name for name, kind in kinds if kind == "VARCHAR" or day.measurement == PLATES)
    place = getattr(settings.store, "plates_bucket", None) or getattr(settings.store, "plates_database", None)
    return NAMING if day.measurement == PLATES and place is None else frozenset()
