"""How readings are judged: key `quality` of the collector's file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

import msgspec

from collector.quality.defaults import DEFAULTS
from collector.quality.humidity import Correction
from collector.quality.limits import Limits
from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME

TWINS = {"pm2_5": "pm2_5_b", "pm10": "pm10_b"}
"""The first sensor's quantity: the second's."""
CORRECTED = "pm2_5_corrected"


class QualitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How readings are judged (key `quality` of the collector's file)."""

    max_gap_s: Annotated[float, msgspec.Meta(gt=0)] = 660
    """Samples further apart are no neighbours; at the slowest legal pace of five minutes one may be missing."""
    open_segments: Annotated[int, msgspec.Meta(ge=2, le=16)] = 4
    """How many places of a series may grow at once (fresh samples, backlogs after several cuts)."""
    quantities: dict[str, Limits] = {}
    """Quantity: limits, for every station."""
    stations: dict[str, dict[str, Limits]] = {}
    """Station: quantity: limits; over those for every station."""
    humidity_correction: dict[str, Correction] = {}
    """Station: how its `pm2_5_corrected` is made of pm2_5 and humidity; other stations have none."""

    def limits(self, station: str, quantity: str) -> Limits:
        """The limits that hold for a quantity at a station."""
        limits = DEFAULTS.get(quantity, Limits())
        for own in (self.quantities, self.stations.get(station, {})):
            if quantity in own:
                limits = own[quantity].over(limits)
        return limits

    def named(self, test: str) -> frozenset[str]:
        """The quantities for which any file names a test (a field of Limits)."""
        levels = (self.quantities, *self.stations.values())
        return frozenset(name for own in levels for name, limits in own.items() if getattr(limits, test))

    def mistakes(self, stations: Collection[str]) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """What no schema can say, for a fleet of these boxes: (path below `quality`, what is wrong, what to do).

        Where the fleet is not known (none), no station is looked for in it.
        """
        for key in ("stations", "humidity_correction"):
            for name in getattr(self, key):
                if stations and name not in stations:
                    yield (key, name), f"there is no station {name!r} in the fleet", meant(name, stations)
        levels: list[tuple[str, tuple[str, ...], dict[str, Limits]]] = [("", ("quantities",), self.quantities)]
        levels += [(name, ("stations", name), limits) for name, limits in self.stations.items()]
        for station, path, own in levels:
            for quantity, limits in own.items():
                for message, cure in self._wrong(station, quantity, limits):
                    yield (*path, quantity), message, cure

    def _wrong(self, station: str, quantity: str, limits: Limits) -> Iterator[tuple[str, str]]:
        if quantity not in BY_NAME:
            yield f"{quantity!r} is not a quantity", meant(quantity, BY_NAME)
        elif quantity == CORRECTED:
            yield f"{CORRECTED} is computed", "it is flagged as pm2_5 and humidity are: give their limits"
        elif wrong := self.limits(station, quantity).crossed():
            yield wrong, "correct one of the two; what no file says is a default"
        if limits.twin and quantity in TWINS.values():
            yield "twin belongs to the first of the two sensors", f"write it at {quantity.removesuffix('_b')}"
        elif limits.twin and quantity in BY_NAME and quantity not in TWINS:
            yield f"{quantity} has no twin", f"twins are: {', '.join(f'{a} and {b}' for a, b in TWINS.items())}"
