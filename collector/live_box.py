"""One box in the live picture: what it said last, and what follows from that now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from edge_agent.contract.device import Box
from edge_agent.contract.events import MAX_TIME, BoxStatus, Calibration, Heartbeat
from edge_agent.contract.quantities import BY_NAME

State = Literal["online", "late", "offline", "never"]

AHEAD_MS = 60_000
"""A value may be so much newer than now; of two clocks one always goes ahead."""
DAY_MS = LOSS_SHOWN_MS = 86_400_000
"""Losses of a kind are shown until there were none for so long; the ledger keeps them."""


class LatestReading(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of one quantity: `at` in milliseconds UTC, value in the registry's unit, QARTOD flag."""

    quantity: str
    at: int
    value: float | None
    flag: int
    status: int = 0
    """What the instrument was doing: 0 measuring, 1 calibrating, 2 fault."""


class DeviceState(msgspec.Struct, frozen=True, kw_only=True):
    """One box as it is now; times are milliseconds UTC."""

    box: Box
    state: State
    seen: int | None
    """Time of the newest event."""
    late_s: int
    """How much later than expected the newest event is; 0 while in time."""
    version: str = ""
    calibrating: tuple[Calibration, ...] = ()
    """Sensors at which a technician works, as the box said last."""
    days_left: float | None = None
    """For how long its outbox has room if nothing can be sent; while it is not connected, from now on."""
    runs_short: bool = False
    """Whether it cannot send and its outbox is full before long."""
    lost: Mapping[str, int] = {}
    """Events of each kind that it told lately to be lost."""
    volatile: bool = False
    """Whether it keeps what waits in memory only, so that a power cut takes it."""


class StationState(msgspec.Struct, frozen=True, kw_only=True):
    """The newest readings of one box, in the registry's order."""

    box: Box
    readings: tuple[LatestReading, ...]


class LiveBox:
    """What is known of a box; times are milliseconds UTC."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.at: int | None = None
        self.beat: Heartbeat | None = None
        self.beat_at = 0
        """When it was made, or came if the box's clock ran ahead."""
        self.lost: dict[str, tuple[int, int]] = {}
        """How many of each kind, and when the last were told."""
        self.received: int | None = None
        self.status: BoxStatus | None = None
        self.status_received = 0
        self.readings: dict[str, LatestReading] = {}
        self.shown: DeviceState | None = None

    def state(self, now: int, *, expected_s: int, short_days: float) -> DeviceState:
        """The box at `now`; see `Live` for the rest."""
        status = self.status
        # a box that connected and then never sent anything is late too
        since = self.status_received if self.at is None and status is not None else self.at
        late_s = 0 if since is None else max(0, (now - since) // 1000 - expected_s)
        state: State = "online"
        if status is not None and not status.online and (self.received or 0) <= self.status_received:
            state = "offline"
        elif late_s:
            state = "late"
        elif since is None:
            state = "never"
        said = self.beat.calibrating if self.beat is not None else ()
        # what a box sends may be no time
        calibrating = tuple(c for c in said if 0 <= c.since <= c.until <= MAX_TIME and now < c.until)
        days_left = self.beat.days_left if self.beat is not None else None
        if days_left is not None and state != "online":
            days_left = max(0.0, days_left - (now - self.beat_at) / DAY_MS)
        self.lost = {kind: lost for kind, lost in self.lost.items() if now - lost[1] < LOSS_SHOWN_MS}
        return DeviceState(
            box=self.box,
            state=state,
            seen=self.at,
            late_s=late_s,
            version="" if status is None else status.version,
            calibrating=calibrating,
            days_left=days_left,
            runs_short=days_left is not None and state != "online" and days_left < short_days,
            lost={kind: n for kind, (n, _) in self.lost.items()},
            volatile=status is not None and status.volatile,
        )

    def station(self) -> StationState:
        """Its newest readings."""
        rows = sorted(self.readings.values(), key=lambda reading: BY_NAME[reading.quantity].number)
        return StationState(box=self.box, readings=tuple(rows))

    def newest(self, quantity: str, ahead: int) -> int:
        """Time of the value that is shown; 0 where there is none, or one of a clock that ran ahead, beyond `ahead`."""
        shown = self.readings.get(quantity)
        return 0 if shown is None or shown.at > ahead else shown.at


def looks(state: DeviceState) -> tuple[object, ...]:
    """What of a state the page shows: lateness in minutes, days left in hours, the last event to the second."""
    hours = None if state.days_left is None else int(state.days_left * 24)
    rest = state.runs_short, state.lost, state.volatile
    return state.state, state.seen, state.late_s // 60, state.calibrating, hours, *rest
