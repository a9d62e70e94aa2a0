"""How long a box has room, and what it lost: from its outbox to the page, the API and /metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import msgspec
import pytest
from city import FLEET, NOON
from collector_double import EXAMPLES
from events import plate_read
from msgspec.structs import replace
from sqlalchemy import Engine

from collector.ledger import Ledger
from collector.live import Live
from collector.live_box import DeviceState
from collector.outboxes_gone import ON_DISK
from collector.web import tables, wording
from collector.web.metrics import reasoned, render
from collector.web.page import TEMPLATES
from edge_agent.contract.events import BoxStatus, Event, Heartbeat, Lost, Reading, Readings
from edge_agent.filling import DAY_MS, HOUR_MS, HOURS, Filling
from edge_agent.outbox import Outbox

OFFLINE = BoxStatus(online=False, at=NOON, version="1", outbox=1)


def test_the_rate_is_known_after_ten_minutes_and_survives_quiet_nights_and_restarts(tmp_path: Path) -> None:
    filling = Filling(tmp_path / "filling")
    assert (filling.bytes_a_day, filling.days_left(10**6)) == (None, None)
    filling.add(1000, 599_000)
    assert filling.bytes_a_day is None
    filling.add(0, 1000)
    assert filling.bytes_a_day == 144_000
    assert filling.days_left(288_000) == 2
    for hour in range(1, 24):
        filling.add(24_000 if 6 <= hour < 18 else 0, HOUR_MS)
    day = filling.bytes_a_day
    assert day is not None
    assert 250_000 < day < 330_000, "half of the day is quiet"
    again = Filling(tmp_path / "filling")
    again.add(0, 600_000)
    assert again.bytes_a_day == pytest.approx(day, rel=0.1), "a restart at night forgets no day"


def test_the_rate_forgets_what_is_a_week_old(tmp_path: Path) -> None:
    filling = Filling(tmp_path / "filling")
    filling.add(10**9, HOUR_MS)
    for _ in range(HOURS):
        filling.add(1000, HOUR_MS)
    assert filling.bytes_a_day == 24_000
    assert filling.days_left(-5) == 0, "an outbox above its cap has no room"
    assert (tmp_path / "filling").stat().st_size < 2000


@pytest.mark.parametrize("damage", [b"", b"{}", b"[-5]", b"\xff", b"[1.5]"])
def test_a_damaged_file_of_the_rate_is_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "filling").write_bytes(damage)
    filling = Filling(tmp_path / "filling")
    filling.add(2400, DAY_MS)
    assert filling.bytes_a_day == 2400


@pytest.mark.parametrize("kind", ["plates", "readings"])
async def test_an_outbox_holds_what_was_foretold_and_counts_what_it_drops_by_kind(tmp_path: Path, kind: str) -> None:
    cap, put, random = 400_000, 0, Random(1)
    outbox = Outbox.open(tmp_path / "outbox.sqlite", cap)

    def event(number: int) -> Event:
        if kind == "plates":
            return plate_read(NOON + number, random.randbytes(9000))
        return Readings(at=NOON + number * 60_000, readings=tuple(Reading(n, random.randrange(3000)) for n in range(6)))

    while not outbox.dropped:
        await asyncio.gather(*(outbox.put(event(put + n)) for n in range(1 if kind == "plates" else 200)))
        put += 1 if kind == "plates" else 200
    assert set(outbox.dropped) == {kind}
    foretold = cap / (outbox.bytes_put / put)
    assert 0.75 * foretold < put < 4 * foretold, "no more than a quarter too much is promised"
    assert (await outbox.waiting()).bytes <= cap
    await outbox.close()


class Boxes:
    """A live picture with a clock that goes on by hand."""

    def __init__(self) -> None:
        self.now = NOON
        self.live = Live(FLEET, now=lambda: self.now, expected_s=180, short_days=3)

    def beat(self, at: int, days_left: float | None) -> None:
        self.live.saw("air-01", at, self.now)
        self.live.beat("air-01", replace(EXAMPLES[Heartbeat], at=at, days_left=days_left))

    @property
    def state(self) -> DeviceState:
        return next(state for state in self.live.devices() if state.box.device == "air-01")


def test_days_left_count_on_while_a_box_is_away_and_warn_in_time() -> None:
    boxes = Boxes()
    assert boxes.state.days_left is None, "not known is not told"
    boxes.beat(NOON, 4.5)
    assert (boxes.state.days_left, boxes.state.runs_short) == (4.5, False)
    boxes.live.status("air-01", OFFLINE)
    boxes.now += DAY_MS
    assert boxes.state.days_left == pytest.approx(3.5)
    boxes.now += DAY_MS
    assert boxes.state.days_left == pytest.approx(2.5)
    assert boxes.state.runs_short
    html = TEMPLATES.get_template("device.html").render(device=boxes.state, now=boxes.now)
    assert "bộ nhớ còn đủ 2,5 ngày, sau đó mất dữ liệu" in html
    assert "room for 2.5 days, then data are lost" in html
    boxes.now += 30 * DAY_MS
    assert boxes.state.days_left == 0
    boxes.live.status("air-01", replace(OFFLINE, online=True))
    boxes.beat(boxes.now, 4.5)
    assert not boxes.state.runs_short


def test_a_box_that_is_connected_is_not_short_and_a_year_is_not_counted_in_days() -> None:
    boxes = Boxes()
    boxes.beat(NOON, 0.4)
    assert not boxes.state.runs_short, "it sends"
    assert wording.room(boxes.state).en == "room for 0.4 days"
    boxes.beat(NOON + 1, 400)
    assert wording.room(boxes.state).vi == "bộ nhớ còn đủ hơn một năm"


def test_after_a_clock_ran_ahead_by_years_the_present_is_shown_again() -> None:
    boxes = Boxes()
    boxes.beat(NOON + 1500 * DAY_MS, 1)
    boxes.now += 1000
    boxes.beat(boxes.now, 77)
    assert boxes.state.days_left == 77
    seen = boxes.state.seen
    assert seen is not None
    assert seen <= boxes.now


async def test_what_a_box_lost_is_shown_at_once_by_kind_and_for_a_day() -> None:
    boxes = Boxes()
    subscription = boxes.live.subscribe(["devices"])
    boxes.live.lost("air-01", "readings", 500)
    boxes.live.lost("air-01", "readings", 20)
    boxes.live.lost("air-01", "health", 7)
    boxes.live.lost("air-01", "<b>", 7)
    boxes.live.lost("nobody", "health", 7)
    assert boxes.state.lost == {"readings": 520, "health": 7}
    (told,) = await subscription.next(1)
    assert told.item.lost == {"readings": 520, "health": 7}
    html = TEMPLATES.get_template("device.html").render(device=boxes.state, now=boxes.now)
    assert "mất 520 lần đo" in html
    boxes.now += DAY_MS
    assert boxes.state.lost == {}


def test_the_ledger_names_kinds_and_reasons_and_labels_stay_few(engine: Engine) -> None:
    full, disk = "the outbox was full", 'the store refused it: "a"\n'
    ledger = Ledger(engine)
    ledger.enter([("air-01", 7, (21, 10), None), ("air-01", 7, (1, 10), Lost(kind="health", reason=full))])
    ledger.enter([("air-01", 7, (11, 5), Lost(kind="readings", reason=disk))])
    ledger.enter([("air-01", 7, (16, 5), Lost(kind="health", reason=full))])
    (kept,) = ledger.summary()
    boxes = Boxes()
    boxes.beat(NOON, 2.5)
    boxes.live.status("air-01", replace(OFFLINE, online=True, volatile=True))
    shown = msgspec.to_builtins(tables.account(kept, boxes.state))
    assert list(shown["lost_by"]) == [
        {"kind": "health", "reason": full, "events": 15},
        {"kind": "readings", "reason": disk, "events": 5},
    ]
    assert (shown["days_left"], shown["in_memory_only"], shown["stored"]) == (2.5, True, 10)
    gone = tables.account(kept, None)
    assert (gone["days_left"], gone["in_memory_only"]) == (None, False), "a box that is no more of the fleet"
    assert reasoned(disk) == "the store refused it"
    render({f'lost{{reason="{reasoned(chr(34) + chr(10) + "x")}"}}': 1})  # no reason of a box spoils it


def test_the_ledger_sums_what_is_lost_by_kind_and_reason(engine: Engine) -> None:
    ledger = Ledger(engine)
    lost = Lost(kind="health", reason="the outbox was full")
    ledger.enter([("air-01", 7, (1, 10), lost), ("air-02", 8, (4, 2), lost), ("air-02", 8, (1, 1), None)])
    ledger.explain([("air-02", replace(OFFLINE, outbox=9, holds=(9,)))])
    assert ledger.lost_by() == {("health", "the outbox was full"): 12, ("", ON_DISK): 2}
    assert ledger.totals() == {"stored": 1, "lost": 14, "missing": 0}
