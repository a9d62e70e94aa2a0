"""The events that boxes make, as frozen structs; on the wire they are MessagePack arrays.

Fields are only ever added, at the end and with a default; their meaning never changes. Times are milliseconds
since 1970 in UTC. An event's identity is (device, outbox, number), see `packs.py`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

import msgspec

Colour = Literal["white", "yellow", "blue", "red", "unknown"]
Layout = Literal["one", "two"]

MAX_TIME = 4_102_444_800_000
"""2100-01-01: no event is later."""
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What databases take; MessagePack could say twice as much."""
_Time = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME)]
_PlateText = Annotated[str, msgspec.Meta(max_length=64)]
_Numbers = Annotated[tuple[_Int, ...], msgspec.Meta(max_length=64)]
MAX_CALIBRATION_S = 24 * 3600
"""A calibration that somebody forgot to end hides a sensor's values no longer than a day."""


class Status(IntEnum):
    """What an instrument was doing when it gave a value (codes of Circular 10/2021)."""

    MEASURING = 0
    CALIBRATING = 1
    FAULT = 2


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """One value of one quantity."""

    quantity: int
    """Number in the quantity registry."""
    ticks: int | None
    """Value as a count of the quantity's resolution; None: the instrument gave none."""
    status: int = 0


class Readings(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What one poll of one sensor gave; time is that of the poll."""

    at: int
    readings: tuple[Reading, ...]


class PlateRead(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One vehicle's pass before a camera: the vote over its frames, with the very frame that was read best."""

    at: int
    """Time of the frame in `jpeg`."""
    text: _PlateText
    """The plate as the grammar allows it, without separators (`51K12345`, Đ kept); equal to `raw` if not repaired."""
    raw: _PlateText
    """What the reader saw, before any repair."""
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """0 to 1, of the whole text."""
    char_confidence: _Numbers
    """Per cent, one for each character of `raw`."""
    valid: bool
    """Whether the grammar knows the text."""
    classes: Annotated[tuple[_PlateText, ...], msgspec.Meta(max_length=64)]
    """Every class of plate that text, lines and colour allow (`car`, `moto_old`, ...); several mean ambiguity."""
    colour: Colour
    layout: Layout
    quad: _Numbers
    """Corners in frame pixels: x0 y0 (top left), then clockwise."""
    frame_size: tuple[_Int, _Int]
    """Width and height of the frame in pixels."""
    frames: _Int
    """How many frames voted."""
    first: _Time
    last: _Time
    jpeg: bytes
    """The part of the frame around the plate that was read."""
    rendered: bool = False
    """Whether the source is a rendered clip and not a street."""


class WifiClient(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One associated device in the window; its MAC address never leaves the box."""

    pseudonym: bytes
    """Keyed hash of the MAC address, 8 bytes; the key changes every local day, so it cannot be followed."""
    rx: _Int
    """Bytes from the client in the window."""
    tx: _Int
    """Bytes to the client in the window."""
    signal: _Int | None = None
    """dBm."""


class WifiUsage(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """How an access point was used in the window that ended at `at`."""

    at: int
    seconds: _Int
    rx: _Int
    """Bytes received by the interfaces from the clients."""
    tx: _Int
    clients: tuple[WifiClient, ...]
    leases: _Int
    """DHCP leases that are valid."""


class Fault(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A part of the box that does not work now."""

    part: str
    text: str
    since: _Int


class Calibration(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A technician works at a sensor: its values are measured, but of the test solution or gas."""

    sensor: str
    since: _Int
    until: _Int
    """When it ends by itself."""
    by: str


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A box's report on itself (kind `health`)."""

    at: int
    uptime_s: _Int
    rss_kb: _Int
    """Resident memory of the agent."""
    cpu_ms: _Int
    """Processor time that the agent has used since it started."""
    outbox_events: _Int
    outbox_bytes: _Int
    oldest: _Int | None
    """Time of the oldest event that waits, if any."""
    disk_free_mb: _Int
    counters: dict[str, _Int]
    faults: tuple[Fault, ...]
    calibrating: tuple[Calibration, ...] = ()
    bytes_a_day: _Int | None = None
    """What the box puts into its outbox in a day, at its present rate; None until it is known."""
    days_left: Annotated[float, msgspec.Meta(ge=0, le=1e15)] | None = None
    """For how long the outbox has room at that rate, if nothing of it could be sent from now on."""


class Lost(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Event numbers that will never come, and why; the numbers are those of the pack (kind `lost`)."""

    kind: str
    reason: str


class BoxStatus(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Whether a box is connected; retained by the broker, `online` false is its last will (kind `status`)."""

    online: bool
    at: _Int
    version: str
    outbox: _Int
    set_aside: str = ""
    """Why the outbox before this one was given up, if it was."""
    paces: dict[_Int, _Int] = {}
    """Seconds between samples of each quantity that the box measures, by the quantity's number."""
    holds: tuple[_Int, ...] = ()
    """The outbox ids of which the box still has events, and that of new ones; what is missing of others never comes."""
    volatile: bool = False
    """Whether the outbox stands in memory only, so that a restart takes what waits."""


class Stored(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The collector's receipt: these numbers of this outbox are stored (kind `stored`, downwards)."""

    outbox: int
    runs: tuple[int, ...]


class Calibrate(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="calibrate"):
    """The order to begin (or prolong) the calibration of a sensor, or to end it."""

    sensor: Annotated[str, msgspec.Meta(max_length=64)]
    seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_CALIBRATION_S)]
    """How long it lasts unless it is ended before; 0 ends it."""


class Command(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the centre asks of a box (kind `command`, downwards); given twice it does no more than once."""

    id: int
    by: Annotated[str, msgspec.Meta(max_length=64)]
    """Who asks, for the box's own record."""
    order: Calibrate


class Answer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a box says to a command (kind `answer`): whether it was carried out, and a sentence for people."""

    id: int
    ok: bool
    vi: str
    en: str


Event = Readings | PlateRead | WifiUsage | Heartbeat

KIND_OF: dict[type, str] = {Readings: "readings", PlateRead: "plates", WifiUsage: "wifi", Heartbeat: "health"}
"""The kind of every event that an outbox numbers."""
EVENT_OF: dict[str, type] = {kind: event for event, kind in KIND_OF.items()}

PRIORITY = ("plates", "readings", "wifi", "health")
"""What is sent first and dropped last."""
URGENT = PRIORITY[0]
"""What waits for nothing else: alerts rest on it."""
