"""QARTOD's test of gaps: stretches without a sample. They are told, and flag no value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from collector.quality.memory import Memory
from collector.quality.qartod import Times
from collector.quality.settings import QualitySettings
from edge_agent.contract.quantities import BY_NUMBER

STRETCHES = 16
"""Stretches that are remembered of a series: more holes than that are never open at once."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Between two samples of a quantity that follow each other, both at ms UTC, is more time than its `gap_s`."""

    quantity: int
    since: int
    """The last sample before it."""
    until: int
    """The first sample after it."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of when samples of one quantity came."""

    gap_ms: int
    """0: gaps are not told."""
    stretches: tuple[tuple[int, int], ...] = ()
    """First and last sample of what came, in order of time; holes of `gap_ms` or less are part of a stretch."""
    known: int
    """Of what was before (ms UTC) not everything is known: it came before a restart, or is forgotten."""

    def grown(self, at: Times, longest: int) -> tuple[Series, list[tuple[int, int]]]:
        """With these samples, and the holes, as (since, until), that were none before; longest: of the steps."""
        first, last = int(at[0]), int(at[-1])
        if self.stretches and longest <= self.gap_ms:
            start, end = self.stretches[-1]
            if end <= first <= end + self.gap_ms:
                return self._with((*self.stretches[:-1], (start, last)), self.known), []
        holes = np.flatnonzero(np.diff(at) > self.gap_ms)
        new = zip([first, *at[holes + 1].tolist()], [*at[holes].tolist(), last], strict=True)
        stretches = _merged([*self.stretches, *new], self.gap_ms)
        known = max(self.known, stretches[-STRETCHES - 1][1]) if len(stretches) > STRETCHES else self.known
        found = [hole for hole in _holes(stretches) if hole[0] >= known and hole not in _holes(self.stretches)]
        return self._with(tuple(stretches[-STRETCHES:]), known), found

    def _with(self, stretches: tuple[tuple[int, int], ...], known: int) -> Series:
        return Series(gap_ms=self.gap_ms, stretches=stretches, known=known)


def _merged(stretches: list[tuple[int, int]], gap_ms: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if merged and first - merged[-1][1] <= gap_ms:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def _holes(stretches: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(since, until) for (_, since), (until, _) in pairwise(stretches)]


class Gaps:
    """Which stretches of every series came since the collector began; bounded by series times STRETCHES."""

    def __init__(self, settings: QualitySettings, began: int) -> None:
        """began: ms UTC; of gaps that begin before it nothing is told, for what filled them may be stored already."""
        self._settings = settings
        self._began = began
        self.series: Memory[tuple[str, int], Series] = Memory()

    def add(self, device: str, quantities: Sequence[int], at: Times) -> tuple[Gap, ...]:
        """Take samples in order of time; gives the gaps that they leave: between them, and to what came before."""
        found: list[Gap] = []
        longest = int(np.diff(at).max()) if len(at) > 1 else 0
        same: Series | None = None
        for quantity in quantities:
            series = self.series.get((device, quantity)) or self._meet(device, quantity)
            if series.gap_ms:
                if series != same:  # quantities that come together mostly have the same past
                    same = series
                    grown, holes = series.grown(at, longest)
                series = grown
                found += (Gap(quantity=quantity, since=since, until=until) for since, until in holes)
            self.series.set((device, quantity), series)
        return tuple(found)

    def _meet(self, device: str, quantity: int) -> Series:
        gap_s = self._settings.limits(device, BY_NUMBER[quantity].name).gap_s
        return Series(gap_ms=round(gap_s * 1000) if gap_s else 0, known=self._began)
