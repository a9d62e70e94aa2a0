"""The live picture: what the boxes are doing now, in memory, and who is told when it changes.

The intake tells it what came in, from the event loop and after the commit; pages and streams subscribe. Nothing here
grows with time: one entry for each box of the fleet and each registered quantity, and short lists of the last
plates and alerts. A subscriber that does not keep up is dropped and starts again from the whole picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from collector.alerts.desk import Alert
from collector.alerts.sightings import Sighting
from collector.standards.exceedances import Exceedance
from collector.subscription import LAST_PLATES, Change, Subscription, Topic
from edge_agent.contract.device import Box
from edge_agent.contract.events import MAX_TIME, PRIORITY, BoxStatus, Calibration, Heartbeat
from edge_agent.contract.quantities import BY_NAME

State = Literal["online", "late", "offline", "never"]

LAST_ALERTS = 20
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


class _Device:
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


class Live:
    """The picture. Not for threads: everything is called from the event loop."""

    def __init__(
        self, fleet: Mapping[str, Box], *, now: Callable[[], int], expected_s: int = 180, short_days: float = 3
    ) -> None:
        """Expect an event of each box at least every `expected_s` seconds.

        A box that cannot send runs short when its outbox has room for less than `short_days`.
        """
        self._now = now
        self._short_days = short_days
        self._expected_s = expected_s
        self._devices = {name: _Device(box) for name, box in sorted(fleet.items())}
        self._plates: deque[Sighting] = deque(maxlen=LAST_PLATES)
        self._alerts: deque[Alert] = deque(maxlen=LAST_ALERTS)
        self._broken: tuple[Exceedance, ...] = ()
        self._subscriptions: set[Subscription] = set()
        self.dropped_subscribers = 0

    # what the intake tells

    def saw(self, device: str, at_ms: int, received_ms: int) -> None:
        """A pack came: `at_ms` is the time of its newest event. Boxes that are not of the fleet are left out."""
        known = self._devices.get(device)
        if known is not None:
            # a box whose clock runs ahead must not look punctual for ever
            known.at = max(known.at or 0, min(at_ms, received_ms))
            known.received = received_ms
            self._refresh(known)

    def status(self, device: str, status: BoxStatus) -> None:
        """A box, or its last will, said whether it is connected."""
        known = self._devices.get(device)
        if known is not None:
            known.status, known.status_received = status, self._now()
            self._refresh(known)

    def beat(self, device: str, beat: Heartbeat) -> None:
        """A box reported on itself; an older report than the last is left out."""
        known = self._devices.get(device)
        at = min(beat.at, self._now())  # one from before its clock was put right must not be the newest for years
        if known is not None and (known.beat is None or at >= known.beat_at):
            known.beat, known.beat_at = beat, at
            self._refresh(known)

    def lost(self, device: str, kind: str, count: int) -> None:
        """A box told that events of a kind are lost."""
        known = self._devices.get(device)
        if known is not None and kind in PRIORITY:
            known.lost[kind] = (known.lost.get(kind, (0, 0))[0] + count, self._now())
            self._refresh(known)

    def readings(self, box: Box, latest: Iterable[LatestReading]) -> None:
        """Flagged values of registered quantities came; older ones than those shown are left out."""
        known = self._devices.get(box.device)
        if known is None:
            return
        ahead = self._now() + AHEAD_MS
        newer = [r for r in latest if r.at >= _newest(known, r.quantity, ahead)]
        if newer:
            known.readings |= {reading.quantity: reading for reading in newer}
            if self._subscriptions:
                self._publish("readings", box.device, _station(known))

    def plates(self, sightings: Iterable[Sighting]) -> None:
        """Plates came; what is shown already is left out, and so is an old backlog, lest it hide the present."""
        shown = {sighting.id for sighting in self._plates}
        for sighting in sightings:
            old = len(self._plates) == LAST_PLATES and sighting.at < min(min(o.at, o.received) for o in self._plates)
            if sighting.id not in shown and not old:
                shown.add(sighting.id)
                self._plates.append(sighting)
                self._publish("plates", sighting.id, sighting)

    def alerts(self, alerts: Iterable[Alert]) -> None:
        """New alerts were raised; what is shown already is left out."""
        shown = {alert.id for alert in self._alerts}
        for alert in alerts:
            if alert.id not in shown:
                shown.add(alert.id)
                self._alerts.append(alert)
                self._publish("alerts", str(alert.id), alert)

    def limits(self, broken: Sequence[Exceedance]) -> None:
        """These limits are broken now, the newest first."""
        if tuple(broken) != self._broken:
            self._broken = tuple(broken)
            self._publish("limits", "broken", self._broken)

    def forget(self, before: int, hits_before: int) -> None:
        """Show no plate that passed before `before` (ms), and no alert of one before `hits_before`."""
        plates = (seen for seen in self._plates if min(seen.at, seen.received) >= before)
        alerts = (alert for alert in self._alerts if min(alert.seen.at, alert.seen.received) >= hits_before)
        self._plates, self._alerts = deque(plates, LAST_PLATES), deque(alerts, LAST_ALERTS)

    # what pages ask

    def devices(self) -> list[DeviceState]:
        """Every box of the fleet, by name."""
        return [self._state(known) for known in self._devices.values()]

    def stations(self) -> list[StationState]:
        """Every box that has given readings, by name."""
        return [_station(known) for known in self._devices.values() if known.readings]

    def broken_limits(self) -> tuple[Exceedance, ...]:
        """The limits that are broken now, the newest first."""
        return self._broken

    def last_plates(self) -> list[Sighting]:
        """The last plates, the newest first."""
        return list(reversed(self._plates))

    def last_alerts(self) -> list[Alert]:
        """The last alerts, the newest first."""
        return list(reversed(self._alerts))

    def subscribe(self, topics: Iterable[Topic]) -> Subscription:
        """Be told of changes from now on; `unsubscribe` in the end."""
        if not self._subscriptions:  # until now nobody was told of changes, so none were looked for
            for known in self._devices.values():
                known.shown = self._state(known)
        subscription = Subscription(frozenset(topics))
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be told no more."""
        self._subscriptions.discard(subscription)

    @property
    def subscribers(self) -> int:
        """How many are being told."""
        return len(self._subscriptions)

    def sweep(self) -> None:
        """Look at the clock: a box that says nothing becomes late without any event. Call it every few seconds."""
        for known in self._devices.values():
            self._refresh(known)

    def close(self) -> None:
        """End every subscription, so that a server can stop."""
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()

    def _refresh(self, known: _Device) -> None:
        if not self._subscriptions:
            return
        state = self._state(known)
        if known.shown is None or _looks(known.shown) != _looks(state):
            known.shown = state
            self._publish("devices", known.box.device, state)

    def _state(self, known: _Device) -> DeviceState:
        status = known.status
        # a box that connected and then never sent anything is late too
        since = known.status_received if known.at is None and status is not None else known.at
        late_s = 0 if since is None else max(0, (self._now() - since) // 1000 - self._expected_s)
        state: State = "online"
        if status is not None and not status.online and (known.received or 0) <= known.status_received:
            state = "offline"
        elif late_s:
            state = "late"
        elif since is None:
            state = "never"
        said = known.beat.calibrating if known.beat is not None else ()
        # what a box sends may be no time
        calibrating = tuple(c for c in said if 0 <= c.since <= c.until <= MAX_TIME and self._now() < c.until)
        days_left = known.beat.days_left if known.beat is not None else None
        if days_left is not None and state != "online":
            days_left = max(0.0, days_left - (self._now() - known.beat_at) / DAY_MS)
        known.lost = {kind: lost for kind, lost in known.lost.items() if self._now() - lost[1] < LOSS_SHOWN_MS}
        return DeviceState(
            box=known.box,
            state=state,
            seen=known.at,
            late_s=late_s,
            version="" if status is None else status.version,
            calibrating=calibrating,
            days_left=days_left,
            runs_short=days_left is not None and state != "online" and days_left < self._short_days,
            lost={kind: n for kind, (n, _) in known.lost.items()},
            volatile=status is not None and status.volatile,
        )

    def _publish(self, topic: Topic, key: str, item: object) -> None:
        change = Change(topic=topic, key=key, item=item)
        for subscription in list(self._subscriptions):
            if topic in subscription.topics and not subscription.offer(change):
                self._subscriptions.discard(subscription)
                subscription.end()
                self.dropped_subscribers += 1


def _looks(state: DeviceState) -> tuple[object, ...]:
    """What of a state the page shows: lateness in minutes, days left in hours, the last event to the second."""
    hours = None if state.days_left is None else int(state.days_left * 24)
    rest = state.runs_short, state.lost, state.volatile
    return state.state, state.seen, state.late_s // 60, state.calibrating, hours, *rest


def _station(known: _Device) -> StationState:
    rows = sorted(known.readings.values(), key=lambda reading: BY_NAME[reading.quantity].number)
    return StationState(box=known.box, readings=tuple(rows))


def _newest(known: _Device, quantity: str, ahead: int) -> int:
    """Time of the value that is shown; 0 where there is none, or one of a clock that ran ahead, beyond `ahead`."""
    shown = known.readings.get(quantity)
    return 0 if shown is None or shown.at > ahead else shown.at
