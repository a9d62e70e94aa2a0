"""A collector's averages without its broker: samples go to a real store, and rounds are run by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from frames import box

from collector.averages.ask import Averages
from collector.averages.averager import Averager
from collector.averages.means import Rule
from collector.averages.paces import Paces
from collector.averages.periods import HOUR
from collector.averages.source import Source
from collector.averages.touched import Touched
from collector.database import open_database
from collector.points import Frame
from collector.stores import Store

MINUTE = 60_000
STATIONS = ("air-01", "air-02", "sea-01")


def local(text: str) -> int:
    """`2026-11-22 14:00`, local time, in milliseconds."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=7)
    return round(moment.timestamp() * 1000)


def samples(
    at: int | Sequence[int], values: Sequence[float | None], quantity: str = "pm2_5", station: str = "air-01",
    *, flags: Sequence[int] | None = None, statuses: Sequence[int] | None = None, every: int = MINUTE,
) -> Frame:  # fmt: skip
    """Samples from `at` on, or at each of it; flag 1, and 9 where there is no value, unless they are given."""
    times = [at + i * every for i in range(len(values))] if isinstance(at, int) else list(at)
    found = flags or [9 if value is None else 1 for value in values]
    fields = {quantity: np.array(values, np.float64), f"{quantity}_flag": np.array(found, np.uint8)}
    if statuses is not None:
        fields[f"{quantity}_status"] = np.array(statuses, np.uint8)
    medium = "seawater" if station.startswith("sea") else "air"
    return Frame(measurement=medium, tags={"station": station, "site": "here"}, at=np.array(times), fields=fields)


def hours(start: int, means: Sequence[float], quantity: str = "pm2_5", station: str = "air-01", n: int = 2) -> Frame:
    """Hours of `n` samples each that have these means."""
    at = [start + hour * HOUR + i * MINUTE for hour in range(len(means)) for i in range(n)]
    return samples(at, [mean for mean in means for _ in range(n)], quantity, station)


class Centre:
    """Store, touches, paces and averager, as the collector puts them together."""

    def __init__(
        self, store: Store, folder: Path, *, coverage: float | None = None, settle_ms: int = 0, literal: bool = False,
        written: Callable[[Sequence[Frame]], None] = lambda _: None, name: str = "c",
        duty: Callable[[], bool] = lambda: True, crowded: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.store = store
        engine = open_database(f"sqlite:///{folder / name}.sqlite")
        fleet = {name: box(name, medium="seawater" if name.startswith("sea") else "air") for name in STATIONS}
        self.touched, self.paces = Touched(engine, {"averages": HOUR}), Paces(engine)
        self.source = Source(store=store, paces=self.paces, rule=Rule(coverage))
        self._threads = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.averager = Averager(
            fleet=fleet, touched=self.touched, source=self.source, settle_ms=settle_ms, literal_nowcast=literal,
            writing=self._threads[0], thread=self._threads[1], written=written, duty=duty, crowded=crowded,
        )  # fmt: skip
        self.now = 0
        self.averages = Averages(
            fleet=fleet, source=self.source, literal_nowcast=literal, now=lambda: self.now or local("2100-01-01")
        )

    def feed(self, *frames: Frame) -> None:
        """Store samples as the sinks do."""
        self.store.write(frames)
        self.touched.note((frame.tags["station"], frame.at) for frame in frames)

    def settle(self, now: int) -> int:
        """Run rounds at `now` until nothing is due; gives how many there were."""
        self.now = now
        rounds = 1
        while self.averager.round(now):
            rounds += 1
        return rounds

    def close(self) -> None:
        for thread in self._threads:
            thread.shutdown()

    def points(self, measurement: str, station: str = "air-01") -> dict[int, Mapping[str, object]]:
        """What the store holds of a station, by time: the fields that are there."""
        found = self.store.tables(measurement, [station], start=0, stop=local("2200-01-01")).get(station)
        if found is None:
            return {}
        columns = {name: column.tolist() for name, column in found.fields.items()}
        return {
            at: {name: c[row] for name, c in columns.items() if c[row] is not None and c[row] == c[row]}
            for row, at in enumerate(found.at.tolist())
        }
