"""How often each quantity of each station is measured, as the boxes say it themselves, and since when.

A box tells its paces whenever it connects. The first that is known of a quantity holds for the time before as well,
since a box that was set up without a link measured at it; before anything is known, DEFAULT_S holds. A box that changes
its pace while it has no link is believed to have changed it when it next connects.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from sqlalchemy import BigInteger, Column, Engine, Integer, String, Table, and_, delete, insert, or_, select

from collector.averages.means import Due, Floats
from collector.averages.periods import Times
from collector.database import METADATA
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

_History = tuple[tuple[int, int], ...]
"""Since when (ms) a quantity is measured every so many seconds, in order."""


class Paces:
    """The paces in memory and in the database; one thread tells, others may ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, str], _History] = {}
        with engine.connect() as db:
            for row in db.execute(select(PACES).order_by(PACES.c.since)):
                key = (row.station, row.quantity)
                self._known[key] = (*self._known.get(key, ()), (row.since, row.every_s))

    def tell(self, station: str, paces: Mapping[int, int], at: int) -> None:
        """A box said at `at` (ms) how many seconds lie between samples of each quantity, by its number.

        What is known already costs nothing; what cannot be (unknown numbers, a pace beyond a day) is passed over.
        """
        changed: dict[tuple[str, str], _History] = {}
        for number, every_s in paces.items():
            if number not in BY_NUMBER or not 1 <= every_s <= MAX_S:
                continue
            key = (station, BY_NUMBER[number].name)
            history = self._known.get(key, ())
            if not history or history[-1][1] != every_s:
                kept = tuple(entry for entry in history if entry[0] < at)
                changed[key] = (*kept, (at, every_s))
        if not changed:
            return
        rows = [
            {"station": station, "quantity": quantity, "since": since, "every_s": every_s}
            for (_, quantity), history in changed.items()
            for since, every_s in history
        ]
        with self._engine.begin() as db:
            these = or_(*(and_(PACES.c.station == key[0], PACES.c.quantity == key[1]) for key in changed))
            db.execute(delete(PACES).where(these))
            db.execute(insert(PACES), rows)
        self._known = self._known | changed  # another, as others may be looking through it

    def quantities(self, station: str) -> frozenset[str]:
        """What the box of a station said that it measures, now or before."""
        return frozenset(quantity for of, quantity in self._known if of == station)

    def due(self, station: str, quantity: str) -> Due:
        """How many samples of a quantity are due in given spans; boxes poll at whole multiples of the pace in UTC."""
        known = self._known.get((station, MADE_OF.get(quantity, quantity)))
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
