"""The registry of measured quantities: number on the wire, name, unit, resolution, sane range.

A number is never reused and its meaning never changes; new quantities are added at the end of their block.
The sane range is what the quantity can be on the island at all; a value outside it is kept and flagged as failed.
"""

from __future__ import annotations

from typing import NamedTuple


class Quantity(NamedTuple):
    """One row of the registry; a value travels as an integer count of 10**-decimals units."""

    number: int
    name: str
    unit: str
    decimals: int
    low: float
    high: float
    vi: str
    """Vietnamese name for pages."""

    def ticks(self, value: float) -> int:
        """Round a value in `unit` to the quantity's resolution."""
        return round(value * float(10**self.decimals))

    def value(self, ticks: int) -> float:
        """The value in `unit` that `ticks` stand for."""
        return ticks / 10**self.decimals if self.decimals else float(ticks)


QUANTITIES: tuple[Quantity, ...] = (
    # air
    Quantity(1, "pm1", "µg/m3", 1, 0, 1000, "Bụi PM1"),
    Quantity(2, "pm2_5", "µg/m3", 1, 0, 1000, "Bụi PM2.5"),
    Quantity(3, "pm10", "µg/m3", 1, 0, 2000, "Bụi PM10"),
    Quantity(4, "tsp", "µg/m3", 1, 0, 5000, "Bụi tổng TSP"),
    Quantity(5, "so2", "µg/m3", 1, 0, 5000, "SO2"),
    Quantity(6, "no2", "µg/m3", 1, 0, 5000, "NO2"),
    Quantity(7, "no", "µg/m3", 1, 0, 5000, "NO"),
    Quantity(8, "co", "µg/m3", 0, 0, 200_000, "CO"),
    Quantity(9, "o3", "µg/m3", 1, 0, 2000, "O3"),
    Quantity(10, "h2s", "µg/m3", 1, 0, 5000, "H2S"),
    Quantity(11, "nh3", "µg/m3", 1, 0, 20_000, "NH3"),
    Quantity(12, "air_temperature", "°C", 2, 5, 50, "Nhiệt độ không khí"),
    Quantity(13, "humidity", "%", 1, 5, 100, "Độ ẩm"),
    Quantity(14, "pressure", "hPa", 1, 900, 1080, "Áp suất khí quyển"),
    Quantity(15, "wind_speed", "m/s", 2, 0, 75, "Tốc độ gió"),
    Quantity(16, "wind_direction", "°", 1, 0, 360, "Hướng gió"),
    Quantity(17, "rain", "mm", 2, 0, 100_000, "Lượng mưa"),  # counted since the gauge was reset
    Quantity(18, "solar_radiation", "W/m2", 0, 0, 1500, "Bức xạ mặt trời"),
    Quantity(19, "noise", "dB", 1, 20, 140, "Độ ồn"),
    # the second of twin sensors in one station
    Quantity(20, "pm2_5_b", "µg/m3", 1, 0, 1000, "Bụi PM2.5 (cảm biến B)"),
    Quantity(21, "pm10_b", "µg/m3", 1, 0, 2000, "Bụi PM10 (cảm biến B)"),
    # computed by the collector, never sent by a box
    Quantity(22, "pm2_5_corrected", "µg/m3", 1, 0, 1000, "Bụi PM2.5 (hiệu chỉnh độ ẩm)"),
    # water of every medium
    Quantity(40, "water_temperature", "°C", 2, 5, 50, "Nhiệt độ nước"),
    Quantity(41, "ph", "pH", 3, 0, 14, "pH"),
    Quantity(42, "conductivity", "µS/cm", 1, 0, 100_000, "Độ dẫn điện"),
    Quantity(43, "salinity", "PSU", 2, 0, 45, "Độ mặn"),
    Quantity(44, "dissolved_oxygen", "mg/L", 2, 0, 25, "Oxy hòa tan"),
    Quantity(45, "dissolved_oxygen_saturation", "%", 1, 0, 250, "Độ bão hòa oxy"),
    Quantity(46, "turbidity", "NTU", 2, 0, 4000, "Độ đục"),
    Quantity(47, "tss", "mg/L", 1, 0, 5000, "Chất rắn lơ lửng TSS"),
    Quantity(48, "tds", "mg/L", 1, 0, 100_000, "Chất rắn hòa tan TDS"),
    Quantity(49, "orp", "mV", 1, -2000, 2000, "Thế oxy hóa khử"),
    Quantity(50, "free_chlorine", "mg/L", 3, 0, 20, "Clo dư tự do"),
    Quantity(51, "ammonium", "mg/L", 3, 0, 500, "Amoni (theo N)"),
    Quantity(52, "nitrate", "mg/L", 2, 0, 500, "Nitrat (theo N)"),
    Quantity(53, "nitrite", "mg/L", 3, 0, 100, "Nitrit (theo N)"),
    Quantity(54, "phosphate", "mg/L", 3, 0, 200, "Phosphat (theo P)"),
    Quantity(55, "total_nitrogen", "mg/L", 2, 0, 1000, "Tổng nitơ"),
    Quantity(56, "total_phosphorus", "mg/L", 3, 0, 500, "Tổng phốt pho"),
    Quantity(57, "cod", "mg/L", 1, 0, 10_000, "COD"),
    Quantity(58, "bod5", "mg/L", 1, 0, 10_000, "BOD5"),
    Quantity(59, "toc", "mg/L", 1, 0, 5000, "TOC"),
    Quantity(60, "colour", "Pt-Co", 1, 0, 2000, "Độ màu"),
    Quantity(61, "flow", "m3/h", 2, 0, 100_000, "Lưu lượng"),
    Quantity(62, "chlorophyll_a", "µg/L", 2, 0, 500, "Diệp lục a"),
    Quantity(63, "water_level", "m", 3, -50, 200, "Mực nước"),
    Quantity(64, "water_pressure", "kPa", 1, 0, 2000, "Áp lực nước"),
)

