"""What the stations of one medium say of the same air or water: a value far from its neighbours' median is suspect.

Only what is known when a value is judged counts: no flag waits for a neighbour, none comes because one is missing, and
after a restart there are none until enough neighbours were heard again. The last MINUTES minutes are remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.quality.limits import Neighbours
from collector.quality.qartod import PASS, SUSPECT, Bools, Flags, Floats, Samples, Times
from collector.quality.settings import QualitySettings
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import BY_NAME, BY_NUMBER

MINUTES = 256
_MINUTE = 60_000
_SPAN = 128
"""Minutes of a block that are looked at together; with an hour before and behind they are less than MINUTES."""
_KM_PER_DEGREE = 111.2
_FAR = 10**15
_Indices = NDArray[np.intp]


class _Field(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the stations of a medium said; the arrays change."""

    boxes: tuple[Box, ...]
    at: Times
    """Shape (quantities, stations, MINUTES): of the newest sound value in each of the last minutes."""
    values: Floats


class View(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Quantities of one block that are compared with the same neighbours by the same limits."""

    field: _Field
    rows: list[int]
    """In the block."""
    planes: _Indices
    """In the field."""
    station: int
    neighbours: _Indices
    limits: Neighbours | None
    """None: the station is only a neighbour to others."""


class Neighbourhood:
    """The stations of the fleet, and what they said last."""

    def __init__(self, settings: QualitySettings, fleet: Mapping[str, Box]) -> None:
        self._settings = settings
        self._planes = {name: i for i, name in enumerate(sorted(settings.named("neighbours") & set(BY_NAME)))}
        self._fields: dict[str, _Field] = {}
        self._places: dict[str, tuple[_Field, int]] = {}
        for medium in {box.medium for box in fleet.values() if box.medium and self._planes}:
            boxes = tuple(box for box in fleet.values() if box.medium == medium)
            shape = len(self._planes), len(boxes), MINUTES
            field = _Field(boxes=boxes, at=np.full(shape, -_FAR, np.int64), values=np.full(shape, np.nan))
            self._places |= {box.device: (field, i) for i, box in enumerate(boxes)}

    def views(self, device: str, quantities: Sequence[int]) -> tuple[View, ...]:
        """How these quantities of a station are compared; none where the test is off."""
        if device not in self._places:
            return ()
        field, station = self._places[device]
        alike: dict[Neighbours | None, list[int]] = {}
        for row, number in enumerate(quantities):
            if BY_NUMBER[number].name in self._planes:
                limits = self._settings.limits(device, BY_NUMBER[number].name).neighbours or None
                alike.setdefault(limits, []).append(row)
        return tuple(
            View(
                field=field,
                rows=rows,
                planes=np.array([self._planes[BY_NUMBER[quantities[row]].name] for row in rows], np.intp),
                station=station,
                neighbours=_near(field.boxes, station, limits.within_km if limits else 0),
                limits=limits,
            )
            for limits, rows in alike.items()
        )


def _near(boxes: Sequence[Box], station: int, km: float) -> _Indices:
    lat, lon = (np.array([getattr(box.position, axis) for box in boxes]) for axis in ("lat", "lon"))
    away = _KM_PER_DEGREE * np.hypot(lat - lat[station], (lon - lon[station]) * np.cos(np.radians(lat[station])))
    return np.flatnonzero((away <= km) & (np.arange(len(boxes)) != station))


def alone(view: View, samples: Samples) -> Flags:
    """Remember a block's sound values, and flag those that differ from the neighbours' by too much: (rows, samples)."""
    at, values, sound = samples.at, samples.values[view.rows], samples.sound[view.rows]
    minutes = at // _MINUTE
    _remember(view, at, minutes % MINUTES, values, sound)
    marks = np.zeros(values.shape, np.bool_)
    if view.limits is None or len(view.neighbours) < view.limits.least:
        return marks.astype(np.uint8)
    first = 0
    while first < len(at):
        last = int(np.searchsorted(minutes, minutes[first] + _SPAN))
        found = _said(view, at[first:last], minutes[first:last], round(view.limits.within_s * 1000))
        marks[:, first:last] = _differ(view.limits, values[:, first:last], found)
        first = last
    return np.where(marks & sound, SUSPECT, PASS).astype(np.uint8)


def _remember(view: View, at: Times, slots: Times, values: Floats, sound: Bools) -> None:
    planes = view.planes[:, None]
    new = sound & (at >= view.field.at[planes, view.station, slots])
    rows, columns = np.nonzero(new)  # the newest of a minute comes last and stays
    place = view.planes[rows], view.station, slots[columns]
    view.field.at[place], view.field.values[place] = at[columns], values[rows, columns]


def _said(view: View, at: Times, minutes: Times, within: int) -> Floats:
    """What each neighbour said nearest to each time; shape (rows, neighbours, times), NaN where that is too far."""
    reach = within // _MINUTE + 1
    around = np.arange(minutes[0] - reach, minutes[-1] + reach + 1)
    place = view.planes[:, None, None], view.neighbours[:, None], around % MINUTES
    times = view.field.at[place]
    there = times // _MINUTE == around  # and not of a turn of the ring before
    index, end = np.arange(len(around)), len(around) - 1
    mine = minutes - around[0]
    before = np.maximum.accumulate(np.where(there, index, 0), axis=2)[:, :, mine]
    after = np.minimum.accumulate(np.where(there, index, end)[:, :, ::-1], axis=2)[:, :, ::-1][:, :, mine]
    times[~there] = -_FAR
    early = np.abs(np.take_along_axis(times, before, axis=2) - at)
    late = np.abs(np.take_along_axis(times, after, axis=2) - at)
    found = np.take_along_axis(view.field.values[place], np.where(late < early, after, before), axis=2)
    found[np.minimum(early, late) > within] = np.nan
    return found


def _differ(limits: Neighbours, values: Floats, found: Floats) -> Bools:
    found.sort(axis=1)  # NaN come last
    count = np.count_nonzero(~np.isnan(found), axis=1)[:, None]
    middle = [np.take_along_axis(found, i, axis=1)[:, 0] for i in (np.maximum(count - 1, 0) // 2, count // 2)]
    median = (middle[0] + middle[1]) / 2
    apart = np.abs(values - median)
    differ: Bools = (count[:, 0] >= limits.least) & (apart > limits.absolute)
    differ &= apart > limits.relative * np.abs(median)
    return differ
