"""Draws a quantity's curve: samples with their flags, hourly means, limits, gaps, calibrations; as SVG or PNG."""

from __future__ import annotations

import io
from threading import Lock
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure

from collector.averages.periods import DAY, HOUR
from collector.local_time import LOCAL, local
from collector.reports.day import Curve
from collector.standards.table import Limit
from collector.web.wording import AVERAGINGS, CERTAINTIES, bounds, unit

INK, SEA, WARN, BAD, SOFT = "#13262c", "#0b5c6b", "#b07414", "#b3261e", "#54686f"
SIGNS = {3: ("x", WARN), 4: ("X", BAD)}
"""Flag: its marker and its colour."""
_LOCK = Lock()
"""Matplotlib is not made for several threads at once."""


def draw(curve: Curve, kind: Literal["svg", "png"], *, width: float = 9.0, height: float = 2.6) -> bytes:
    """A picture of the curve, `width` by `height` inches."""
    with _LOCK, mpl.rc_context({"svg.fonttype": "none", "font.size": 9, "font.family": ["DejaVu Sans"]}):
        figure = Figure(figsize=(width, height), layout="constrained")
        _draw(figure.add_subplot(), curve)
        out = io.BytesIO()
        figure.savefig(out, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def _draw(axes: Axes, curve: Curve) -> None:
    quantity = curve.quantity
    axes.set_title(f"{quantity.vi} · {quantity.name}", loc="left", color=INK, fontsize=10)
    axes.set_ylabel(unit(quantity.unit) or quantity.unit, color=INK)
    for since, until in curve.gaps:
        axes.axvspan(local(since), local(until), color="#54686f", alpha=0.15, lw=0)  # type: ignore[arg-type]
    for since, until in curve.calibrations:
        axes.axvspan(local(since), local(until), facecolor="none", edgecolor=SEA, alpha=0.4, hatch="//", lw=0)  # type: ignore[arg-type]
    at = np.array([local(ms) for ms in curve.at.tolist()])
    line = curve.values.copy()
    line[~np.isin(curve.flags, (1, 2))] = np.nan
    apart = np.flatnonzero(np.isin(curve.at, [since for since, _ in curve.gaps]))
    axes.plot(np.insert(at, apart + 1, at[apart]), np.insert(line, apart + 1, np.nan), color=SEA, lw=1)
    low, high = _reach(curve)
    for flag, (marker, colour) in SIGNS.items():
        chosen = (curve.flags == flag) & ~np.isnan(curve.values)
        # one far off stands at the edge: it must not flatten the rest
        shown = np.clip(curve.values[chosen], low, high)
        axes.plot(at[chosen], shown, ls="", marker=marker, ms=4, color=colour, clip_on=False)
    means = [(row.at, row.value) for row in curve.means if row.value is not None]
    if means:
        starts = [local(ms) for ms, _ in means]
        ends = [local(ms + HOUR) for ms, _ in means]
        axes.hlines([value for _, value in means], starts, ends, color=INK, lw=1.6, alpha=0.75)  # type: ignore[arg-type]
    axes.set_ylim(low, high)
    _limits(axes, curve, high)
    axes.set_xlim(local(curve.start), local(curve.stop))  # type: ignore[arg-type]
    axes.xaxis.set_major_locator(AutoDateLocator(tz=LOCAL, maxticks=9))
    axes.xaxis.set_major_formatter(DateFormatter(_form(curve.stop - curve.start), tz=LOCAL))
    axes.grid(color="#d7e0e3", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _form(span: int) -> str:
    """How times stand below the curve: with hours while several stand in one day."""
    if span <= DAY:
        return "%H:%M"
    return "%H:%M\n%d/%m" if span <= 5 * DAY else "%d/%m"


def _reach(curve: Curve) -> tuple[float, float]:
    """From where to where the picture goes: what counts, and a limit that lies near."""
    usable = curve.usable if len(curve.usable) else curve.values[~np.isnan(curve.values)]
    if not len(usable):
        return 0.0, 1.0
    low, high = float(np.min(usable)), float(np.max(usable))
    room = max(high - low, abs(high) * 0.05, 10.0**-curve.quantity.decimals)
    near = [bound for limit in _shown(curve) for bound in (limit.low, limit.high) if bound is not None]
    near = [bound for bound in near if low - 1.5 * room <= bound <= high + 1.5 * room]
    low, high = min([low, *near]), max([high, *near])
    return low - 0.08 * room, high + 0.12 * room


def _shown(curve: Curve) -> list[Limit]:
    """A year's limit says nothing about a curve of days."""
    return [limit for limit in curve.limits if limit.averaging != "year"]


def _limits(axes: Axes, curve: Curve, high: float) -> None:
    """Limits within reach of the curve; one far above it stands in the table."""
    for limit in _shown(curve):
        sure = limit.certainty == "certain"
        for bound in (limit.low, limit.high):
            if bound is None or not axes.get_ylim()[0] <= bound <= high:
                continue
            axes.axhline(bound, color=BAD if sure else SOFT, lw=0.9, ls="--" if sure else ":")
            said = f"{AVERAGINGS[limit.averaging].en}: {bounds(limit)}"
            said += "" if sure else f" ({CERTAINTIES[limit.certainty].en})"
            axes.annotate(said, (1, bound), xycoords=("axes fraction", "data"), xytext=(-2, 2), ha="right",
                          textcoords="offset points", fontsize=7, color=BAD if sure else SOFT)  # fmt: skip
