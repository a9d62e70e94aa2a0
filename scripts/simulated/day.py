"""A day on the island: what sensors would measure at a moment. Invented curves, seeded; no measurements.

Every quantity swings once a day about a mean; traffic gives dust and gases a peak in the morning and in the evening.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from edge_agent.contract.quantities import BY_NAME

UTC_OFFSET_H = 7


class Curve(NamedTuple):
    """Mean, daily swing (half of highest less lowest), hour of the highest value, noise (standard deviation)."""

    mean: float
    swing: float = 0.0
    peak_h: float = 14.0
    noise: float = 0.0
    traffic: float = 0.0
    """Height of the peaks at 7 and 18 o'clock."""


CURVES: dict[str, Curve] = {
    "pm1": Curve(9, 2, 5, 0.5, 8),
    "pm2_5": Curve(14, 3, 5, 0.8, 14),
    "pm10": Curve(24, 4, 5, 1.5, 22),
    "tsp": Curve(45, 8, 5, 3, 40),
    "pm2_5_b": Curve(14, 3, 5, 0.8, 14),
    "pm10_b": Curve(24, 4, 5, 1.5, 22),
    "so2": Curve(9, 1, 12, 0.6, 6),
    "no2": Curve(16, 2, 20, 1, 22),
    "no": Curve(6, 1, 20, 0.5, 12),
    "co": Curve(450, 50, 20, 15, 500),
    "o3": Curve(48, 32, 14, 2),
    "h2s": Curve(1.5, 0.3, 4, 0.1),
    "nh3": Curve(9, 2, 13, 0.5),
    "air_temperature": Curve(28.2, 3.2, 14, 0.08),
    "humidity": Curve(78, 12, 4, 0.4),
    "pressure": Curve(1009, 1.4, 10, 0.1),
    "wind_speed": Curve(3.4, 1.8, 15, 0.5),
    "wind_direction": Curve(235, 30, 15, 6),
    "rain": Curve(0),
    "solar_radiation": Curve(180, 620, 12, 15),
    "noise": Curve(54, 6, 14, 1, 8),
    "water_temperature": Curve(28.6, 0.7, 16, 0.02),
    "ph": Curve(7.2, 0.05, 14, 0.005),
    "conductivity": Curve(310, 10, 6, 1),
    "dissolved_oxygen": Curve(6.6, 0.6, 15, 0.03),
    "dissolved_oxygen_saturation": Curve(92, 6, 15, 0.4),
    "turbidity": Curve(0.6, 0.1, 8, 0.03),
    "tss": Curve(6, 1, 8, 0.3),
    "salinity": Curve(0.15, 0.01, 6, 0.005),
    "tds": Curve(160, 5, 6, 0.6),
    "orp": Curve(420, 25, 5, 2),
    "free_chlorine": Curve(0.55, 0.08, 5, 0.008),
    "ammonium": Curve(0.08, 0.02, 9, 0.003),
    "nitrate": Curve(1.6, 0.1, 9, 0.02),
    "nitrite": Curve(0.01, 0.002, 9, 0.0005),
    "phosphate": Curve(0.05, 0.01, 9, 0.002),
    "total_nitrogen": Curve(2.2, 0.2, 9, 0.03),
    "total_phosphorus": Curve(0.08, 0.01, 9, 0.002),
    "cod": Curve(3, 0.5, 9, 0.1),
    "bod5": Curve(1.2, 0.2, 9, 0.05),
    "toc": Curve(1.8, 0.2, 9, 0.05),
    "colour": Curve(4, 0.5, 9, 0.2),
    "chlorophyll_a": Curve(0.3, 0.1, 14, 0.02),
    "flow": Curve(85, 40, 19, 1.5),
    "water_level": Curve(2.4, 0.5, 5, 0.004),
    "water_pressure": Curve(320, 30, 3, 1),
}

MEDIUM: dict[str, dict[str, Curve]] = {
    "wastewater": {
        "ph": Curve(6.9, 0.15, 11, 0.01),
        "conductivity": Curve(980, 90, 11, 6),
        "dissolved_oxygen": Curve(3.1, 0.5, 4, 0.05),
        "turbidity": Curve(18, 5, 11, 0.6),
        "tss": Curve(32, 9, 11, 1),
        "cod": Curve(48, 14, 11, 1.2),
        "bod5": Curve(22, 6, 11, 0.8),
        "ammonium": Curve(4.2, 1.4, 11, 0.06),
        "total_nitrogen": Curve(14, 3, 11, 0.2),
        "total_phosphorus": Curve(2.1, 0.5, 11, 0.03),
        "colour": Curve(36, 6, 11, 1),
    },
    "seawater": {
        "ph": Curve(8.12, 0.04, 15, 0.004),
        "conductivity": Curve(50_500, 500, 14, 30),
        "salinity": Curve(32.4, 0.3, 14, 0.02),
        "turbidity": Curve(2.8, 0.6, 16, 0.1),
        "chlorophyll_a": Curve(1.4, 0.4, 14, 0.04),
    },
}


def _traffic(hour: float) -> float:
    return math.exp(-(((hour - 7.2) / 1.3) ** 2)) + math.exp(-(((hour - 18) / 1.8) ** 2))


class Day:
    """The curves of one station; equal seeds give equal values."""

    def __init__(self, medium: str, seed: str) -> None:
        self._curves = CURVES | MEDIUM.get(medium, {})
        self._seed = seed

    def value(self, quantity: str, at: int) -> float:
        """What an instrument would measure at `at` (milliseconds since 1970), in the quantity's own unit."""
        known = BY_NAME[quantity]
        curve = self._curves[quantity]
        hour = (at / 3_600_000 + UTC_OFFSET_H) % 24
        chance = random.Random(f"{self._seed} {quantity} {at // 1000}")
        value = curve.mean + curve.swing * math.cos((hour - curve.peak_h) / 24 * math.tau)
        value += curve.traffic * _traffic(hour) + chance.gauss(0, curve.noise)
        return min(max(value, known.low), known.high)
