"""The table of limits, `firmware_configs/limits.yaml`, and which of them hold for a station on a day.

A site's licence, in the file of its station, goes over the table: for a quantity that it names, nothing else holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_agent.contract.device import Box, Medium, Name
from edge_agent.contract.legal import Averaging, Bounds, Certainty, Day
from edge_agent.contract.nearest import meant
from edge_agent.contract.nodes import Mark, Mistake, locate, render
from edge_agent.contract.quantities import BY_NAME
from edge_agent.contract.strict import build
from edge_agent.contract.yaml_nodes import read_yaml

FILE = "limits.yaml"


class Row(Bounds, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file."""

    quantity: str
    since: Annotated[Day, Meta(description="First day on which it holds.")]
    medium: Medium
    zone: Annotated[Name | None, Meta(description="Use or column that stations name in `station.zone`; none: all.")] = (
        None
    )
    source: Annotated[str, Meta(min_length=1, max_length=120, description="Regulation and table.")]
    certainty: Annotated[Certainty, Meta(description="How sure the figure is; only certain ones alarm by default.")]
    note: Annotated[str, Meta(max_length=300)] = ""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limits: tuple[Row, ...]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that holds for a station; bounds in the quantity's own unit."""

    quantity: str
    averaging: Averaging
    low: float | None
    high: float | None
    since: str
    until: str | None
    source: str
    certainty: Certainty
    note: str = ""

    @property
    def id(self) -> str:
        """Name of a limit by its terms: one that changes is another, but one that is given a last day stays itself."""
        return sha256(msgspec.json.encode(msgspec.structs.replace(self, until=None, note=""))).hexdigest()[:16]

    def holds(self, day: date) -> bool:
        """Whether it is in force on a local day."""
        text = day.isoformat()
        return self.since <= text and (self.until is None or text <= self.until)

    def broken_by(self, value: float) -> bool:
        """Whether a value is beyond it; the limit itself is allowed."""
        return (self.high is not None and value > self.high) or (self.low is not None and value < self.low)

    def worse(self, one: float, other: float) -> float:
        """The one of two values beyond the limit that is further beyond it."""

        def beyond(value: float) -> float:
            return value - self.high if self.high is not None and value > self.high else (self.low or 0) - value

        return max(one, other, key=beyond)

    def __str__(self) -> str:
        unit = BY_NAME[self.quantity].unit
        if self.low is None or self.high is None:
            return f"≤ {self.high:g} {unit}" if self.high is not None else f"≥ {self.low:g} {unit}"
        return f"{self.low:g}-{self.high:g} {unit}"


class Standards:
    """The limits of every station of a fleet."""

    def __init__(self, rows: Iterable[Row], boxes: Iterable[Box]) -> None:
        table = list(rows)
        self._of = {box.device: [*_licensed(box), *_general(table, box)] for box in boxes if box.medium is not None}

    def of(self, station: str, day: date | None = None) -> list[Limit]:
        """The limits of a station, on a day or at any time; a licence's stand first."""
        return [limit for limit in self._of.get(station, ()) if day is None or limit.holds(day)]


def _licensed(box: Box) -> list[Limit]:
    licence = box.licence
    if licence is None:
        return []
    limits = []
    for quantity, given in licence.limits.items():
        for bounds in given:
            low, high = bounds.in_registry_unit(quantity)
            since = max(bounds.since or licence.since, licence.since)
            until = min((day for day in (bounds.until, licence.until) if day is not None), default=None)
            limits.append(
                Limit(quantity=quantity, averaging=bounds.averaging, low=low, high=high, since=since, until=until,
                      source=f"licence {licence.number}", certainty=licence.certainty)
            )  # fmt: skip
    return limits


def _general(rows: Iterable[Row], box: Box) -> list[Limit]:
    licensed = box.licence.limits if box.licence is not None else {}
    limits = []
    for row in rows:
        if row.medium == box.medium and row.zone in (None, box.zone) and row.quantity not in licensed:
            low, high = row.in_registry_unit(row.quantity)
            limits.append(
                Limit(quantity=row.quantity, averaging=row.averaging, low=low, high=high, since=row.since,
                      until=row.until, source=row.source, certainty=row.certainty, note=row.note)
            )  # fmt: skip
    return limits


def read_limits(folder: Path) -> tuple[tuple[Row, ...], list[Mistake]]:
    """The table of a fleet's folder, without the rows that are wrong, and every mistake."""
    path = folder / FILE
    if not path.exists():
        return (), []
    node, mistakes = read_yaml(path)
    if node is None:
        return (), mistakes
    file, wrong = build(node, _File)
    mistakes += wrong
    if file is None:
        return (), mistakes
    sound = []
    for index, row in enumerate(file.limits):
        found = list(row.mistakes(row.quantity))
        for below, message, hint in found:
            place = ("limits", index, *below)
            mistakes.append(Mistake.at(locate(node, place), render(place), message, hint))
        if not found:
            sound.append(row)
    return tuple(sound), mistakes


def zone_mistakes(folder: Path, rows: Iterable[Row], boxes: Iterable[Box]) -> list[Mistake]:
    """Stations whose `zone` no row of their medium knows: they would silently have no limits."""
    zones: dict[str, set[str]] = {}
    for row in rows:
        if row.zone is not None:
            zones.setdefault(row.medium, set()).add(row.zone)
    found = []
    for box in boxes:
        known = zones.get(box.medium or "", set())
        if box.zone is not None and box.zone not in known:
            at = Mark(str(folder / "devices" / f"{box.device}.yaml"), 1, 1)
            message = f"{FILE} has no limits for the zone {box.zone!r}"
            found.append(Mistake.at(at, "station.zone", message, meant(box.zone, known)))
    return found
