"""What the outbox writes to a box's flash: for each event, and in a year of each kind of box."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_agent.contract.events import Event, PlateRead, WifiUsage
from edge_agent.contract.packs import decode_pack
from edge_agent.outbox import Outbox
from scripts.benchmarks._outage import outage
from scripts.benchmarks.figure import Figure, Line

YEAR_MIN = 365 * 24 * 60
EVENTS = 1200
GOLDEN = Path(__file__).parent.parent.parent / "tests" / "golden" / "events"
PASSES_A_DAY, PICTURE = 2000, 6000
"""Of a camera at a street: plates, and the bytes of a picture."""


def measure() -> Figure:
    """Put events into real outboxes on the disk of the temporary folder, each group confirmed as it is written."""
    return asyncio.run(_measure())


async def _measure() -> Figure:
    station = [event for hour in outage(1) for event in hour]
    plate, wifi = (_golden(kind) for kind in ("plates", "wifi"))
    assert isinstance(plate, PlateRead)
    plate = msgspec.structs.replace(plate, jpeg=bytes(PICTURE))
    assert isinstance(wifi, WifiUsage)
    alone = await _written(station, 1)
    together = await _written(station, 4)
    of_plates = await _written([plate], 1)
    of_wifi = await _written([wifi, station[3]], 2)
    lines = [
        Line(name="a station's event alone: written to the file", value=alone.asked / 1000, unit="kB"),
        Line(name="  and to the disk, its file system's share included", value=alone.written / 1000, unit="kB"),
        Line(name="four together, as outbox.commit_s has them", value=together.asked / 1000, unit="kB each"),
        Line(name="  and to the disk", value=together.written / 1000, unit="kB each"),
        Line(name="a plate with its picture: to the disk", value=of_plates.written / 1000, unit="kB"),
        Line(name="a year of a station, 4 events a minute, alone", value=4 * YEAR_MIN * alone.written / 1e9, unit="GB"),
        Line(name="  together", value=4 * YEAR_MIN * together.written / 1e9, unit="GB"),
        Line(name="a year of an access point, 2 a minute", value=2 * YEAR_MIN * of_wifi.written / 1e9, unit="GB"),
        Line(
            name=f"a year of a camera, {PASSES_A_DAY} passes a day",
            value=(365 * PASSES_A_DAY * of_plates.written + YEAR_MIN * alone.written) / 1e9,
            unit="GB",
        ),
    ]
    return Figure(title="Flash: what the outbox writes", lines=lines)


class Written(msgspec.Struct, frozen=True):
    """Bytes an event."""

    asked: float
    """What the outbox wrote to its files."""
    written: float
    """What the kernel sent to the disk for it."""


async def _written(events: Sequence[Event], group: int) -> Written:
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp") as folder:
        outbox = Outbox.open(Path(folder) / "o.sqlite", 10**9)
        before = _counted()
        for start in range(0, EVENTS, group):
            places = await asyncio.gather(*(outbox.put(events[i % len(events)]) for i in range(start, start + group)))
            await outbox.forget([(min(places), max(places))])
        asked, written = (b - a for a, b in zip(before, _counted(), strict=True))
        await outbox.close()
    return Written(asked / EVENTS, written / EVENTS)


def _counted() -> tuple[int, int]:
    lines = Path("/proc/self/io").read_text().splitlines()
    counts = dict(line.split(": ") for line in lines)
    return int(counts["wchar"]), int(counts["write_bytes"])


def _golden(kind: str) -> Event:
    payload = bytes.fromhex(msgspec.json.decode((GOLDEN / f"{kind}.json").read_bytes())["payload"])
    event: Event = decode_pack(kind, payload).events[0]
    return event
