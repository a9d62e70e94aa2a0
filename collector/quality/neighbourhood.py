"""What the stations of one medium say of the same air or water: a value far from its neighbours' median is suspect.

Only what is known when a value is judged counts: no flag waits for a neighbour, none comes because one is missing, and
after a restart there are none until enough neighbours were heard again. The last MINUTES minutes are remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.quality.limits import Neighbours
from collector.quality.qartod import SUSPECT, Bools, Floats, Samples, Times
from collector.quality.settings import QualitySettings
from edge_agent.contract.device import Box
from edge_agent.contract.quantities import BY_NAME, BY_NUMBER

MINUTES = 256
_MINUTE = 60_000
_SPAN = 128
"""Minutes that are looked at together; with an hour before and behind they are less than MINUTES."""
_TOGETHER = 200_000
"""Values of neighbours that are looked at together, for the memory that they take."""
_KM_PER_DEGREE = 111.2
_FAR = 10**15
_NOBODY = -1
"""Fills up the neighbours of a station that has fewer than others."""
_Indices = NDArray[np.intp]


class _Field(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the stations of a medium said; the arrays change."""

    boxes: tuple[Box, ...]
    at: Times
    """Shape (quantities, stations, MINUTES): of the newest sound value in each of the last minutes."""
    values: Floats


