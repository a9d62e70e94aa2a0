"""What the stations of one medium say of the same air or water: a value far from its neighbours' median is suspect.

Only what is known when a value is judged counts: no flag waits for a neighbour, none comes because one is missing, and
after a restart there are none until enough neighbours were heard again. The last MINUTES minutes are remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.quality.limits import Neighbours
from collector.quality.qartod import Bools, Floats, Times
from collector.quality.settings import QualitySettings
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import BY_NAME

MINUTES = 256
_MINUTE = 60_000
_KM_PER_DEGREE = 111.2


class _Field(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The newest sound value of every station in each of the last minutes; the arrays change, (stations, MINUTES)."""

    at: Times
    values: Floats


class _View(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One quantity as a station sees it."""

    field: _Field
    row: int
    """Of the station itself."""
    neighbours: NDArray[np.intp]
    limits: Neighbours | None
    """None: the station is only a neighbour to others."""


class Neighbourhood:
    """The stations of the fleet, and what they said last."""

    def __init__(self, settings: QualitySettings, fleet: Mapping[str, Box]) -> None:
        self._views: dict[tuple[str, int], _View] = {}
        for name in sorted(settings.named("neighbours") & set(BY_NAME)):
            for medium in {box.medium for box in fleet.values() if box.medium}:
                self._watch(settings, name, [box for box in fleet.values() if box.medium == medium])

    def _watch(self, settings: QualitySettings, name: str, boxes: list[Box]) -> None:
        shape = len(boxes), MINUTES
        field = _Field(at=np.full(shape, -(10**15), np.int64), values=np.full(shape, np.nan))
        lat, lon = (np.array([getattr(box.position, axis) for box in boxes]) for axis in ("lat", "lon"))
        for row, box in enumerate(boxes):
            limits = settings.limits(box.device, name).neighbours or None
            km = _KM_PER_DEGREE * np.hypot(lat - lat[row], (lon - lon[row]) * np.cos(np.radians(lat[row])))
            near = np.flatnonzero((km <= limits.within_km) & (np.arange(len(boxes)) != row)) if limits else ()
            self._views[box.device, BY_NAME[name].number] = _View(
                field=field, row=row, neighbours=np.array(near, np.intp), limits=limits
            )

    def alone(self, device: str, quantity: int, at: Times, values: Floats, sound: Bools) -> Bools | None:
        """Remember the sound values, at rising times, and say which differ from the neighbours' by too much.

        None: the test is off here.
        """
        view = self._views.get((device, quantity))
        if view is None:
            return None
        field, row, limits = view.field, view.row, view.limits
        minutes = at // _MINUTE
        slots = minutes % MINUTES
        new = sound & (at >= field.at[row, slots])
        field.at[row, slots[new]], field.values[row, slots[new]] = at[new], values[new]
        if limits is None or len(view.neighbours) < limits.least:
            return None
        within = round(limits.within_s * 1000)
        found = np.full((len(view.neighbours), len(at)), np.nan)
        reach = within // _MINUTE + 1
        for offset in (0, *chain.from_iterable((-i, i) for i in range(1, reach + 1))):  # the nearest minute first
            place = np.ix_(view.neighbours, (minutes + offset) % MINUTES)
            known = np.isnan(found) & (np.abs(field.at[place] - at) <= within)
            found[known] = field.values[place][known]
            if not np.isnan(found).any():
                break
        count = np.count_nonzero(~np.isnan(found), axis=0)
        found.sort(axis=0)  # NaN come last
        columns = np.arange(len(at))
        median = (found[np.maximum(count - 1, 0) // 2, columns] + found[count // 2, columns]) / 2
        apart = np.abs(values - median)
        alone: Bools = sound & (count >= limits.least) & (apart > limits.absolute)
        alone &= apart > limits.relative * np.abs(median)
        return alone
