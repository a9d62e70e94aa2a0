"""Limits of the quality tests: a default for every quantity, overridden in the collector's file, also per station.

The defaults are starting values for tropical coastal stations with a sample every one to five minutes, wide enough
that a rain front or an incoming tide passes. They are no legal limits; officers narrow them per station.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

import msgspec

from edge_agent.contract.quantities import BY_NAME
from edge_agent.contract.strict import meant

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Unset = msgspec.UnsetType


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of one quantity in its registered unit; a key left out keeps its default, null switches its test off."""

    suspect_low: float | _Unset | None = msgspec.UNSET
    """Below this a value is suspect."""
    suspect_high: float | _Unset | None = msgspec.UNSET
    """Above this a value is suspect."""
    spike_suspect: _Positive | _Unset | None = msgspec.UNSET
    """A value that stands out from both neighbours by more is suspect."""
    spike_fail: _Positive | _Unset | None = msgspec.UNSET
    """A value that stands out from both neighbours by more fails."""
    rate_per_min: _Positive | _Unset | None = msgspec.UNSET
    """A value that moved faster since its neighbour, per minute, is suspect."""
    flat_suspect_s: _Positive | _Unset | None = msgspec.UNSET
    """A value that has not moved for so many seconds is suspect."""
    flat_fail_s: _Positive | _Unset | None = msgspec.UNSET
    """A value that has not moved for so many seconds fails."""
    flat_tolerance: Annotated[float, msgspec.Meta(ge=0)] | _Unset = msgspec.UNSET
    """How far a value may be from where it began and still count as not moved."""

    def over(self, other: Limits) -> Limits:
        """These limits, and those of `other` where these say nothing."""
        given = {f: getattr(self, f) for f in self.__struct_fields__ if getattr(self, f) is not msgspec.UNSET}
        return msgspec.structs.replace(other, **given) if given else other


class QualitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How readings are judged (key `quality` of the collector's file)."""

    max_gap_s: _Positive = 660
    """Samples further apart are no neighbours; at the slowest legal pace of five minutes one may be missing."""
    open_segments: Annotated[int, msgspec.Meta(ge=2, le=16)] = 4
    """How many places of a series may grow at once (fresh samples, backlogs after several cuts)."""
    quantities: dict[str, Limits] = {}
    """Quantity: limits, for every station."""
    stations: dict[str, dict[str, Limits]] = {}
    """Station: quantity: limits; over those for every station."""

    def limits(self, station: str, quantity: str) -> Limits:
        """The limits that hold for a quantity at a station."""
        limits = DEFAULTS.get(quantity, Limits())
        for own in (self.quantities, self.stations.get(station, {})):
            if quantity in own:
                limits = own[quantity].over(limits)
        return limits

    def mistakes(self, stations: Collection[str]) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """What no schema can say, for a fleet of these boxes: (path below `quality`, what is wrong, what to do).

        Where the fleet is not known (none), no station is looked for in it.
        """
        for name in self.stations:
            if stations and name not in stations:
                yield ("stations", name), f"there is no station {name!r} in the fleet", meant(name, stations)
        levels: list[tuple[str, tuple[str, ...], dict[str, Limits]]] = [("", ("quantities",), self.quantities)]
        levels += [(name, ("stations", name), limits) for name, limits in self.stations.items()]
        for station, path, own in levels:
            for quantity in own:
                if quantity not in BY_NAME:
                    yield (*path, quantity), f"{quantity!r} is not a quantity", meant(quantity, BY_NAME)
                elif wrong := _crossed(self.limits(station, quantity)):
                    yield (*path, quantity), wrong, "correct one of the two; what no file says is a default"


def _crossed(limits: Limits) -> str:
    """Say which two limits leave one of them without effect."""
    for lower, upper in (
        ("suspect_low", "suspect_high"),
        ("spike_suspect", "spike_fail"),
        ("flat_suspect_s", "flat_fail_s"),
    ):
        low, high = getattr(limits, lower), getattr(limits, upper)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            return f"{lower} ({low:g}) is above {upper} ({high:g})"
    return ""


_H = 3600.0


def _row(  # noqa: PLR0917 - it makes the rows of a table
    suspect_low: float | None,
    suspect_high: float | None,
    spike_suspect: float | None,
    spike_fail: float | None,
    rate_per_min: float | None,
    flat_hours: tuple[float, float] | None,
    flat_tolerance: float = 0,
) -> Limits:
    return Limits(
        suspect_low=suspect_low,
        suspect_high=suspect_high,
        spike_suspect=spike_suspect,
        spike_fail=spike_fail,
        rate_per_min=rate_per_min,
        flat_suspect_s=flat_hours[0] * _H if flat_hours else None,
        flat_fail_s=flat_hours[1] * _H if flat_hours else None,
        flat_tolerance=flat_tolerance,
    )


DEFAULTS: dict[str, Limits] = {
    # quantity: suspect below, above, spike suspect, fail, rate per minute, flat (hours to suspect, to fail), tolerance
    "pm1": _row(None, 300, 100, 300, 150, (6, 24)),
    "pm2_5": _row(None, 500, 100, 300, 150, (6, 24)),
    "pm10": _row(None, 600, 150, 500, 250, (6, 24)),
    "tsp": _row(None, 1000, 300, 1000, 500, (6, 24)),
    "so2": _row(None, 500, 150, 500, 200, (12, 48)),
    "no2": _row(None, 400, 150, 500, 200, (12, 48)),
    "no": _row(None, 500, 200, 600, 300, (12, 48)),
    "co": _row(None, 30_000, 5000, 20_000, 10_000, (12, 48)),
    "o3": _row(None, 400, 80, 250, 100, (12, 48)),
    "h2s": _row(None, 200, 50, 200, 100, (24, 72)),
    "nh3": _row(None, 400, 100, 400, 200, (24, 72)),
    "air_temperature": _row(15, 42, 3, 10, 3, (3, 12)),
    "humidity": _row(20, None, 15, 40, 15, None),  # 100 % can last through a night
    "pressure": _row(980, 1035, 2, 10, 2, (6, 24)),
    "wind_speed": _row(None, 45, 20, 40, None, None),  # gusts and calms are real
    "wind_direction": _row(None, None, None, None, None, None),  # turns through north
    "rain": _row(None, 100, None, None, None, None),
    "solar_radiation": _row(None, 1400, None, None, None, None),  # clouds switch it, nights are flat
    "noise": _row(25, 120, 30, 60, None, (3, 12)),
    "pm2_5_b": _row(None, 500, 100, 300, 150, (6, 24)),
    "pm10_b": _row(None, 600, 150, 500, 250, (6, 24)),
    "pm2_5_corrected": _row(None, None, None, None, None, None),  # flagged as pm2_5 and humidity are
    "water_temperature": _row(18, 40, 1.5, 5, 1, (12, 48)),
    "ph": _row(4, 10, 0.5, 2, 0.5, (12, 48)),
    "conductivity": _row(None, None, 3000, 15_000, 3000, (24, 72)),
    "salinity": _row(None, 40, 3, 10, 3, (24, 72)),
    "dissolved_oxygen": _row(None, 18, 2, 6, 2, (6, 24)),
    "dissolved_oxygen_saturation": _row(None, 200, 25, 80, 25, (6, 24)),
    "turbidity": _row(None, 1500, 100, 1000, 200, (12, 48)),
    "tss": _row(None, 2000, 150, 1000, 300, (12, 48)),
    "tds": _row(None, 60_000, 3000, 15_000, 3000, (24, 72)),
    "orp": _row(-600, 900, 80, 300, 80, (12, 48)),
    "free_chlorine": _row(None, 5, 0.5, 2, 0.5, (12, 48)),
    "ammonium": _row(None, 100, 5, 30, 5, (12, 48)),
    "nitrate": _row(None, 100, 5, 30, 5, (12, 48)),
    "nitrite": _row(None, 20, 1, 10, 1, (24, 72)),
    "phosphate": _row(None, 50, 3, 20, 3, (24, 72)),
    "total_nitrogen": _row(None, 300, 20, 100, 20, (24, 72)),
    "total_phosphorus": _row(None, 100, 5, 40, 5, (24, 72)),
    "cod": _row(None, 2000, 100, 500, 100, (12, 48)),
    "bod5": _row(None, 1000, 60, 300, 60, (24, 72)),
    "toc": _row(None, 1000, 50, 300, 50, (24, 72)),
    "colour": _row(None, 1000, 100, 500, 100, (24, 72)),
    "flow": _row(None, None, None, None, None, None),  # pumps switch it
    "chlorophyll_a": _row(None, 200, 20, 100, 20, (24, 72)),
    "water_level": _row(None, None, 0.5, 3, 0.5, (24, 72), 0.002),
    "water_pressure": _row(None, 1200, None, None, None, (24, 72)),
}
