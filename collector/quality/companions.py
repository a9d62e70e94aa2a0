"""What two quantities of one station say together, in the same minute: twin sensors, and dust with humidity.

Whichever of the two comes last, the result is the same: what came first is revised, or the corrected value made then.
A companion that does not come changes nothing. The last RECENT samples that came are remembered of each quantity that
has a companion; after a restart of the collector there are none, so a minute that it cuts in two is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.quality.humidity import Correction, corrected
from collector.quality.limits import Twin
from collector.quality.memory import Memory
from collector.quality.qartod import FAIL, MISSING, SUSPECT, Bools, Flags, Floats, Samples, Times
from collector.quality.settings import CORRECTED, TWINS, QualitySettings
from edge_agent.contract.quantities import BY_NAME

RECENT = 256
_MINUTE = 60_000
_DUST, _HUMIDITY, _DRY = BY_NAME["pm2_5"].number, BY_NAME["humidity"].number, BY_NAME[CORRECTED]


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A flag that got worse after its point had been judged; the point is of the same station."""

    quantity: int
    at: int
    flag: int


class Derived(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Points of a quantity that is computed; they replace earlier ones of the same time."""

    quantity: int
    at: Times
    values: Floats
    flags: Flags


class Recent(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The last samples of one quantity, in order of time; every array of shape (samples,)."""

    at: Times
    values: Floats
    flags: Flags
    sound: Bools
    came: Times
    """Number of the block with which each came."""

    def grown(self, at: Times, values: Floats, flags: Flags, sound: Bools) -> Self:
        """With the samples of one more block, in order of time."""
        block = self.came.max(initial=0) + 1
        new: tuple[NDArray[Any], ...] = at, values, flags, sound, np.full(len(at), block, np.int64)
        arrays = [np.concatenate((getattr(self, name), a)) for name, a in zip(self.__struct_fields__, new, strict=True)]
        if len(arrays[0]) > 2 * RECENT:
            late = arrays[-1] >= np.sort(arrays[-1])[-RECENT]
            arrays = [array[late] for array in arrays]
        if len(self.at) and at[0] < self.at[-1]:
            order = np.argsort(arrays[0], kind="stable")
            arrays = [array[order] for array in arrays]
        return type(self)(**dict(zip(self.__struct_fields__, arrays, strict=True)))

    def within(self, first: int, last: int) -> slice:
        """The samples in the minutes from that of `first` to that of `last`."""
        begin, end = np.searchsorted(self.at, (first // _MINUTE * _MINUTE, (last // _MINUTE + 1) * _MINUTE))
        return slice(int(begin), int(end))

    def worse(self, place: slice | NDArray[np.intp], flag: int) -> Self:
        """With flags of at least `flag` in these places."""
        flags = self.flags.copy()
        flags[place] = np.maximum(flags[place], flag)
        return msgspec.structs.replace(self, flags=flags)


_NONE = Recent(
    at=np.empty(0, np.int64),
    values=np.empty(0),
    flags=np.empty(0, np.uint8),
    sound=np.empty(0, np.bool_),
    came=np.empty(0, np.int64),
)


class _Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """The companions that a station has."""

    twins: tuple[tuple[int, int, Twin], ...]
    correction: Correction | None

    @property
    def quantities(self) -> frozenset[int]:
        """All of them."""
        dust = (_DUST, _HUMIDITY) if self.correction else ()
        return frozenset((*(number for a, b, _ in self.twins for number in (a, b)), *dust))


class Companions:
    """The recent samples of all quantities that have a companion."""

    def __init__(self, settings: QualitySettings) -> None:
        self._settings = settings
        self._pairs: dict[str, tuple[_Pairs, frozenset[int]]] = {}
        self.recent: Memory[tuple[str, int], Recent] = Memory()

    def watches(self, device: str, quantities: Sequence[int]) -> bool:
        """Tell whether any of these quantities of a station has a companion."""
        if device not in self._pairs:
            pairs = self._meet(device)
            self._pairs[device] = pairs, pairs.quantities
        return not self._pairs[device][1].isdisjoint(quantities)

    def join(
        self, device: str, quantities: Sequence[int], samples: Samples, flags: Flags, revisions: Sequence[Revision]
    ) -> tuple[Flags, list[Revision], tuple[Derived, ...]]:
        """Compare a block's samples with their companions.

        flags: theirs by all other tests; revisions: those that came of the other tests. Gives the block's flags, all
        its revisions, and the derived points that it makes or changes. The station must be known to `watches`.
        """
        pairs, watched = self._pairs[device]
        rows = {number: row for row, number in enumerate(quantities) if number in watched}
        recent = {number: self.recent.get((device, number)) or _NONE for number in watched}
        for number, row in rows.items():
            recent[number] = recent[number].grown(samples.at, samples.values[row], flags[row], samples.sound[row])
        told = _news(recent, revisions)
        first, last = int(samples.at[0]), int(samples.at[-1])
        for a, b, limits in pairs.twins:
            if a in rows or b in rows:
                told += _compare(recent, (a, b), limits, first, last)
                told += _compare(recent, (b, a), limits, first, last)
        flags = flags.copy()
        for number, row in rows.items():
            flags[row] = recent[number].flags[recent[number].came == recent[number].came.max()]
        for number, known in recent.items():
            self.recent.set((device, number), known)
        old = [r for r in told if r.quantity not in rows or not _holds(samples.at, r.at)]
        if pairs.correction is None:
            return flags, old, ()
        both = (_DUST, _HUMIDITY)
        times = [np.array([r.at for r in told if r.quantity in both], np.int64)]
        times += [samples.at] if rows.keys() & set(both) else []
        return flags, old, _dry(pairs.correction, recent, np.concatenate(times))

    def _meet(self, device: str) -> _Pairs:
        twins = [(a, b, self._settings.limits(device, a).twin) for a, b in TWINS.items()]
        return _Pairs(
            twins=tuple((BY_NAME[a].number, BY_NAME[b].number, limits) for a, b, limits in twins if limits),
            correction=self._settings.humidity_correction.get(device),
        )


def _holds(times: Times, at: int) -> bool:
    place = int(np.searchsorted(times, at))
    return place < len(times) and bool(times[place] == at)


def _news(recent: dict[int, Recent], revisions: Sequence[Revision]) -> list[Revision]:
    """The revisions that make a flag worse than it is by now; the others were overtaken."""
    news = []
    for revision in revisions:
        samples = recent.get(revision.quantity, _NONE)
        place = slice(*np.searchsorted(samples.at, (revision.at, revision.at + 1)).tolist())
        known = samples.flags[place]
        if not len(known) or known.min() < revision.flag:
            news.append(revision)
        if len(known):
            recent[revision.quantity] = samples.worse(place, revision.flag)
    return news


def _compare(recent: dict[int, Recent], pair: tuple[int, int], limits: Twin, first: int, last: int) -> list[Revision]:
    """Mark the samples of the pair's one that differ from any sound one of the other in the same minute."""
    own, other = recent[pair[0]], recent[pair[1]]
    beside = other.within(first, last)
    others = np.where(other.sound[beside], other.values[beside], np.nan)
    if np.isnan(others).all():
        return []
    place = own.within(first, last)
    values = own.values[place]
    apart = np.zeros(len(values), np.bool_)
    if first // _MINUTE == last // _MINUTE:
        extremes: Iterable[Floats | float] = np.nanmin(others), np.nanmax(others)
    else:
        extremes = _extremes(own.at[place], other.at[beside], others)
    for extreme in extremes:
        off = np.abs(values - extreme)
        apart |= (off > limits.absolute) & (off > limits.relative * (values + extreme) / 2)
    marked = place.start + np.flatnonzero(apart & own.sound[place] & (own.flags[place] < SUSPECT))
    if not len(marked):
        return []
    recent[pair[0]] = own.worse(marked, SUSPECT)
    return [Revision(quantity=pair[0], at=at, flag=SUSPECT) for at in own.at[marked].tolist()]


def _extremes(at: Times, others: Times, values: Floats) -> tuple[Floats, Floats]:
    """For each time the lowest and the highest of the values in the same minute; NaN where there is none."""
    minute = at // _MINUTE * _MINUTE
    begin, end = np.searchsorted(others, minute), np.searchsorted(others, minute + _MINUTE)
    some = np.flatnonzero(end > begin)
    low, high = np.full(len(at), np.nan), np.full(len(at), np.nan)
    if len(some):
        between = np.stack((begin[some], end[some]), axis=1).ravel()
        values = np.append(values, np.nan)  # so that an end may lie behind the last
        low[some] = np.fmin.reduceat(values, between)[::2]
        high[some] = np.fmax.reduceat(values, between)[::2]
    return low, high


def _dry(correction: Correction, recent: dict[int, Recent], times: Times) -> tuple[Derived, ...]:
    """Corrected dust for every sample of dust in the minutes of these times that has a humidity in its minute."""
    dust, humidity = recent[_DUST], recent[_HUMIDITY]
    if not len(times) or not len(dust.at) or not len(humidity.at):
        return ()
    place = dust.within(int(times.min()), int(times.max()))
    at = dust.at[place]
    after = np.searchsorted(humidity.at, at)
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(humidity.at) - 1)
    minute = at // _MINUTE
    far = np.iinfo(np.int64).max
    gaps = [np.where(humidity.at[i] // _MINUTE == minute, np.abs(humidity.at[i] - at), far) for i in (before, after)]
    nearest = np.where(gaps[0] <= gaps[1], before, after)
    taken = np.flatnonzero((np.minimum(*gaps) < far) & np.isin(minute, times // _MINUTE))
    if not len(taken):
        return ()
    nearest, mine = nearest[taken], place.start + taken
    values = corrected(correction, dust.values[mine], humidity.values[nearest]).round(_DRY.decimals)
    flags = np.maximum(dust.flags[mine], humidity.flags[nearest])
    flags[(values < _DRY.low) | (values > _DRY.high)] = FAIL
    flags[np.isnan(values)] = MISSING
    return (Derived(quantity=_DRY.number, at=at[taken], values=values, flags=flags),)