class View(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Quantities of one station's blocks that are compared with the same neighbours."""

    field: _Field
    rows: tuple[int, ...]
    """In the block."""
    planes: tuple[int, ...]
    """In the field."""
    station: int
    neighbours: _Indices
    limits: tuple[Neighbours, ...] | None
    """Of each row; they differ in `absolute` and `relative` only. None: the station is only a neighbour to others."""


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
        alike: dict[Neighbours | None, list[tuple[int, Neighbours | None]]] = {}
        for row, number in enumerate(quantities):
            if BY_NUMBER[number].name in self._planes:
                limits = self._settings.limits(device, BY_NUMBER[number].name).neighbours or None
                kind = msgspec.structs.replace(limits, absolute=1, relative=1) if limits else None
                alike.setdefault(kind, []).append((row, limits))
        return tuple(
            View(
                field=field,
                rows=tuple(row for row, _ in found),
                planes=tuple(self._planes[BY_NUMBER[quantities[row]].name] for row, _ in found),
                station=station,
                neighbours=_near(field.boxes, station, kind.within_km if kind else 0),
                limits=tuple(limits for _, limits in found if limits) or None,
            )
            for kind, found in alike.items()
        )


def _near(boxes: Sequence[Box], station: int, km: float) -> _Indices:
    lat, lon = (np.array([getattr(box.position, axis) for box in boxes]) for axis in ("lat", "lon"))
    away = _KM_PER_DEGREE * np.hypot(lat - lat[station], (lon - lon[station]) * np.cos(np.radians(lat[station])))
    return np.flatnonzero((away <= km) & (np.arange(len(boxes)) != station))


def alone(views: Sequence[Sequence[View]], samples: Samples, stops: _Indices) -> None:
    """Remember the sound values of many stations, then flag those that differ from the neighbours' by too much.

    views: of each station, whose samples end at `stops`. The flags are changed.
    """
    alike: dict[tuple[object, ...], dict[int, View]] = {}
    for i, of_station in enumerate(views):
        for view in of_station:
            alike.setdefault((id(view.field), view.rows, view.planes, view.limits), {})[i] = view
    begins = np.append(0, stops[:-1])
    places = {key: np.concatenate([np.arange(begins[i], stops[i]) for i in found]) for key, found in alike.items()}
    sizes = stops - begins
    owners = {key: np.repeat(np.arange(len(found)), sizes[list(found)]) for key, found in alike.items()}
    for key, found in alike.items():
        _remember(list(found.values()), samples.part(places[key]), owners[key])
    for key, found in alike.items():
        _compare(list(found.values()), samples, places[key], owners[key])


def _remember(views: Sequence[View], samples: Samples, owner: _Indices) -> None:
    """owner: which of the views each sample belongs to, as in `_compare`."""
    field, planes = views[0].field, np.array(views[0].planes)
    stations, slots = np.array([view.station for view in views])[owner], samples.at // _MINUTE % MINUTES
    new = samples.sound[list(views[0].rows)] & (samples.at >= field.at[planes[:, None], stations, slots])
    rows, columns = np.nonzero(new)  # the newest of a minute comes last and stays
    place = planes[rows], stations[columns], slots[columns]
    field.at[place] = samples.at[columns]
    field.values[place] = samples.values[np.array(views[0].rows)[rows], columns]


def _compare(views: Sequence[View], samples: Samples, columns: _Indices, owner: _Indices) -> None:
    """Flag samples (`columns`) by what the neighbours said; the views have the same limits and planes."""
    limits = views[0].limits
    if limits is None or max(len(view.neighbours) for view in views) < limits[0].least:
        return
    near = np.full((len(views), max(len(view.neighbours) for view in views)), _NOBODY)
    for row, view in zip(near, views, strict=True):
        row[: len(view.neighbours)] = view.neighbours
    spans = samples.at[columns] // (_SPAN * _MINUTE)
    rows = np.array(views[0].rows)
    for span in np.unique(spans):
        within = np.flatnonzero(spans == span)
        minutes = _Minutes.of(views[0], np.unique(near[owner[within]]), samples.at[columns[within]])
        step = max(1, _TOGETHER // near.shape[1])
        for part in (within[begin : begin + step] for begin in range(0, len(within), step)):
            place = np.ix_(rows, columns[part])
            said = minutes.nearest(near[owner[part]], samples.at[columns[part]], round(limits[0].within_s * 1000))
            differ = _differ(limits, samples.values[place], said) & samples.sound[place]
            samples.flags[place] = np.where(differ, np.maximum(samples.flags[place], SUSPECT), samples.flags[place])


class _Minutes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What some stations said in a stretch of minutes; all but `stations` of shape (rows, stations, minutes)."""

    stations: _Indices
    """In the field, rising."""
    first: int
    """The first minute."""
    times: Times
    """_FAR in the past where nothing was said."""
    values: Floats
    before: _Indices
    """The last minute up to each in which something was said."""
    after: _Indices
    """The first minute from each on."""

    @classmethod
    def of(cls, view: View, stations: _Indices, at: Times) -> Self:
        """The minutes around all these times."""
        assert view.limits is not None
        reach = round(view.limits[0].within_s * 1000) // _MINUTE + 1
        around = np.arange(at.min() // _MINUTE - reach, at.max() // _MINUTE + reach + 1)
        place = np.array(view.planes)[:, None, None], stations[:, None], around % MINUTES
        times = view.field.at[place]
        there = times // _MINUTE == around  # and not of a turn of the ring before
        there &= (stations != _NOBODY)[:, None]
        times[~there] = -_FAR
        index, end = np.arange(len(around)), len(around) - 1
        return cls(
            stations=stations,
            first=int(around[0]),
            times=times,
            values=view.field.values[place],
            before=np.maximum.accumulate(np.where(there, index, 0), axis=2),
            after=np.minimum.accumulate(np.where(there, index, end)[:, :, ::-1], axis=2)[:, :, ::-1],
        )

    def nearest(self, near: _Indices, at: Times, within: int) -> Floats:
        """What each neighbour said nearest to each time, shape (rows, times, neighbours); NaN where that is too far.

        near: (times, neighbours).
        """
        row = np.arange(len(self.times))[:, None, None]
        of, minute, at = np.searchsorted(self.stations, near), (at // _MINUTE - self.first)[:, None], at[:, None]
        before, after = self.before[row, of, minute], self.after[row, of, minute]
        early, late = np.abs(self.times[row, of, before] - at), np.abs(self.times[row, of, after] - at)
        said = self.values[row, of, np.where(late < early, after, before)]
        said[np.minimum(early, late) > within] = np.nan
        return np.asarray(said, np.float64)


def _differ(limits: tuple[Neighbours, ...], values: Floats, said: Floats) -> Bools:
    said.sort(axis=2)  # NaN come last
    count = np.count_nonzero(~np.isnan(said), axis=2)[:, :, None]
    middle = [np.take_along_axis(said, i, axis=2)[:, :, 0] for i in (np.maximum(count - 1, 0) // 2, count // 2)]
    median = (middle[0] + middle[1]) / 2
    apart = np.abs(values - median)
    absolute, relative = (np.array([[getattr(limit, name)] for limit in limits]) for name in ("absolute", "relative"))
    differ: Bools = (count[:, :, 0] >= limits[0].least) & (apart > absolute) & (apart > relative * np.abs(median))
    return differ
