"""What the API shows of our structs, and CSV; pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from collector.alerts.desk import Alert, Doubt
from collector.alerts.sightings import Sighting
from collector.alerts.watchlist import Entry
from collector.ledger_account import Account
from collector.live_box import DeviceState
from collector.notices import Notice
from collector.web.query import iso


def device(state: DeviceState) -> dict[str, Any]:
    """A box as the API shows it."""
    box = state.box
    return {
        "device": box.device,
        "label": box.label,
        "site": box.site,
        "type": box.type,
        "position": box.position,
        "medium": box.medium,
        "camera": box.camera,
        "access_point": box.access_point,
        "state": state.state,
        "seen": iso(state.seen),
        "late_s": state.late_s,
        "version": state.version,
        "calibrating": [
            {"sensor": each.sensor, "since": iso(each.since), "until": iso(each.until), "by": each.by}
            for each in state.calibrating
        ],
        "runs_short": state.runs_short,
        "lost": state.lost,
        **_room(state),
    }


def account(kept: Account, state: DeviceState | None) -> dict[str, Any]:
    """An outbox in the ledger as the API shows it; `state` is that of its box, if that is still of the fleet."""
    return {**msgspec.structs.asdict(kept), **_room(state)}


def _room(state: DeviceState | None) -> dict[str, Any]:
    if state is None:
        return {"days_left": None, "in_memory_only": False}
    days = None if state.days_left is None else round(state.days_left, 2)
    return {"days_left": days, "in_memory_only": state.volatile}


def notice(found: Notice) -> dict[str, Any]:
    """Boxes that say nothing, as the API shows them."""
    return {"place": found.place, "name": found.name, "boxes": found.boxes, "of": found.of, "since": iso(found.since)}


def plate(seen: Sighting, doubts: Sequence[Doubt]) -> dict[str, Any]:
    """A sighting as the API shows it."""
    details = seen.details
    return {
        "id": seen.id,
        "camera": seen.device,
        "site": seen.site,
        "at": iso(seen.at),
        "first": iso(seen.first),
        "last": iso(seen.last),
        "received": iso(seen.received),
        "text": seen.text,
        "raw": seen.raw,
        "confidence": round(seen.confidence, 4),
        "char_confidence": details.char_confidence,
        "valid": seen.valid,
        "doubts": doubts,
        "classes": details.classes,
        "colour": details.colour,
        "layout": details.layout,
        "quad": details.quad,
        "frame_size": details.frame_size,
        "frames": details.frames,
        "rendered": details.rendered,
        "picture": f"/api/v1/plates/{seen.id}/picture",
    }


def alert(raised: Alert) -> dict[str, Any]:
    """An alert as the API shows it."""
    return {
        "id": raised.id,
        "kind": raised.kind,
        "pattern": raised.entry.pattern,
        "differences": raised.differences,
        "doubts": raised.doubts,
        "raised": iso(raised.raised),
        "entry": raised.entry.id,
        "reason": raised.entry.reason,
        "officer": raised.entry.officer,
        "plate": plate(raised.seen, raised.doubts),
    }


def entry(watched: Entry, now: int) -> dict[str, Any]:
    """A watchlist entry as the API shows it."""
    return {
        "id": watched.id,
        "pattern": watched.pattern,
        "reason": watched.reason,
        "officer": watched.officer,
        "added": iso(watched.added),
        "expires": iso(watched.expires),
        "removed": iso(watched.removed),
        "active": watched.active(now),
    }


PLATE_COLUMNS = ("id", "camera", "site", "at", "text", "raw", "confidence", "valid", "colour", "layout", "rendered")


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> web.Response:
    """Rows as a CSV file to save."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return web.Response(text=out.getvalue(), content_type="text/csv", charset="utf-8", headers=headers)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return f"'{value}"  # a spreadsheet would take it for a formula, and a camera may read anything
    return value
