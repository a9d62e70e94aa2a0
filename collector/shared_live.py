"""The live picture of a collector that shares its work with others: what they saw is in it too.

Devices and readings come as news (`news.py`), once a second. Alerts and plates are read from their tables twice a
second, whoever entered them: so an alert is shown everywhere though the collector that raised it died in that moment,
and every collector shows alerts in the order of their ids, so that a listener may go on with another one. Statuses
need neither, as every collector hears them from the broker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import msgspec

from collector.alerts.desk import Alert, PlateDesk
from collector.alerts.sightings import Sighting
from collector.database import UNAVAILABLE
from collector.live import Live
from collector.live_box import LatestReading
from collector.news import News
from collector.subscription import LAST_PLATES
from edge_agent.contract.device import Box
from edge_agent.contract.events import Heartbeat

log = logging.getLogger(__name__)

EVERY_S = 0.5
TELL_S = 1.0
ALERTS_AT_ONCE = 1000


class _Said(msgspec.Struct, array_like=True):
    """What changed, by box."""

    seen: dict[str, tuple[int, int]] = {}
    """Time of the newest event, and when it came."""
    beats: dict[str, Heartbeat] = {}
    readings: dict[str, list[LatestReading]] = {}
    lost: list[tuple[str, str, int]] = []


_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(_Said).decode


class SharedLive(Live):
    """As `Live`; what the intake tells it is told to the other collectors too."""

    def __init__(
        self, fleet: Mapping[str, Box], *, now: Callable[[], int], expected_s: int = 180, short_days: float = 3
    ) -> None:
        super().__init__(fleet, now=now, expected_s=expected_s, short_days=short_days)
        self._fleet = fleet
        self._said = _Said()
        self.raised = asyncio.Event()
        """There may be new alerts in their table."""
        self.last = 0
        """Id of the newest alert that needs not be shown as new."""

    def saw(self, device: str, at_ms: int, received_ms: int) -> None:
        """As `Live.saw`."""
        super().saw(device, at_ms, received_ms)
        before = self._said.seen.get(device, (0, 0))
        self._said.seen[device] = max(before[0], at_ms), max(before[1], received_ms)

    def beat(self, device: str, beat: Heartbeat) -> None:
        """As `Live.beat`."""
        super().beat(device, beat)
        self._said.beats[device] = beat

    def readings(self, box: Box, latest: Iterable[LatestReading]) -> None:
        """As `Live.readings`."""
        latest = list(latest)
        super().readings(box, latest)
        known = {reading.quantity: reading for reading in self._said.readings.get(box.device, ())}
        for reading in latest:
            if reading.quantity not in known or reading.at >= known[reading.quantity].at:
                known[reading.quantity] = reading
        self._said.readings[box.device] = list(known.values())

    def lost(self, device: str, kind: str, count: int) -> None:
        """As `Live.lost`."""
        super().lost(device, kind, count)
        self._said.lost.append((device, kind, count))

    def alerts(self, alerts: Iterable[Alert]) -> None:
        """Have them looked up, in their order among those of others: here they may have been shown meanwhile."""
        if any(alert.id > self.last for alert in alerts):
            self.raised.set()

    def kept(self, alerts: Iterable[Alert]) -> None:
        """As `Live.kept`, in the order of their ids."""
        alerts = list(alerts)
        super().kept(alerts)
        self.last = max([self.last, *(alert.id for alert in alerts)])

    def news(self) -> bytes | None:
        """What the intake told since the last call; None if nothing."""
        said, self._said = self._said, _Said()
        return _encode(said) if said != _Said() else None

    def heard(self, said: bytes) -> None:
        """Take in what another collector told. Boxes that are not of this fleet are passed over."""
        told = _decode(said)
        for device, (at, received) in told.seen.items():
            super().saw(device, at, received)
        for device, beat in told.beats.items():
            super().beat(device, beat)
        for device, readings in told.readings.items():
            if device in self._fleet:
                super().readings(self._fleet[device], readings)
        for device, kind, count in told.lost:
            super().lost(device, kind, count)


class Exchange(msgspec.Struct, kw_only=True):
    """Keeps the pictures of all collectors alike; `run` does it until it is cancelled."""

    live: SharedLive
    desk: PlateDesk
    news: News

    async def run(self) -> None:
        """Look and tell, again and again."""
        told, trouble = time.monotonic(), False
        while True:
            try:
                await self.look()
                if time.monotonic() - told >= TELL_S:
                    told = time.monotonic()
                    await self.tell()
                trouble = False
            except UNAVAILABLE as error:
                if not trouble:
                    log.warning("other collectors are not heard: the database did not answer: %s", error)
                trouble = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self.live.raised.wait(), EVERY_S)
            self.live.raised.clear()

    async def look(self) -> None:
        """Show what is new in the tables, and what others told."""
        alerts, plates, heard = await asyncio.to_thread(self._look)
        self.live.plates(reversed(plates))
        self.live.kept(alerts)
        for said in heard:
            self.live.heard(said)

    async def tell(self) -> None:
        """Tell the others what came here."""
        told = self.live.news()
        if told is not None:
            await asyncio.to_thread(self.news.tell, told)

    def _look(self) -> tuple[list[Alert], list[Sighting], list[bytes]]:
        # where an older database was put back, its numbers go on from those that it holds
        self.live.last = min(self.live.last, self.desk.last_alert())
        alerts = self.desk.alerts_after(self.live.last, ALERTS_AT_ONCE)
        return alerts, self.desk.plates(limit=LAST_PLATES), self.news.hear()
