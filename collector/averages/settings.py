"""What the collector's file says of averages (key `averages`)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from collector.averages.means import Rule


class AverageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How averages and the air quality index are made. No Vietnamese rule says how much data a mean needs."""

    coverage: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | None,
        Meta(
            description="Per cent of the samples due that an hour needs, and of the hours that a longer mean needs;"
            " 75 is usual. Left out, every mean is made, and its flag says that there is no rule."
        ),
    ] = None
    nowcast: Annotated[
        Literal["normalised", "literal"],
        Meta(
            description="NowCast with w = 1/2: normalised over the hours that are there, or as the Decision writes it."
        ),
    ] = "normalised"
    settle_s: Annotated[
        int,
        Meta(
            ge=0, le=3600, description="Seconds after its end until an hour is averaged; later data are taken in too."
        ),
    ] = 120

    @property
    def rule(self) -> Rule:
        """How much data a mean needs."""
        return Rule(self.coverage)
