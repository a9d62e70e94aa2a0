"""What the API answers in JSON, for its description (`openapi.py`); a test holds real answers against it.

Times are ISO 8601 in UTC, to the millisecond.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from collector.alerts.desk import Doubt
from collector.alerts.match import Difference, Kind
from collector.ledger_account import SHOWN, LostBy, LostRange
from collector.live_box import State
from edge_agent.contract.device import Medium, Position
from edge_agent.contract.legal import Averaging, Certainty

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class _Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Tongues(_Answer, frozen=True, kw_only=True):
    """A sentence in Vietnamese and in English."""

    vi: str
    en: str


class Error(_Answer, frozen=True, kw_only=True):
    """Why something was not done, and what to do about it."""

    error: Tongues
    what_to_do: Tongues


class UnderCalibration(_Answer, frozen=True, kw_only=True):
    """A sensor at which a technician works."""

    sensor: str
    since: Time
    until: Time
    by: str


class Device(_Answer, frozen=True, kw_only=True):
    """A box of the fleet and how it stands."""

    device: str
    label: str
    site: str
    type: str
    position: Position
    medium: Medium | None
    camera: bool
    access_point: bool
    state: State
    seen: Time | None
    late_s: int
    version: str
    calibrating: list[UnderCalibration]
    runs_short: bool
    lost: dict[str, int]
    days_left: float | None
    in_memory_only: bool


class Notice(_Answer, frozen=True, kw_only=True):
    """Boxes that say nothing."""

    place: str
    name: str
    boxes: list[str]
    of: int
    since: Time | None


class Account(_Answer, frozen=True, kw_only=True):
    """One outbox in the ledger; `highest == stored + lost + missing` holds always.

    Of ranges the newest are given, of reasons those of most events, 100 of each at most; the `_count` tells all.
    """

    device: str
    outbox: int
    highest: int
    stored: int
    lost: int
    missing: int
    missing_ranges: Annotated[list[tuple[int, int]], msgspec.Meta(max_length=SHOWN)]
    missing_ranges_count: int
    lost_ranges: Annotated[list[LostRange], msgspec.Meta(max_length=SHOWN)]
    lost_ranges_count: int
    lost_by: Annotated[list[LostBy], msgspec.Meta(max_length=SHOWN)]
    lost_by_count: int
    days_left: float | None
    in_memory_only: bool


class Reading(_Answer, frozen=True, kw_only=True, omit_defaults=True):
    """A sample, or with `every` the mean of a bucket: of `n` of its `of` samples."""

    at: Time
    value: float | None
    flag: int
    status: int
    n: int | None = None
    of: int | None = None


class Readings(_Answer, frozen=True, kw_only=True):
    """Values of one quantity of one station."""

    station: str
    quantity: str
    unit: str
    start: Time
    stop: Time
    every: str | None
    rows: list[Reading]


class Mean(_Answer, frozen=True, kw_only=True):
    """One mean of one quantity."""

    at: Time
    value: float | None
    flag: int
    coverage: float
    n: int
    due: int
    rule: str


class Means(_Answer, frozen=True, kw_only=True):
    """Means of one quantity of one station."""

    station: str
    quantity: str
    unit: str
    period: str
    start: Time
    stop: Time
    rows: list[Mean]


class Index(_Answer, frozen=True, kw_only=True):
    """The air quality index of an hour or a day."""

    at: Time
    aqi: int
    dominant: str
    sub: dict[str, int]
    nowcast: dict[str, float]
    category: str


class Indices(_Answer, frozen=True, kw_only=True):
    """Air quality indices of one station."""

    station: str
    period: str
    rows: list[Index]


class Gap(_Answer, frozen=True, kw_only=True):
    """A stretch without a value."""

    quantity: str
    since: Time
    until: Time


class Limit(_Answer, frozen=True, kw_only=True):
    """A limit that holds for a station."""

    quantity: str
    averaging: Averaging
    low: float | None
    high: float | None
    since: str
    until: str | None
    source: str
    certainty: Certainty
    note: str
    unit: str


class Evidence(_Answer, frozen=True, kw_only=True):
    """One period beyond a limit."""

    at: Time
    first: Time
    last: Time
    worst: float
    worst_at: Time
    beyond: int
    of: int
    coverage: float | None


class Exceedance(_Answer, frozen=True, kw_only=True):
    """A stretch of time in which a station was beyond a limit."""

    station: str
    limit: Limit
    alarms: bool
    opened: Time
    closed: Time | None
    worst: float
    worst_at: Time
    evidence: list[Evidence]


class Calibrated(_Answer, frozen=True, kw_only=True):
    """What a box did, in its own words."""

    device: str
    sensor: str
    seconds: int
    action: str
    said: Tongues


class Standing(_Answer, frozen=True, kw_only=True):
    """How a station's files to the regulator stand."""

    station: str
    code: str
    server: str
    since: Time | None
    last_sent: Time | None
    last_sent_cycle: Time | None
    waiting: int
    oldest_waiting: Time | None
    last_error: str | None
    error_since: Time | None
    notify_department: bool


class Plate(_Answer, frozen=True, kw_only=True):
    """One vehicle's pass before a camera."""

    id: str
    camera: str
    site: str
    at: Time
    first: Time
    last: Time
    received: Time
    text: str
    raw: str
    confidence: float
    char_confidence: list[int]
    valid: bool
    doubts: list[Doubt]
    classes: list[str]
    colour: str
    layout: str
    quad: list[int]
    frame_size: list[int]
    frames: int
    rendered: bool
    picture: str


class Alert(_Answer, frozen=True, kw_only=True):
    """A plate that is looked for passed a camera."""

    id: int
    kind: Kind
    pattern: str
    differences: list[Difference]
    doubts: list[Doubt]
    raised: Time
    entry: int
    reason: str
    officer: str
    plate: Plate


class Entry(_Answer, frozen=True, kw_only=True):
    """One plate pattern that is looked for."""

    id: int
    pattern: str
    reason: str
    officer: str
    added: Time
    expires: Time
    removed: Time | None
    active: bool


OpenApi = dict[str, Any]
