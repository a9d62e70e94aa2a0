"""The Vietnamese air quality index, Decision 1459/QĐ-TCMT of 2019-11-12; pure.

Inputs are means in µg/m3, CO too; None where there is none that counts. Sub-indices are rounded half up, and the index
is the largest of them. There is none unless PM10 or PM2.5 is among them.

    hour    1-h means of SO2, CO, NO2, O3 of the hour; PM10 and PM2.5 by NowCast over it and the 11 hours before
    day     24-h means of PM10, PM2.5; largest 1-h mean of SO2, NO2, CO; of O3 the worse of the largest 1-h and the
            largest 8-h mean, the latter not used above 400

NowCast with w = 1/2 is not normalised in the Decision's text: a missing hour then takes its weight away as if the air
had been clean. Normalised over the hours that are there it is the same within 0.03 % when all twelve are, and right
when one is missing; that is the default, `literal` follows the text.

In the Decision's own worked example NO2 118.7 is printed as 60; its formula gives 59.35, as here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

INDEX = (0, 50, 100, 150, 200, 300, 400, 500)
BREAKPOINTS: dict[str, tuple[int, ...]] = {
    "o3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
    "o3_8h": (0, 100, 120, 170, 210, 400),
    "co": (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000),
    "so2": (0, 125, 350, 550, 800, 1600, 2100, 2630),
    "no2": (0, 100, 200, 700, 1200, 2350, 3100, 3850),
    "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
    "pm2_5": (0, 25, 50, 80, 150, 250, 350, 500),
}
"""Table 2 of the Decision: concentrations in µg/m3 at each value of INDEX."""
DUST = ("pm2_5", "pm10")
GASES = ("o3", "no2", "so2", "co")
NOWCAST_HOURS = 12


class Category(NamedTuple):
    """What an index means to people."""

    name: str
    """As it is stored."""
    up_to: int
    vi: str
    en: str
    colour: str


CATEGORIES = (
    Category("good", 50, "Tốt", "Good", "#00E400"),
    Category("moderate", 100, "Trung bình", "Moderate", "#FFFF00"),
    Category("poor", 150, "Kém", "Poor", "#FF7E00"),
    Category("bad", 200, "Xấu", "Bad", "#FF0000"),
    Category("very_bad", 300, "Rất xấu", "Very bad", "#8F3F97"),
    Category("hazardous", 500, "Nguy hại", "Hazardous", "#7E0023"),
)


class Index(NamedTuple):
    """The index of one station for one hour or day."""

    aqi: int
    dominant: str
    """The quantity whose sub-index it is; of several the one whose sub-index was larger before rounding."""
    sub: dict[str, int]
    """Sub-index of each quantity that has one."""
    nowcast: dict[str, float]
    """NowCast of dust in µg/m3; of hours only."""

    @property
    def category(self) -> Category:
        """What it means."""
        return category(self.aqi)


def category(aqi: int) -> Category:
    """The category of an index from 0 to 500."""
    return next(category for category in CATEGORIES if aqi <= category.up_to)


def sub_index(column: str, mean: float) -> float | None:
    """Sub-index by a column of BREAKPOINTS, not rounded; 500 above its end, but None above that of `o3_8h`.

    None below 0 too, which no concentration is.
    """
    points = BREAKPOINTS[column]
    if mean < 0:
        return None
    if mean > points[-1]:
        return None if len(points) < len(INDEX) else float(INDEX[-1])
    i = next(i for i in range(1, len(points)) if mean <= points[i])
    return (INDEX[i] - INDEX[i - 1]) / (points[i] - points[i - 1]) * (mean - points[i - 1]) + INDEX[i - 1]


def rounded(value: float) -> int:
    """Half up; what is a half but for the computer's binary fractions is one (109.5 is 110)."""
    return int(Decimal(f"{value:.6f}").quantize(Decimal(1), ROUND_HALF_UP))


def nowcast(means: Sequence[float | None], *, literal: bool = False) -> float | None:
    """NowCast of twelve hourly means, the current hour first; None unless two of the first three are there."""
    if sum(mean is not None for mean in means[:3]) < 2:
        return None
    there = [(i, mean) for i, mean in enumerate(means[:NOWCAST_HOURS]) if mean is not None]
    low, high = min(mean for _, mean in there), max(mean for _, mean in there)
    w = max(low / high, 0.5) if high > 0 else 1.0
    if literal and w == 0.5:
        return sum(0.5 ** (i + 1) * mean for i, mean in there)
    return sum(w**i * mean for i, mean in there) / sum(w**i for i, _ in there)


def hourly(
    gases: Mapping[str, float | None], dust: Mapping[str, Sequence[float | None]], *, literal: bool = False
) -> Index | None:
    """The index of an hour: its means of GASES; of DUST those of twelve hours, the current one first."""
    casts = {name: nowcast(means, literal=literal) for name, means in dust.items()}
    found = {name: cast for name, cast in casts.items() if cast is not None}
    columns = {name: sub_index(name, cast) for name, cast in found.items()}
    for name, mean in gases.items():
        if mean is not None:
            columns[name] = sub_index("o3_1h" if name == "o3" else name, mean)
    return _index(columns, found)


def daily(
    dust: Mapping[str, float | None], gases: Mapping[str, float | None], o3_8h: float | None = None
) -> Index | None:
    """The index of a day: 24-h means of DUST, largest 1-h means of GASES, largest 8-h mean of O3."""
    columns = {name: sub_index(name, mean) for name, mean in dust.items() if mean is not None}
    for name, mean in gases.items():
        if mean is not None:
            columns[name] = sub_index("o3_1h" if name == "o3" else name, mean)
    if o3_8h is not None:
        by_both = (columns.get("o3"), sub_index("o3_8h", o3_8h))
        columns["o3"] = max((value for value in by_both if value is not None), default=None)
    return _index(columns, {})


def _index(columns: Mapping[str, float | None], casts: dict[str, float]) -> Index | None:
    found = {name: columns[name] for name in (*DUST, *GASES) if columns.get(name) is not None}
    exact = {name: value for name, value in found.items() if value is not None}
    if not exact.keys() & set(DUST):
        return None
    dominant = max(exact, key=exact.__getitem__)
    return Index(rounded(exact[dominant]), dominant, {name: rounded(value) for name, value in exact.items()}, casts)
