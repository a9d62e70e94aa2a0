"""The contract's bytes: what was written once must be readable for ever, and no bytes whatever may crash the reader."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.contract.as_json import as_json
from edge_agent.contract.events import (
    EVENT_OF,
    Calibration,
    Fault,
    Heartbeat,
    Lost,
    PlateRead,
    Reading,
    Readings,
    WifiClient,
    WifiUsage,
)
from edge_agent.contract.packs import MAX_PACK_BYTES, BodyError, PackError, decode_pack, encode_lost, encode_pack
from edge_agent.contract.quantities import BY_NAME, BY_NUMBER, QUANTITIES, conversion, units_for
from edge_agent.contract.runs import MAX_RUNS, numbers, pack_ranges, pack_runs, ranges
from edge_agent.outbox import PACK_EVENTS

GOLDEN = Path(__file__).parent / "golden" / "events"
AT = 1_795_000_000_000

EVENTS: dict[str, list[Any]] = {
    "readings": [
        Readings(at=AT, readings=(Reading(2, 123), Reading(3, 201))),
        Readings(at=AT + 60_000, readings=(Reading(2, 125), Reading(3, None, 2))),
        Readings(at=AT + 120_000, readings=(Reading(2, 119), Reading(3, 198, 1))),
        Readings(at=AT + 120_500, readings=(Reading(41, 8_051),)),
    ],
    "plates": [
        PlateRead(
            at=AT,
            text="68A12345",
            raw="68AI2345",
            confidence=0.93,
            char_confidence=(99, 98, 97, 55, 99, 99, 98, 97),
            valid=True,
            classes=("car",),
            colour="white",
            layout="one",
            quad=(10, 20, 110, 20, 110, 44, 10, 44),
            frame_size=(640, 360),
            frames=7,
            first=AT - 400,
            last=AT + 300,
            jpeg=b"\xff\xd8picture\xff\xd9",
        )
    ],
    "wifi": [
        WifiUsage(
            at=AT,
            seconds=60,
            rx=1_000_000,
            tx=9_000_000,
            clients=(
                WifiClient(pseudonym=b"12345678", rx=5, tx=6, signal=-52),
                WifiClient(pseudonym=b"abcdefgh", rx=0, tx=0),
            ),
            leases=3,
        )
    ],
    "health": [
        Heartbeat(
            at=AT,
            uptime_s=7,
            rss_kb=29_000,
            cpu_ms=410,
            outbox_events=3,
            outbox_bytes=40_960,
            oldest=AT - 5,
            disk_free_mb=900,
            counters={"dust.wrong_checksum": 2},
            faults=(Fault(part="line dust", text="no answer", since=AT - 9),),
            calibrating=(Calibration(sensor="ph", since=AT - 60_000, until=AT + 60_000, by="minh"),),
            bytes_a_day=1_500_000,
            days_left=42.5,
        )
    ],
}


def numbered(kind: str) -> list[tuple[int, Any]]:
    return [(4_000_000 + i, event) for i, event in enumerate(EVENTS[kind])]


def events_of(kind: str, payload: bytes) -> list[Any]:
    pack = decode_pack(kind, payload)
    return [sample for block in pack.blocks for sample in block.samples()] or list(pack.events)


@pytest.mark.parametrize("kind", sorted(EVENT_OF))
def test_golden_bytes_are_still_written_and_read(kind: str) -> None:
    """The files only grow: bytes that boxes in the field send today must be understood for ever."""
    golden = json.loads((GOLDEN / f"{kind}.json").read_text())
    payload = bytes.fromhex(golden["payload"])
    assert encode_pack(golden["outbox"], kind, numbered(kind)) == payload
    assert json.loads(json.dumps([as_json(event) for event in events_of(kind, payload)])) == golden["events"]


def test_older_heartbeats_are_still_read() -> None:
    golden = json.loads((GOLDEN / "health_before_calibrations.json").read_text())
    beat = replace(EVENTS["health"][0], calibrating=(), bytes_a_day=None, days_left=None)
    assert events_of("health", bytes.fromhex(golden["payload"])) == [beat]
    golden = json.loads((GOLDEN / "health_before_days_left.json").read_text())
    beat = replace(EVENTS["health"][0], bytes_a_day=None, days_left=None)
    assert events_of("health", bytes.fromhex(golden["payload"])) == [beat]


def test_lost_numbers_travel() -> None:
    pack = decode_pack("lost", encode_lost(7, (5, 3), Lost(kind="health", reason="the outbox was full")))
    assert (pack.runs, pack.lost) == ((5, 3), Lost(kind="health", reason="the outbox was full"))


def test_a_pack_has_no_more_runs_than_an_agent_makes() -> None:
    assert PACK_EVENTS <= MAX_RUNS
    lost = Lost(kind="health", reason="the outbox was full")
    assert len(decode_pack("lost", encode_lost(7, (1, 1) * MAX_RUNS, lost)).runs) == 2 * MAX_RUNS
    with pytest.raises(PackError, match="1001 runs of numbers; at most 1000 are taken") as refused:
        decode_pack("lost", encode_lost(7, (1, 1) * (MAX_RUNS + 1), lost))
    assert not isinstance(refused.value, BodyError), "its numbers are not believed either"


def test_fields_of_a_newer_agent_are_passed_over() -> None:
    """A field added at the end by a later version does not stop an older collector."""
    event = [*msgspec.msgpack.decode(msgspec.msgpack.encode(EVENTS["wifi"][0])), "from the future"]
    payload = msgspec.msgpack.encode([7, [1], [event]])
    assert decode_pack("wifi", payload).events == tuple(EVENTS["wifi"])


def test_quantities_of_a_newer_agent_are_left_out_and_counted() -> None:
    payload = msgspec.msgpack.encode([7, [1], [[[2, 250], [AT], [123, 5], [1, 2]]]])
    pack = decode_pack("readings", payload)
    assert pack.unknown_columns == 1
    assert [list(block.samples()) for block in pack.blocks] == [[Readings(at=AT, readings=(Reading(2, 123),))]]


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        ("readings", b"", "truncated"),
        ("readings", b"\xc1", "malformed"),
        ("readings", msgspec.msgpack.encode([7, [1], [[[2], [AT], [1, 2]]]]), "2 values for 1 times"),
        ("readings", msgspec.msgpack.encode([7, [1, 2], [[[2], [AT], [1]]]]), "1 samples for 2 numbers"),
        ("readings", msgspec.msgpack.encode([7, [1], [[[2, 2], [AT], [1, 1]]]]), "values for"),
        ("readings", msgspec.msgpack.encode([7, [1], [[[2], [-5], [1]]]]), "times out of range"),
        ("readings", msgspec.msgpack.encode([7, [1], [[[2], [AT], [1], [9, 1]]]]), "status out of range"),
        ("readings", msgspec.msgpack.encode([0, [1], []]), ">= 1"),
        ("readings", msgspec.msgpack.encode([7, [1, 10**6], []]), "too many"),
        ("readings", msgspec.msgpack.encode([7, [5, 1, 0], []]), "runs must"),
        ("plates", msgspec.msgpack.encode([7, [1], []]), "0 events for 1 numbers"),
        ("wifi", msgspec.msgpack.encode([7, [1], [[-1, 60, 0, 0, [], 0]]]), "time -1"),
        ("nonsense", msgspec.msgpack.encode([7, [1], []]), "nonsense"),
        ("readings", bytes(MAX_PACK_BYTES + 1), "at most"),
    ],
)
def test_what_is_not_a_pack_says_why(kind: str, payload: bytes, says: str) -> None:
    with pytest.raises(PackError, match=says):
        decode_pack(kind, payload)


@given(st.sampled_from(sorted([*EVENT_OF, "lost"])), st.binary(max_size=200))
def test_no_bytes_crash_the_reader(kind: str, payload: bytes) -> None:
    with suppress(PackError):
        decode_pack(kind, payload)


@given(st.sampled_from(sorted(EVENT_OF)), st.data())
def test_no_damaged_pack_crashes_the_reader(kind: str, data: st.DataObject) -> None:
    payload = bytearray(encode_pack(7, kind, numbered(kind)))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with suppress(PackError):
        decode_pack(kind, bytes(payload))


sample = st.builds(
    lambda at, ticks: Readings(
        at=at, readings=tuple(Reading(q, t, s) for q, (t, s) in zip((2, 3, 12), ticks, strict=True))
    ),
    st.integers(0, 4_102_444_800_000),
    st.lists(
        st.tuples(st.none() | st.integers(-(2**31), 2**31), st.sampled_from([0, 0, 0, 1, 2])), min_size=3, max_size=3
    ),
)


@given(st.lists(sample, min_size=1, max_size=8))
def test_readings_come_back_as_they_were(samples: list[Readings]) -> None:
    payload = encode_pack(1, "readings", list(enumerate(samples, 1)))
    assert events_of("readings", payload) == samples


@given(st.sets(st.integers(1, 400), min_size=1))
def test_runs_come_back_as_they_were(given_numbers: set[int]) -> None:
    runs = pack_runs(sorted(given_numbers))
    assert list(numbers(runs)) == sorted(given_numbers)
    assert pack_ranges(ranges(runs)) == runs


def test_the_registry_is_sound() -> None:
    assert len(BY_NUMBER) == len(BY_NAME) == len(QUANTITIES)
    for quantity in QUANTITIES:
        assert quantity.low < quantity.high
        assert quantity.value(quantity.ticks(quantity.high)) == pytest.approx(quantity.high)
        for unit in units_for(quantity.name):
            factor, _ = conversion(quantity.name, unit)
            assert factor > 0


def test_units_are_converted_as_the_law_states_air() -> None:
    """25 °C and 760 mmHg: 1 ppb of ozone is 1.96 µg/m3."""
    assert conversion("o3", "ppb") == (1.96, 0.0)
    assert conversion("co", "ppm")[0] == pytest.approx(1145)
    factor, offset = conversion("air_temperature", "°F")
    assert 212 * factor + offset == pytest.approx(100)
    with pytest.raises(KeyError):
        conversion("ph", "mg/L")
