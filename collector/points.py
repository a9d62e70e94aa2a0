"""Events as time-series points, by column; pure. Names are the same in every store.

    measurement      tags                 fields
    air, drinking_water, wastewater, seawater
                     station, site        <quantity>, <quantity>_flag, and <quantity>_status where it is not 0
    plates           camera, site         plate, raw, confidence, valid, repaired, classes, colour, layout, ...
    wifi             access_point, site   clients, rx, tx, seconds, leases, signal: totals, never a client
    health           device, site         the heartbeat's numbers; faults and counters as text

The picture of a plate and the pseudonyms of wifi clients do not go to the time series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.contract.device import Box
from edge_agent.contract.events import Heartbeat, PlateRead, WifiUsage
from edge_agent.contract.packs import Block, Pack
from edge_agent.contract.quantities import BY_NUMBER
from edge_agent.contract.runs import numbers

if TYPE_CHECKING:
    from collector.quality import Derived, Judged, Revision

Column = NDArray[Any] | list[str | None]
"""One field of many points: float64 (NaN: absent), int64, bool, uint8 codes (0: absent) or text (None: absent)."""

PLATES, WIFI, HEALTH = "plates", "wifi", "health"
NAMING = frozenset({"plate", "raw"})
"""Fields of plates that tell which vehicle it was."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Points of one measurement with the same tags, by column."""

    measurement: str
    tags: dict[str, str]
    """The first is the device under its role (`station`, `camera`, ...); with the time it is a point's identity."""
    at: NDArray[np.int64]
    """Milliseconds since 1970 in UTC."""
    fields: dict[str, Column]
    """As long as `at`."""
    offset_ns: NDArray[np.int64] | None = None
    """Added to `at` to keep two events of one millisecond apart: whole microseconds, as some stores know no less."""


def readings(box: Box, block: Block, judged: Judged) -> list[Frame]:
    """The points of a block, those whose flags it revised and those computed; none if no quantity of it is known.

    Raises ValueError if the box measures nothing.
    """
    if box.medium is None:
        raise ValueError(f"{box.device} is a {box.type} and measures nothing, but sends readings")
    if not block.quantities:
        return []
    names = [BY_NUMBER[number].name for number in block.quantities]
    fields: dict[str, Column] = {}
    for name, values, flags in zip(names, judged.values, judged.flags, strict=True):
        fields[name] = values
        fields[name + "_flag"] = flags
    for (column, row), code in block.status.items():
        statuses = fields.setdefault(names[column] + "_status", np.zeros(len(block.at), np.uint8))
        statuses[row] = code  # type: ignore[call-overload]
    tags = {"station": box.device, "site": box.site}
    frame = Frame(measurement=box.medium, tags=tags, at=np.array(block.at, np.int64), fields=fields)
    revised = [_revised(frame, judged.revisions)] if judged.revisions else []
    return [frame, *revised, *(_derived(frame, derived) for derived in judged.derived)]


def _derived(frame: Frame, derived: Derived) -> Frame:
    name = BY_NUMBER[derived.quantity].name
    fields: dict[str, Column] = {name: derived.values, f"{name}_flag": derived.flags}
    return Frame(measurement=frame.measurement, tags=frame.tags, at=derived.at, fields=fields)


def _revised(frame: Frame, revisions: Sequence[Revision]) -> Frame:
    times = sorted({revision.at for revision in revisions})
    fields: dict[str, Column] = {}
    for revision in revisions:
        flags = fields.setdefault(BY_NUMBER[revision.quantity].name + "_flag", np.zeros(len(times), np.uint8))
        flags[times.index(revision.at)] = revision.flag  # type: ignore[call-overload]
    return Frame(measurement=frame.measurement, tags=frame.tags, at=np.array(times, np.int64), fields=fields)


def events(box: Box, pack: Pack) -> Frame:
    """The points of a pack of plates, wifi or health; each event keeps apart by its number."""
    role, columns = _COLUMNS[pack.kind]
    offsets = np.fromiter(numbers(pack.runs), np.int64, len(pack.events)) % 1000 * 1000  # a thousand in one ms suffice
    return Frame(
        measurement=pack.kind,
        tags={role: box.device, "site": box.site},
        at=np.array([event.at for event in pack.events], np.int64),
        offset_ns=offsets,
        fields=columns(pack.events),
    )


def _plates(reads: Sequence[PlateRead]) -> dict[str, Column]:
    return {
        "plate": [r.text for r in reads],
        "raw": [r.raw for r in reads],
        "confidence": np.array([r.confidence for r in reads], np.float64),
        "valid": np.array([r.valid for r in reads], np.bool_),
        "repaired": np.array([r.text != r.raw for r in reads], np.bool_),
        "classes": [" ".join(r.classes) for r in reads],
        "colour": [r.colour for r in reads],
        "layout": [r.layout for r in reads],
        "frames": _integers(r.frames for r in reads),
        "seconds": np.array([(r.last - r.first) / 1000 for r in reads], np.float64),
        "rendered": np.array([r.rendered for r in reads], np.bool_),
    }


def _wifi(windows: Sequence[WifiUsage]) -> dict[str, Column]:
    return {
        "clients": _integers(len(w.clients) for w in windows),
        "rx": _integers(w.rx for w in windows),
        "tx": _integers(w.tx for w in windows),
        "seconds": _integers(w.seconds for w in windows),
        "leases": _integers(w.leases for w in windows),
        "signal": np.array([_mean_signal(w) for w in windows], np.float64),
    }


def _health(beats: Sequence[Heartbeat]) -> dict[str, Column]:
    return {
        "uptime_s": _integers(b.uptime_s for b in beats),
        "rss_kb": _integers(b.rss_kb for b in beats),
        "cpu_ms": _integers(b.cpu_ms for b in beats),
        "outbox_events": _integers(b.outbox_events for b in beats),
        "outbox_bytes": _integers(b.outbox_bytes for b in beats),
        "waiting_s": np.array([np.nan if b.oldest is None else (b.at - b.oldest) / 1000 for b in beats], np.float64),
        "disk_free_mb": _integers(b.disk_free_mb for b in beats),
        "days_left": np.array([np.nan if b.days_left is None else b.days_left for b in beats], np.float64),
        "fault_count": _integers(len(b.faults) for b in beats),
        "faults": ["; ".join(f"{f.part}: {f.text}" for f in b.faults) or None for b in beats],
        "calibrating": [
            ", ".join(f"{c.sensor} since {_minute(c.since)}" for c in b.calibrating) or None for b in beats
        ],
        "counters": [", ".join(f"{name} {n}" for name, n in sorted(b.counters.items())) or None for b in beats],
    }


def _minute(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
    except (ValueError, OverflowError, OSError):  # what a box sends may be no time
        return f"{ms} ms"


_LARGEST = 2**63 - 1


def _integers(values: Iterable[int]) -> NDArray[np.int64]:
    """Integers as a column; what a box sends may be larger than a store's."""
    return np.array([min(max(value, -_LARGEST), _LARGEST) for value in values], np.int64)


def _mean_signal(window: WifiUsage) -> float:
    signals = [client.signal for client in window.clients if client.signal is not None]
    return sum(signals) / len(signals) if signals else np.nan


_COLUMNS: dict[str, tuple[str, Callable[[Any], dict[str, Column]]]] = {
    PLATES: ("camera", _plates),
    WIFI: ("access_point", _wifi),
    HEALTH: ("device", _health),
}
"""Kind of pack, which is the measurement: role of the device, fields of its events."""
