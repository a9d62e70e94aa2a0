"""Blocks of many boxes laid end to end, so that they are judged together: the same quantities, under the same tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.quality.qartod import Samples, Tests, ranges
from edge_agent.contract.packs import Block


class Lot(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The samples of some blocks, of each block in order of time, flagged by what each says for itself."""

    samples: Samples
    stops: NDArray[np.intp]
    """Where the samples of each block end."""
    came: NDArray[np.intp] | None
    """Where the samples are as they came; None: here."""

    @classmethod
    def of(cls, blocks: Sequence[Block], tests: Tests) -> Self:
        """Lay out blocks that have samples, of the quantities of `tests`."""
        stops = np.cumsum([len(block.at) for block in blocks])
        at = np.array([*chain.from_iterable(block.at for block in blocks)], np.int64)
        columns = zip(*(block.columns for block in blocks), strict=True)
        ticks = np.array([[*chain.from_iterable(column)] for column in columns], np.float64)
        begins = (stops - [len(block.at) for block in blocks]).tolist()
        status = {
            (row, begin + column): code
            for begin, block in zip(begins, blocks, strict=True)
            for (row, column), code in block.status.items()
        }
        values = ticks / tests.divisor
        flags, sound = ranges(at, values, tests, status)
        samples = Samples(at=at, ticks=ticks, values=values, flags=flags, sound=sound)
        rising = at[1:] > at[:-1]
        rising[stops[:-1] - 1] = True
        if rising.all():
            return cls(samples=samples, stops=stops, came=None)
        owner = np.repeat(np.arange(len(blocks)), np.diff(stops, prepend=0))
        order = np.lexsort((at, owner))
        return cls(samples=samples.part(order), stops=stops, came=np.argsort(order))

    def places(self) -> list[slice]:
        """Where each block's samples are."""
        return [slice(begin, end) for begin, end in pairwise([0, *self.stops.tolist()])]
