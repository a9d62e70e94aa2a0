"""The limits that hold where no file says anything: starting values, no law.

They are for tropical coastal stations with a sample every one to five minutes, wide enough that a rain front or an
incoming tide passes; officers narrow them per station. Tests that need to know the place have no default and are off:
climatology, attenuated signal, neighbours, twins.
"""

from __future__ import annotations

from collector.quality.limits import Limits

_H = 3600.0


def _row(  # noqa: PLR0917 - it makes the rows of a table
    suspect_low: float | None,
    suspect_high: float | None,
    spike_suspect: float | None,
    spike_fail: float | None,
    rate_per_min: float | None,
    flat_hours: tuple[float, float] | None,
    flat_tolerance: float = 0,
    *,
    gap_s: float | None = 660,
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
        gap_s=gap_s,
    )


_ANALYSER = 7500.0
"""Seconds: wet chemistry takes an hour for a sample, and one may be missing."""

DEFAULTS: dict[str, Limits] = {
    # quantity: suspect below, above, spike suspect, fail, rate per minute, flat (hours to suspect, to fail), tolerance
    "pm1": _row(None, 300, 100, 300, 150, (6, 24)),
    "pm2_5": _row(None, 500, 100, 300, 150, (6, 24)),
    "pm10": _row(None, 600, 150, 500, 250, (6, 24)),
    "tsp": _row(None, 1000, 300, 1000, 500, (6, 24)),
    "so2": _row(None, 500, 150, 500, 200, (12, 48)),
    "no2": _row(None, 400, 150, 500, 200, (12, 48)),
    "no": _row(None, 500, 200, 600, 300, (12, 48)),
    "co": _row(None, 100_000, 5000, 20_000, 10_000, (12, 48)),
    "o3": _row(None, 400, 80, 250, 100, (12, 48)),
    "h2s": _row(None, 200, 50, 200, 100, (24, 72)),
    "nh3": _row(None, 400, 100, 400, 200, (24, 72)),
    "air_temperature": _row(15, 42, 3, 10, 3, (3, 12)),
    "humidity": _row(20, None, 15, 40, 15, None),  # 100 % can last through a night
    "pressure": _row(980, 1035, 2, 10, 2, (6, 24)),
    "wind_speed": _row(None, 45, 20, 40, None, None),  # gusts and calms are real
    "wind_direction": _row(None, None, None, None, None, None),  # turns through north
    "rain": _row(None, None, None, None, None, None),  # a counter, until the gauge is reset
    "solar_radiation": _row(None, 1400, None, None, None, None),  # clouds switch it, nights are flat
    "noise": _row(25, 120, 30, 60, None, (3, 12)),
    "pm2_5_b": _row(None, 500, 100, 300, 150, (6, 24)),
    "pm10_b": _row(None, 600, 150, 500, 250, (6, 24)),
    "pm2_5_corrected": _row(None, None, None, None, None, None, gap_s=None),  # flagged as what it is made of
    "water_temperature": _row(18, 45, 1.5, 5, 1, (12, 48)),
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
    "ammonium": _row(None, 100, 5, 30, 5, (12, 48), gap_s=_ANALYSER),
    "nitrate": _row(None, 100, 5, 30, 5, (12, 48), gap_s=_ANALYSER),
    "nitrite": _row(None, 20, 1, 10, 1, (24, 72), gap_s=_ANALYSER),
    "phosphate": _row(None, 50, 3, 20, 3, (24, 72), gap_s=_ANALYSER),
    "total_nitrogen": _row(None, 300, 20, 100, 20, (24, 72), gap_s=_ANALYSER),
    "total_phosphorus": _row(None, 100, 5, 40, 5, (24, 72), gap_s=_ANALYSER),
    "cod": _row(None, 2000, 100, 500, 100, (12, 48), gap_s=_ANALYSER),
    "bod5": _row(None, 1000, 60, 300, 60, (24, 72), gap_s=_ANALYSER),
    "toc": _row(None, 1000, 50, 300, 50, (24, 72), gap_s=_ANALYSER),
    "colour": _row(None, 1000, 100, 500, 100, (24, 72)),
    "flow": _row(None, None, None, None, None, None),  # pumps switch it
    "chlorophyll_a": _row(None, 200, 20, 100, 20, (24, 72)),
    "water_level": _row(None, None, 0.5, 3, 0.5, (24, 72), 0.002),
    "water_pressure": _row(None, 1200, None, None, None, (24, 72)),
}
