"""The live picture: states, bounds, subscribers, and what a restart remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from city import FLEET, HOUR, NOON, City, plate
from collector_double import EXAMPLES
from msgspec.structs import replace
from sqlalchemy import Engine, text

from collector.alerts.desk import Alert, PlateDesk
from collector.alerts.sightings import Sighting, sighting
from collector.live import LAST_ALERTS, Live
from collector.live_box import DeviceState
from collector.news import News
from collector.shared_live import Exchange, SharedLive
from collector.subscription import WAITING_ALERTS, Change, Subscription
from collector.web.app import make_app
from edge_agent.contract.events import BoxStatus, Calibration, Heartbeat

SAFETY_S = 10


def test_the_live_picture_stays_small_and_current() -> None:
    now = NOON
    live = Live(FLEET, now=lambda: now, expected_s=60)
    states = lambda: {state.box.device: state.state for state in live.devices()}  # noqa: E731
    assert set(states().values()) == {"never"}
    live.saw("air-01", NOON + 10 * HOUR, NOON)  # its clock runs ahead
    live.saw("ghost-01", NOON, NOON)
    assert states()["air-01"] == "online"
    now += 61_000
    assert states()["air-01"] == "late"
    live.status("air-01", BoxStatus(online=False, at=NOON, version="1", outbox=1))
    assert states()["air-01"] == "offline"
    live.saw("air-01", now + 1000, now + 1000)  # it speaks after its last will
    now += 2000
    assert states()["air-01"] == "online"
    live.status("sea-01", BoxStatus(online=True, at=NOON, version="1", outbox=1))
    assert states()["sea-01"] == "online"
    now += 61_000
    assert states()["sea-01"] == "late"  # connected, but nothing ever came


def test_what_is_under_calibration_is_shown_until_it_ends() -> None:
    now = NOON
    live = Live(FLEET, now=lambda: now)

    def beat(at: int, *calibrating: Calibration) -> Heartbeat:
        return replace(EXAMPLES[Heartbeat], at=at, calibrating=calibrating)

    def shown() -> tuple[Calibration, ...]:
        return next(state.calibrating for state in live.devices() if state.box.device == "sea-01")

    ph = Calibration(sensor="ph", since=NOON - 1000, until=NOON + 60_000, by="minh")
    odd = (replace(ph, until=2**62), replace(ph, since=-1))
    assert shown() == ()
    live.beat("sea-01", beat(NOON, ph, *odd))
    live.beat("unknown", beat(NOON, ph))
    assert shown() == (ph,)
    live.beat("sea-01", beat(NOON - 5000))
    assert shown() == (ph,), "an older report says nothing new"
    now += 60_000
    assert shown() == ()
    live.beat("sea-01", beat(now, replace(ph, until=now + 1)))
    live.beat("sea-01", beat(now + 1))
    assert shown() == ()


async def test_a_burst_is_told_as_what_it_comes_to() -> None:
    now = NOON
    live = Live(FLEET, now=lambda: now)
    subscription = live.subscribe(["devices", "plates"])
    for i in range(1000):
        now += 1000
        live.saw("air-01", now, now)
        live.plates([sighting(FLEET["cam-01"], 7, i, plate(at=NOON + i), now)])
    told = [change.item async for change in waiting(subscription)]
    assert [item.seen for item in told if isinstance(item, DeviceState)] == [now]
    assert [item.number for item in told if isinstance(item, Sighting)] == list(range(988, 1000))
    assert not subscription.ended


async def waiting(subscription: Subscription) -> AsyncIterator[Change]:
    """What waits for a subscriber now."""
    while changes := await subscription.next(0.01):
        for change in changes:
            yield change


async def test_a_slow_subscriber_is_dropped_and_others_are_not(city: City) -> None:
    city.watch("68A12345")
    slow, quick, other = (city.live.subscribe([topic]) for topic in ("alerts", "alerts", "devices"))
    for number in range(WAITING_ALERTS + 1):
        assert not slow.ended
        city.arrive(number, plate())
        (change,) = await quick.next(SAFETY_S)
        assert isinstance(change.item, Alert) and change.item.seen.number == number
    assert (slow.ended, quick.ended, other.ended) == (True, False, False)
    assert await slow.next(SAFETY_S) == []
    assert (city.live.subscribers, city.live.dropped_subscribers) == (2, 1)


async def test_alerts_that_others_showed_before_their_intake_told_them_are_shown_once(city: City) -> None:
    city.watch("68A12345")
    shared = SharedLive(FLEET, now=lambda: NOON)
    subscription = shared.subscribe(["alerts"])
    raised = city.desk.take(FLEET["cam-01"], 7, [(number, plate()) for number in range(3 * LAST_ALERTS)], NOON)
    told: list[str] = []
    for _ in range(2):
        shared.kept(city.desk.alerts_after(shared.last, 1000))
        told += [change.key async for change in waiting(subscription)]
        shared.alerts(raised)
        told += [change.key async for change in waiting(subscription)]
    assert told == [str(alert.id) for alert in raised]


async def test_alerts_and_news_go_on_where_an_older_database_was_put_back(engine: Engine) -> None:
    desk, shared = PlateDesk(engine), SharedLive(FLEET, now=lambda: NOON)
    desk.watchlist.add(pattern="68A12345", reason="x", officer="y", expires=NOON + HOUR, now=NOON)
    exchange = Exchange(live=shared, desk=desk, news=News(engine, "here"))
    subscription = shared.subscribe(["alerts"])
    for number in (1, 2):
        desk.take(FLEET["cam-01"], 7, [(number, plate())], NOON)
    exchange.news._heard = 500
    await exchange.look()
    assert [change.key async for change in waiting(subscription)] == ["1", "2"]

    with engine.begin() as older:
        older.execute(text("DELETE FROM alerts WHERE id = 2"))
        again = "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'alerts'"
        older.execute(text(again if engine.dialect.name == "sqlite" else "SELECT setval('alerts_id_seq', 1)"))
    await exchange.look()
    desk.take(FLEET["cam-01"], 7, [(3, plate())], NOON + 1)
    await exchange.look()
    assert [change.key async for change in waiting(subscription)] == ["2"]
    assert exchange.news._heard < 500, "news that others tell from now on are heard"


async def test_a_restarted_collector_shows_what_was_last(city: City) -> None:
    city.watch("68A12345")
    city.measure("air-01", "no2", [20.0], [1])
    city.measure("air-01", "pm2_5", [20.0, 999.0], [1, 4])
    for number in range(20):
        city.arrive(number, plate(at=NOON + number))
    fresh = Live(FLEET, now=lambda: NOON)
    context = msgspec.structs.replace(city.context, live=fresh)
    app = make_app(context)
    app.freeze()
    await app.startup()
    assert [seen.number for seen in fresh.last_plates()] == list(range(19, 7, -1))
    assert [alert.id for alert in fresh.last_alerts()] == list(range(20, 0, -1))
    (station,) = fresh.stations()
    assert [(r.quantity, r.at, r.value, r.flag) for r in station.readings] == [
        ("pm2_5", NOON, 999.0, 4),
        ("no2", NOON, 20.0, 1),
    ]
    await app.cleanup()


async def test_what_is_no_alert_is_gathered_and_alerts_pass_it(city: City) -> None:
    city.watch("68A12345")
    subscription = city.live.subscribe(["devices", "alerts"])
    city.live.saw("air-01", NOON, NOON)
    (first,) = await subscription.next(SAFETY_S)
    assert first.key == "air-01", "nothing is gathered where all is quiet"
    city.live.saw("sea-01", NOON, NOON)
    city.arrive(1, plate())
    told = await subscription.next(SAFETY_S)
    assert [change.topic for change in told] == ["alerts"]
    rest = [change async for change in waiting(subscription)]
    assert rest == [], "what is no alert is told once a second"
    while not rest:
        rest = await subscription.next(SAFETY_S)
    assert "sea-01" in [change.key for change in rest]
