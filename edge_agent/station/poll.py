"""When sensors are asked, and what becomes of the answer: a `Readings` event for every poll that was due.

Polls fall on whole multiples of `every_s` since 1970 UTC, and an event carries the time at which its poll was due, not
the millisecond at which the answer came: so the stations of the island measure at the same moments, and a steady pace
costs one byte a sample in a pack. A poll that could not begin before the next one was due is left out and counted. No
time is given twice, also where the clock is set back (`stamps.py`).

A sensor that gives no value at a due poll makes an event all the same, with no value and status FAULT: absence is data.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from edge_agent.clock import Now, now_ms, steady_ms
from edge_agent.contract.events import Event, Reading, Readings, Status
from edge_agent.contract.quantities import BY_NAME
from edge_agent.errors import FrameError, LineError, Silence
from edge_agent.health import Health
from edge_agent.station.conversation import Answer, Value
from edge_agent.station.port import Port
from edge_agent.station.sensor import Sensor
from edge_agent.station.settings import StationSettings, stored_as
from edge_agent.station.stamps import Given, Stamps

log = logging.getLogger(__name__)

Emit = Callable[[Event], Awaitable[None]]

MAX_SLEEP_MS = 10_000
"""The clock is looked at this often, since it may be set while we wait."""
MAX_TICKS = 2**53
"""No value is larger on the wire."""
POLL_S = 600.0
"""Turns and time limits included, a poll takes no longer beyond the warm-up."""
SLIP_MS = 1000
"""A clock that is put right by so little back makes no poll a second time; the next one waits that much longer."""
BAD_IN_A_ROW = 3
"""One damaged answer is counted; so many, one after the other, are a fault."""


async def run(
    settings: StationSettings,
    emit: Emit,
    health: Health,
    now: Now = now_ms,
    *,
    calibrating: Callable[[str, int], bool] = lambda _sensor, _now: False,
    state: Path | None = None,
) -> None:
    """Poll every sensor of the station for ever; returns only by cancellation.

    `calibrating` tells whether a technician works at a sensor at a time; `state` is the box's folder.
    """
    given = Given(state / "polls" if state is not None else None, health)
    async with AsyncExitStack() as ports, asyncio.TaskGroup() as tasks:
        ports.callback(given.close)
        for line in settings.lines:
            port = await ports.enter_async_context(Port(settings.lines[line], noise=partial(_noise, health, line)))
            wired = [name for name, sensor in settings.sensors.items() if sensor.line == line]
            for place, name in enumerate(wired):
                polled = Polled(name, settings.sensors[name], now(), place)
                asking = _Asking(polled, port, health, now, calibrating=calibrating, stamps=Stamps(given))
                tasks.create_task(asking.poll(emit), name=f"sensor {name}")


def _noise(health: Health, line: str, count: int) -> None:
    health.count(f"{line}.noise_bytes", count)


class Polled:
    """A sensor with its timetable; times are milliseconds since 1970."""

    def __init__(self, name: str, sensor: Sensor, now: int, place: int = 0) -> None:
        """`place` counts the sensors before it on the line: those that are due together are asked in that order."""
        self.name = name
        self.sensor = sensor
        self.place = place
        self.every = sensor.every_s * 1000
        self.lead = sensor.warm_up_s * 1000 if sensor.wakes else 0
        self.due = self._next(now)
        self.bad_in_a_row = 0
        self.answers_since: int | None = None
        """On the steady clock."""

    @property
    def begins(self) -> int:
        """When the next poll begins: it is due then, or the sensor is to be woken."""
        return self.due - self.lead

    def _next(self, now: int) -> int:
        return ((now + self.lead) // self.every + 1) * self.every

    def clock_looked_at(self, now: int) -> None:
        """Begin anew where the clock was set back."""
        if self.begins - now > self.every + SLIP_MS:
            self.due = self._next(now)

    def begin(self, now: int) -> tuple[int, int]:
        """Give the time of the poll that is due last, and how many before it were missed; the next is then due."""
        missed = (now - self.begins) // self.every
        at = self.due + missed * self.every
        self.due = at + self.every
        return at, missed


class _Asking:
    """Asks one sensor whenever it is due. The port gives sensors of one line their turns."""

    def __init__(
        self,
        polled: Polled,
        port: Port,
        health: Health,
        now: Now,
        *,
        calibrating: Callable[[str, int], bool],
        stamps: Stamps,
    ) -> None:
        self._polled, self._port, self._health, self._now = polled, port, health, now
        self._calibrating, self._stamps = calibrating, stamps

    async def poll(self, emit: Emit) -> None:
        polled = self._polled
        while True:
            polled.clock_looked_at(self._now())
            # a millisecond for each place: who asks first has the line first
            if (wait := polled.begins + polled.place - self._now()) > 0:
                await asyncio.sleep(min(wait, MAX_SLEEP_MS) / 1000)
                continue
            at, missed = polled.begin(self._now())
            if missed:
                self._health.count(f"{polled.name}.polls_missed", missed)
            calibrating = self._calibrating(polled.name, self._now())
            answer = await self._ask()
            if answer and (calibrating or self._calibrating(polled.name, self._now())):
                answer = _calibrated(answer)
            await emit(Readings(at=self._stamps.give(at), readings=_readings(polled.sensor, answer)))

    async def _ask(self) -> Answer | None:
        """Ask the sensor; None where it gave nothing, for which the reason is then in health."""
        polled = self._polled
        sensor, name, health = polled.sensor, polled.name, self._health
        line = sensor.line
        trouble = ""
        answer = None
        try:
            with health.pulse.work(f"sensor {name}", sensor.warm_up_s + POLL_S):
                answer = await self._port.converse(sensor.poll(self._port.kind), sensor.timeout_s)
        except LineError as error:
            polled.answers_since = None
            if not isinstance(error, Silence):
                health.count(f"{line}.line_errors")
                health.fault(f"line {line}", str(error))
                return None
            health.count(f"{name}.silent")
            trouble = str(error)
        except FrameError as error:
            log.debug("sensor %s: %s", name, error)
            health.count(f"{name}.bad_frames")
            polled.bad_in_a_row += 1
            if polled.bad_in_a_row >= BAD_IN_A_ROW:
                trouble = f"only damaged answers; check baud rate, shield, wiring · dữ liệu lỗi; kiểm tra dây: {error}"
        else:
            trouble, polled.bad_in_a_row = answer.complaint, 0
        health.clear(f"line {line}")
        if trouble:
            health.fault(f"sensor {name}", trouble)
        elif answer:
            health.clear(f"sensor {name}")
        return answer and self._warmed_up(answer)

    def _warmed_up(self, answer: Answer) -> Answer:
        """Leave values out that the sensor gives too soon after it began to answer."""
        polled, now = self._polled, steady_ms()
        if polled.answers_since is None:
            polled.answers_since = now
        if polled.sensor.waits or now - polled.answers_since >= polled.sensor.warm_up_s * 1000:
            return answer
        return Answer(values=tuple(Value(v.quantity, None, Status.CALIBRATING) for v in answer.values))


def _calibrated(answer: Answer) -> Answer:
    """The same values with the status of a sensor at which a technician works; a fault stays one."""
    return Answer(
        values=tuple(v if v.status == Status.FAULT else v._replace(status=Status.CALIBRATING) for v in answer.values)
    )


def _readings(sensor: Sensor, answer: Answer | None) -> tuple[Reading, ...]:
    """Every quantity of the sensor, always in the same order, so that its samples share columns."""
    given = {value.quantity: value for value in answer.values} if answer else {}
    return tuple(
        _reading(stored_as(sensor, quantity), given.get(quantity, Value(quantity, None, Status.FAULT)))
        for quantity in sensor.gives
    )


def _reading(name: str, value: Value) -> Reading:
    quantity = BY_NAME[name]
    if value.value is None:
        return Reading(quantity.number, None, value.status)
    if not math.isfinite(value.value) or abs(ticks := quantity.ticks(value.value)) > MAX_TICKS:
        return Reading(quantity.number, None, Status.FAULT)
    return Reading(quantity.number, ticks, value.status)
