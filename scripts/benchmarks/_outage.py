"""What an air station of six quantities keeps while its link is dead: samples by the minute, and its heartbeats."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.contract.events import Event, Fault, Heartbeat, Readings
from scripts.benchmarks._island import MORNING, samples

MINUTE = 60_000
SENSORS = {1: ((0, 6),), 3: ((0, 3), (3, 5), (5, 6))}
"""Which of the six quantities each sensor gives: all from one, or dust, weather and pressure apart."""


def outage(days: int, *, sensors: int = 3, start: int = MORNING) -> Iterator[list[Event]]:
    """Yield the events of one hour after the other, in the order in which they come."""
    for hour in range(days * 24):
        first = start + hour * 60 * MINUTE
        events: list[Event] = []
        for minute, sample in enumerate(samples(60, start=first)):
            at = first + minute * MINUTE
            events += [Readings(at=at, readings=sample.readings[a:b]) for a, b in SENSORS[sensors]]
            events.append(_heartbeat(at + 417 + minute % 3, (at - start) // MINUTE, start))
        yield events


def _heartbeat(at: int, minutes: int, start: int) -> Heartbeat:
    return Heartbeat(
        at=at,
        uptime_s=40 + minutes * 60,
        rss_kb=37_800 + at % 97,
        cpu_ms=900 + minutes * 71 + at % 13,
        outbox_events=minutes * 4,
        outbox_bytes=minutes * 27 // 4096 * 4096,
        oldest=start,
        disk_free_mb=23_400 - minutes // 9000,
        counters={"dust.silent": minutes // 700, "uplink.sent_again": 3, "outbox.dropped": 0},
        faults=(Fault(part="broker", text="broker.example:8883 cannot be reached: timed out", since=start),),
    )
