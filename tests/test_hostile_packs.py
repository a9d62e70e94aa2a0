"""No bytes whatever from a box end the collector, hold it up, fill its memory or become a value that nobody measured.

FUZZ_EXAMPLES sets how many inputs are tried (300 by default).
"""

from __future__ import annotations

import asyncio
import math
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from city import FLEET, NOON, City
from hostile import DEEP, FUZZ, HUGE, changed
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, text
from test_packs import EVENTS

from collector.averages.touched import Touched
from collector.batch import Message, Sinks
from collector.database import open_database
from collector.quality import Quality
from collector.quarantine import KEPT_OF_A_BOX, Quarantine, Refused
from collector.web.page import Sections
from edge_agent.contract.events import BoxStatus, Lost
from edge_agent.contract.packs import MAX_PACK_BYTES, PackError, decode_pack, encode_lost, encode_pack

SENDER = {"readings": "air-01", "plates": "cam-01", "wifi": "ap-01", "health": "air-01", "lost": "air-01"}
REAL = {
    kind: [encode_pack(7, kind, list(enumerate(events, 1))), encode_pack(9, kind, [(50, events[0])])]
    for kind, events in EVENTS.items()
} | {"lost": [encode_lost(7, (1, 5), Lost(kind="wifi", reason="full"))]}
STATUS = [msgspec.msgpack.encode(BoxStatus(online=True, at=NOON, version="1", outbox=7, paces={2: 60}))]
KINDS = st.sampled_from(sorted(REAL))
PACKS = KINDS.flatmap(lambda kind: st.tuples(st.just(kind), changed(REAL[kind]) | st.binary(max_size=300)))
EDGY = (float("nan"), float("inf"), -0.1, 1.1, 2**64 - 1, -(2**63), -1)
CPU_S = 2.0
"""For one input, on a busy machine."""
MEMORY = 60_000_000


