"""Draws a quantity's curve: samples with their flags, hourly means, limits, gaps, calibrations; as SVG or PNG."""

from __future__ import annotations

import io
from threading import Lock
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from collector.local_time import LOCAL, local
from collector.reports.day import Curve
from collector.web.wording import AVERAGINGS, CERTAINTIES, bounds, unit

INK, SEA, WARN, BAD, SOFT = "#13262c", "#0b5c6b", "#b07414", "#b3261e", "#54686f"
SIGNS = {3: ("?", "x", WARN), 4: ("✕", "X", BAD)}
"""Flag: its sign in words, its marker, its colour."""
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
    for flag, (_, marker, colour) in SIGNS.items():
        chosen = (curve.flags == flag) & ~np.isnan(curve.values)
        axes.plot(at[chosen], curve.values[chosen], ls="", marker=marker, ms=4, color=colour)
    means = [(row.at, row.value) for row in curve.means if row.value is not None]
    if means:
        starts = [local(ms) for ms, _ in means]
        ends = [local(ms + 3_600_000) for ms, _ in means]
        axes.hlines([value for _, value in means], starts, ends, color=INK, lw=1.6, alpha=0.75)  # type: ignore[arg-type]
    _limits(axes, curve)
    axes.set_xlim(local(curve.start), local(curve.stop))  # type: ignore[arg-type]
    locator = AutoDateLocator(tz=LOCAL, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=LOCAL))
    axes.grid(color="#d7e0e3", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(axes: Axes, curve: Curve) -> None:
    """Limits within reach of the curve; one far above it would only flatten it, and stands in the table."""
    usable = curve.usable
    top = float(np.max(usable)) * 2.5 if len(usable) else np.inf
    for limit in curve.limits:
        sure = limit.certainty == "certain"
        for bound in (limit.low, limit.high):
            if bound is None or bound > top:
                continue
            axes.axhline(bound, color=BAD if sure else SOFT, lw=0.9, ls="--" if sure else ":")
            said = f"{AVERAGINGS[limit.averaging].en}: {bounds(limit)}"
            said += "" if sure else f" ({CERTAINTIES[limit.certainty].en})"
            axes.annotate(said, (1, bound), xycoords=("axes fraction", "data"), xytext=(-2, 2), ha="right",
                          textcoords="offset points", fontsize=7, color=BAD if sure else SOFT)  # fmt: skip