BY_NUMBER: dict[int, Quantity] = {q.number: q for q in QUANTITIES}
BY_NAME: dict[str, Quantity] = {q.name: q for q in QUANTITIES}

MEDIA = ("air", "drinking_water", "wastewater", "seawater")
"""What a station measures; the name of the measurement that its readings go to."""

# molar volume 24.45 L at 25 °C and 760 mmHg, as Vietnamese air limits are stated
_UG_PER_PPB = {"so2": 2.62, "no2": 1.88, "no": 1.23, "o3": 1.96, "co": 1.145, "h2s": 1.39, "nh3": 0.70}

_FACTORS: dict[tuple[str, str], tuple[float, float]] = {
    # (unit in the file, unit of the registry): (factor, offset)
    ("°F", "°C"): (5 / 9, -160 / 9),
    ("K", "°C"): (1, -273.15),
    ("mg/m3", "µg/m3"): (1000, 0),
    ("kPa", "hPa"): (10, 0),
    ("Pa", "hPa"): (0.01, 0),
    ("mmHg", "hPa"): (1.33322, 0),
    ("km/h", "m/s"): (1 / 3.6, 0),
    ("mS/cm", "µS/cm"): (1000, 0),
    ("g/L", "mg/L"): (1000, 0),
    ("µg/L", "mg/L"): (0.001, 0),
    ("V", "mV"): (1000, 0),
    ("L/s", "m3/h"): (3.6, 0),
    ("L/min", "m3/h"): (0.06, 0),
    ("m3/d", "m3/h"): (1 / 24, 0),
    ("cm", "m"): (0.01, 0),
    ("mm", "m"): (0.001, 0),
    ("bar", "kPa"): (100, 0),
}


def units_for(name: str) -> tuple[str, ...]:
    """Every unit that a file may give for the quantity, its own first."""
    unit = BY_NAME[name].unit
    gases = ("ppb", "ppm") if name in _UG_PER_PPB else ()
    return (unit, *(given for given, own in _FACTORS if own == unit), *gases)


def conversion(name: str, unit: str) -> tuple[float, float]:
    """Factor and offset that turn a value in `unit` into the quantity's own unit.

    Raises KeyError for a unit that the quantity cannot be given in.
    """
    own = BY_NAME[name].unit
    if unit == own:
        return 1.0, 0.0
    if unit in ("ppb", "ppm"):
        return _UG_PER_PPB[name] * (1000 if unit == "ppm" else 1), 0.0
    return _FACTORS[unit, own]
