"""What every minute of a run was like: memory of all parts, what waits, how late plates and samples are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from scripts.load_generator.tally import Tally, waits

MINUTE_S = 60.0


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """One minute; counts are those of the minute, the rest is as it was at its end."""

    at_s: float
    packs: int
    resent: int
    confirmed: int
    waiting: int
    """Events that wait in the boxes."""
    plates_p50_s: float | None
    """From the first publishing of a plate to its receipt, by when its alert was raised."""
    plates_p99_s: float | None
    freshest_p50_s: float | None
    """Age of a station's newest stored sample, in the middle of all stations."""
    freshest_max_s: float | None
    memory_mb: dict[str, float]


class Minutes:
    """Looks every second and notes every minute."""

    def __init__(self, cost: Callable[[], Mapping[str, tuple[float, float]]], every_s: float = MINUTE_S) -> None:
        """`cost` gives processor seconds and megabytes of the parts by name."""
        self.all: list[Minute] = []
        self._cost = cost
        self._every_s = every_s
        self._before = (0, 0, 0, 0)

    def __call__(self, tally: Tally, seconds: float) -> Minute | None:
        """Note the minute if one has ended."""
        if seconds < (len(self.all) + 1) * self._every_s:
            return None
        plates = tally.receipts_of("plates")
        counts = tuple(sum(counter.values()) for counter in (tally.packs, tally.resent, tally.confirmations))
        now = (*counts, len(plates))
        packs, resent, confirmed, _ = (a - b for a, b in zip(now, self._before, strict=True))
        new = plates[self._before[3] :]
        self._before = (now[0], now[1], now[2], now[3])
        of_plates = waits(new) if new else None
        moment = time.monotonic()
        ages = sorted(moment - made for made in tally.newest.values())
        memory = {name: round(megabytes) for name, (_, megabytes) in self._cost().items()}
        self.all.append(
            Minute(
                at_s=round(seconds),
                packs=packs,
                resent=resent,
                confirmed=confirmed,
                waiting=tally.waiting,
                plates_p50_s=None if of_plates is None else of_plates.p50,
                plates_p99_s=None if of_plates is None else of_plates.p99,
                freshest_p50_s=round(ages[len(ages) // 2], 1) if ages else None,
                freshest_max_s=round(ages[-1], 1) if ages else None,
                memory_mb={**memory, "boxes": round(psutil.Process().memory_info().rss / 1e6)},
            )
        )
        return self.all[-1]


def line(minute: Minute) -> str:
    """A minute for those who follow a log."""
    times = (minute.plates_p50_s, minute.plates_p99_s, minute.freshest_p50_s, minute.freshest_max_s)
    plates_p50, plates_p99, freshest, oldest = ("-" if t is None else f"{t:.1f} s" for t in times)
    return (
        f"{minute.at_s:,.0f} s: {minute.packs:,} packs, {minute.resent:,} again, {minute.confirmed:,} confirmed, "
        f"{minute.waiting:,} wait; plates p50 {plates_p50}, p99 {plates_p99}; samples {freshest}, oldest {oldest}"
    )


def show_minutes(minutes: list[Minute], console: Console) -> None:
    """Print a row for each."""
    if not minutes:
        return
    table = Table(title="Every minute", title_justify="left")
    parts = list(minutes[-1].memory_mb)
    headings = ("s", "packs", "again", "confirmed", "wait", "plates p50", "p99", "freshest p50", "oldest")
    for heading in (*headings, *(f"{part} MB" for part in parts)):
        table.add_column(heading, justify="right")
    for m in minutes:
        times = (m.plates_p50_s, m.plates_p99_s, m.freshest_p50_s, m.freshest_max_s)
        table.add_row(
            *(f"{n:,.0f}" for n in (m.at_s, m.packs, m.resent, m.confirmed, m.waiting)),
            *("" if t is None else f"{t:.1f} s" for t in times),
            *(f"{m.memory_mb.get(part, 0):.0f}" for part in parts),
        )
    console.print(table)
