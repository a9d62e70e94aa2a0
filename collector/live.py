"""The live picture: what the boxes are doing now, in memory, and who is told when it changes.

The intake tells it what came in, from the event loop and after the commit; pages and streams subscribe. Nothing here
grows with time: one entry for each box of the fleet and each registered quantity, and short lists of the last
plates and alerts. A subscriber that does not keep up is dropped and starts again from the whole picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from collector.alerts.desk import Alert
from collector.alerts.sightings import Sighting
from collector.live_box import AHEAD_MS, DeviceState, LatestReading, LiveBox, StationState, looks
from collector.standards.exceedances import Exceedance
from collector.subscription import LAST_PLATES, Change, Subscription, Topic
from edge_agent.contract.device import Box
from edge_agent.contract.events import PRIORITY, BoxStatus, Heartbeat

LAST_ALERTS = 20


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
        self._devices = {name: LiveBox(box) for name, box in sorted(fleet.items())}
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
        newer = [r for r in latest if r.at >= known.newest(r.quantity, ahead)]
        if newer:
            known.readings |= {reading.quantity: reading for reading in newer}
            if self._subscriptions:
                self._publish("readings", box.device, known.station())

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
        """New alerts were raised."""
        self.kept(alerts)

    def kept(self, alerts: Iterable[Alert]) -> None:
        """Show alerts that are on disk; those that are among the last shown are left out."""
        shown = {(alert.id, alert.raised) for alert in self._alerts}
        for alert in alerts:
            if (alert.id, alert.raised) not in shown:
                shown.add((alert.id, alert.raised))
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
        return [known.station() for known in self._devices.values() if known.readings]

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

    def _refresh(self, known: LiveBox) -> None:
        if not self._subscriptions:
            return
        state = self._state(known)
        if known.shown is None or looks(known.shown) != looks(state):
            known.shown = state
            self._publish("devices", known.box.device, state)

    def _state(self, known: LiveBox) -> DeviceState:
        return known.state(self._now(), expected_s=self._expected_s, short_days=self._short_days)

    def _publish(self, topic: Topic, key: str, item: object) -> None:
        change = Change(topic=topic, key=key, item=item)
        for subscription in list(self._subscriptions):
            if topic in subscription.topics and not subscription.offer(change):
                self._subscriptions.discard(subscription)
                subscription.end()
                self.dropped_subscribers += 1
