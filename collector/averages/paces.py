"""How often each quantity of each station is measured, as the boxes say it themselves, and since when.

A box tells its paces whenever it connects. The first that is known of a quantity holds for the time before as well,
since a box that was set up without a link measured at it; before anything is known, DEFAULT_S holds. A box that changes
its pace while it has no link is believed to have changed it when it next connects.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    Select,
    String,
    Table,
    delete,
    insert,
    select,
)

from collector.averages.means import Due, Floats
from collector.averages.periods import Times
from collector.database import METADATA, Lock, lock
from edge_agent.contract.quantities import BY_NUMBER

PACES = Table(
    "paces",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("quantity", String(64), primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("every_s", Integer, nullable=False),
)
DEFAULT_S = 60
MAX_S = 86_400
MADE_OF = {"pm2_5_corrected": "pm2_5"}
"""Quantities that the collector makes, one for each sample of another."""

KEPT = 100
"""Changes of one quantity that are remembered; a box that changes its pace ever again costs no more."""

_History = tuple[tuple[int, int], ...]
"""Since when (ms) a quantity is measured every so many seconds, in order."""
_Histories = dict[str, _History]
"""By quantity; never changed, as others may be looking through them."""


class Paces:
    """The paces in memory and in the database; one thread tells, others may ask.

    Every collector hears what a box says, and the first enters it; one that begins reads what the others entered.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with engine.connect() as db:
            self._known = _read(db, select(PACES))

    def tell(self, station: str, paces: Mapping[int, int], at: int) -> None:
        """A box said at `at` (ms) how many seconds lie between samples of each quantity, by its number.

        What is known already costs nothing; what cannot be (unknown numbers, a pace beyond a day) is passed over.
        """
        told = {
            BY_NUMBER[number].name: every_s
            for number, every_s in paces.items()
            if number in BY_NUMBER and 1 <= every_s <= MAX_S
        }
        now = self._known.get(station, {})
        if all(now.get(quantity, ((0, None),))[-1][1] == every_s for quantity, every_s in told.items()):
            return
        with self._engine.begin() as db:
            lock(db, Lock.PACES)
            known = _read(db, select(PACES).where(PACES.c.station == station)).get(station, {})
            changed: _Histories = {}
            for quantity, every_s in told.items():
                history = known.get(quantity, ())
                if not history or history[-1][1] != every_s:
                    before = [entry for entry in history if entry[0] < at]
                    changed[quantity] = (*before[1 - KEPT :], (at, every_s))
            if changed:
                db.execute(delete(PACES).where(PACES.c.station == station, PACES.c.quantity.in_(changed)))
                db.execute(
                    insert(PACES),
                    [
                        {"station": station, "quantity": quantity, "since": since, "every_s": every_s}
                        for quantity, history in changed.items()
                        for since, every_s in history
                    ],
                )
        self._known[station] = known | changed

    def quantities(self, station: str) -> frozenset[str]:
        """What the box of a station said that it measures, now or before."""
        return frozenset(self._known.get(station, ()))

    def every_ms(self, station: str, number: int) -> int | None:
        """From one sample of a quantity, by its number, to the next, as the box said last; None before it did."""
        known = self._known.get(station, {}).get(BY_NUMBER[number].name)
        return known[-1][1] * 1000 if known else None

    def due(self, station: str, quantity: str) -> Due:
        """How many samples of a quantity are due in given spans; boxes poll at whole multiples of the pace in UTC."""
        known = self._known.get(station, {}).get(MADE_OF.get(quantity, quantity))
        return partial(_due, known or ((0, DEFAULT_S),))


def _due(history: _History, starts: Times, stops: Times) -> Floats:
    far = np.int64(2**62)
    due = np.zeros(len(starts), np.int64)
    for i, (since, every_s) in enumerate(history):
        step = every_s * 1000
        first = np.maximum(starts, since if i else -far)
        last = np.minimum(stops, history[i + 1][0] if i + 1 < len(history) else far)
        due += np.maximum(-(-last // step) + (-first // step), 0)
    return due.astype(np.float64)


def _read(db: Connection, wanted: Select[Any]) -> dict[str, _Histories]:
    known: dict[str, _Histories] = {}
    for row in db.execute(wanted.order_by(PACES.c.since)):
        of = known.setdefault(row.station, {})
        of[row.quantity] = (*of.get(row.quantity, ()), (row.since, row.every_s))
    return known