class Centre:
    """The collector's sinks, whole, with a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        self.city = City(folder)
        self.counters: Counter[str] = Counter()
        self.sinks = Sinks(
            fleet=FLEET,
            ledger=self.city.ledger,
            quality=Quality(),
            store=self.city.store,
            touched=Touched(self.city.engine, {"averages": 3_600_000}),
            paces=self.city.paces,
            desk=self.city.desk,
            quarantine=Quarantine(self.city.engine),
            counters=self.counters,
        )

    def take(self, topic: str, payload: bytes) -> int:
        """Carry one message the whole way, as the intake does; how many packs were stored."""
        live = self.city.live
        found = self.sinks.sort([Message(topic, payload[: MAX_PACK_BYTES + 1], NOON)])
        for device, status in found.statuses:
            live.status(device, status)
        for arrival in found.new:
            live.saw(arrival.box.device, arrival.newest, NOON)
            if arrival.pack.kind == "health" and arrival.pack.events:
                live.beat(arrival.box.device, arrival.pack.events[-1])
        alerts, sightings = self.sinks.alert(found.new)
        live.plates(sightings)
        live.alerts(alerts)
        for latest in self.sinks.store(found.new) if found.new else []:
            live.readings(latest.box, latest.readings)
        return len(found.new)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    centre = Centre(tmp_path_factory.mktemp("centre"))
    centre.city.watch("68A*")
    yield centre
    centre.city.close()


@FUZZ
@given(PACKS)
def test_no_pack_ends_the_collector(centre: Centre, pack: tuple[str, bytes]) -> None:
    kind, payload = pack
    began = time.process_time()
    centre.take(f"v1/up/{SENDER[kind]}/{kind}", payload)
    for role in ("technician", "police"):
        for topic in ("devices", "readings", "plates", "alerts"):
            assert "<script>alert" not in asyncio.run(Sections(centre.city.context).get(role, topic)).html
    assert time.process_time() - began < CPU_S
    assert centre.counters["packs_failed_total"] == 0, "the net is for faults that nobody found yet"
    for station in centre.city.live.stations():
        for reading in station.readings:
            assert reading.value is None or math.isfinite(reading.value), "nobody measured that"


@FUZZ
@given(changed(STATUS) | st.binary(max_size=100))
def test_no_status_ends_the_collector(centre: Centre, payload: bytes) -> None:
    centre.take("v1/up/air-01/status", payload)
    centre.sinks.sort([])


@pytest.mark.parametrize("kind", ["plates", "wifi", "health"])
def test_no_number_of_an_event_ends_the_collector(centre: Centre, kind: str) -> None:
    """Each number of an event, one after the other, by each value at the edge of what numbers can be."""
    event = msgspec.msgpack.decode(REAL[kind][0])[2][0]
    count = 1000
    for place, value in enumerate(event):
        for edge in EDGY if isinstance(value, int | float | None) and not isinstance(value, bool) else ():
            count += 1
            spoilt = [*event[:place], edge, *event[place + 1 :]]
            centre.take(f"v1/up/{SENDER[kind]}/{kind}", msgspec.msgpack.encode([7, [count], [spoilt]]))
    assert count > 1010
    assert centre.counters["packs_failed_total"] == 0


@pytest.mark.parametrize("kind", sorted(REAL))
@pytest.mark.parametrize(
    "payload",
    [
        DEEP,
        msgspec.msgpack.encode([7, [1, 2**62], []]),
        msgspec.msgpack.encode([7, [1, 99_999] * 100, []]),
        msgspec.msgpack.encode([7, [1, 1] * 60_000, []]),
        msgspec.msgpack.encode([7, [1, 100_000], [[[2] * 1000, [0] * 100_000, []]]]),
        msgspec.msgpack.encode([7, [1, 100_000], [[[], [0] * 100_000, []]]]),
        msgspec.msgpack.encode([7, [1, 50_000], [[[2], [2**63 - 1] * 20_000, [2**63 - 1] * 5_000]]]),
        msgspec.msgpack.encode([7, [1, 40_000], [[[2], [0] * 1, [0]]] * 40_000]),
        *(msgspec.msgpack.encode([7, [1]])[:-1] + head for head in HUGE),
        *(b"\x93\x07\x91\x01" + head for head in HUGE),
    ],
    ids=lambda payload: payload[:12].hex(),
)
def test_bombs_cost_little(centre: Centre, kind: str, payload: bytes) -> None:
    began = time.process_time()
    tracemalloc.start()
    try:
        with suppress(PackError):
            decode_pack(kind, payload[: MAX_PACK_BYTES + 1])
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 3 * CPU_S, "traced, it takes longer"
    began = time.process_time()
    centre.take(f"v1/up/{SENDER[kind]}/{kind}", payload)
    assert time.process_time() - began < CPU_S


def bad(number: int) -> bytes:
    """A pack whose numbers are readable and whose events are not."""
    return msgspec.msgpack.encode([11, [number], [{"no": "event"}]])


def quarantined(centre: Centre) -> list[Refused]:
    return Quarantine(centre.city.engine).list()


def test_what_comes_again_unreadable_is_given_up_and_leaves_its_boxs_window(tmp_path: Path) -> None:
    centre = Centre(tmp_path)
    try:
        assert centre.take("v1/up/air-01/readings", bad(1)) == 0, "it may have been spoilt on the way"
        assert centre.city.ledger.summary() == []
        assert centre.take("v1/up/air-01/readings", bad(1)) == 1, "a receipt goes out"
        (account,) = centre.city.ledger.summary()
        assert (account.stored, account.lost) == (0, 1)
        assert "cannot be read, kept in quarantine" in account.lost_ranges[0].reason
        (kept,) = quarantined(centre)
        assert (kept.payload, kept.times) == (bad(1), 2)
        for _ in range(3):
            centre.take("v1/up/air-01/readings", b"no numbers at all")
        assert [each.times for each in quarantined(centre)] == [3, 2], "one copy of each"
        for _ in range(3):
            assert centre.take("v1/up/ghost-01/readings", bad(2)) == 0, "the fleet's files may be put right"
    finally:
        centre.city.close()


def test_rubbish_for_ever_does_not_fill_the_disk(tmp_path: Path) -> None:
    centre = Centre(tmp_path)
    try:
        for number in range(1, 3 * KEPT_OF_A_BOX):
            for _ in range(2):
                stored = centre.take("v1/up/air-01/readings", bad(number))
            assert stored == (number <= KEPT_OF_A_BOX), "what is not kept is not confirmed"
        assert len(quarantined(centre)) == KEPT_OF_A_BOX
        assert centre.counters["quarantine_full_total"] == 2 * (2 * KEPT_OF_A_BOX - 1)
        assert centre.take("v1/up/cam-01/plates", bad(1)) == 0
        assert len(quarantined(centre)) == KEPT_OF_A_BOX + 1, "another box has its own place"
    finally:
        centre.city.close()


def test_a_fault_of_ours_costs_the_pack_its_receipt_and_nobody_else_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = Centre(tmp_path)

    def fails(*_: object) -> None:
        raise ZeroDivisionError("as a bug would")

    monkeypatch.setattr(centre.city.desk, "take", fails)
    try:
        assert centre.take("v1/up/cam-01/plates", REAL["plates"][0]) == 0
        assert centre.take("v1/up/air-01/readings", REAL["readings"][0]) == 1
        assert [each.reason for each in quarantined(centre)] == ["fault of the collector: ZeroDivisionError"]
    finally:
        centre.city.close()


def test_rubbish_in_a_batch_is_dealt_with_in_few_statements(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}")
    quarantine = Quarantine(engine)
    rubbish = [
        Refused(received=n, topic=f"v1/up/air-0{n % 3}/{'wifi' if n % 2 else 'health'}", reason="x", payload=bytes([n]))
        for n in range(200)
    ]
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _u, sql, *_: asked.append(sql))
    assert sorted(quarantine.put(rubbish)) == [0] * 50 + [1] * 150
    assert [n for n in quarantine.put(rubbish) if n] == [2] * 150
    assert len(asked) < 10
    engine.dispose()


def test_a_quarantine_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'collector.sqlite'}")
    with engine.begin() as db:
        db.execute(
            text(
                "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, received BIGINT NOT NULL, topic VARCHAR NOT NULL,"
                " reason VARCHAR(300) NOT NULL, payload BLOB NOT NULL)"
            )
        )
        db.execute(text("INSERT INTO quarantine VALUES (1, 5, 'v1/up/air-01/readings', 'why', x'01')"))
    engine.dispose()
    engine = open_database(f"sqlite:///{tmp_path / 'collector.sqlite'}")
    quarantine = Quarantine(engine)
    new = Refused(received=6, topic="v1/up/air-01/wifi", reason="x", payload=b"2")
    assert quarantine.put([new, new]) == [2, 2]
    assert [(each.received, each.times) for each in quarantine.list()] == [(6, 2), (5, 1)]
    engine.dispose()
