"""Puts the collector together and runs it. The only file that knows all parts."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import ssl
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from aiohttp import web

from collector import certificate_watch
from collector.alerts.desk import PlateDesk
from collector.averages.ask import Averages
from collector.averages.averager import Averager
from collector.averages.paces import Paces
from collector.averages.periods import HOUR
from collector.averages.source import Source
from collector.averages.touched import Touched
from collector.batch import Sinks
from collector.broker import embedded_broker
from collector.database import shared
from collector.duty import Duty
from collector.errors import Failure
from collector.intake import Intake
from collector.ledger import Ledger
from collector.live import Live
from collector.local_time import local_day
from collector.mqtt import this_collector
from collector.news import News
from collector.quality import Quality
from collector.quarantine import Quarantine
from collector.regulator.job import Regulator
from collector.regulator.maker import CONSUMER
from collector.reports.day import Reports
from collector.retention import Retention
from collector.settings import BrokerSettings, EmbeddedBroker, Settings, SettingsError, WebSettings
from collector.shared_live import Exchange, SharedLive
from collector.shared_quality import SharedQuality
from collector.standards.exceedances import Exceedances
from collector.standards.table import Standards
from collector.standards.watch import Watch
from collector.state import broker_access, database, fleet, limits, now_ms, password_file
from collector.stores.opening import open_store
from collector.web.access import Access
from collector.web.app import make_app
from collector.web.context import Context
from collector.web.door import listen
from edge_agent.contract.broker import TlsFileError, load_pair
from edge_agent.contract.pulse import Pulse, Stuck, WatchedThread
from edge_agent.contract.sane import is_sane
from edge_agent.contract.secret_file import warn_if_exposed

log = logging.getLogger(__name__)

GARBAGE = (50_000, 20, 10)
"""How many objects more make Python look for cycles among them, instead of 700: a batch of packs makes and drops many
that are none, and what is remembered of thousands of boxes would be looked through each time."""

WORK_S = 600.0
"""A batch, a round of means or limits takes no longer, with all the time that a store may take to answer."""


async def run(settings: Settings) -> None:
    """Run the collector until the process is asked to end (SIGTERM, SIGINT).

    Raises SettingsError, and Failure or StoreError where it cannot start; any other error is a bug.
    """
    gc.set_threshold(*GARBAGE)
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.cancel)
    try:
        async with AsyncExitStack() as stack:
            await _clock_is_set()
            await _run(settings, stack)
    except asyncio.CancelledError:
        log.info("collector: ends as asked")


async def _clock_is_set() -> None:
    """Wait for the time: what comes in 1970 is deleted as too old, and who may no longer come in would be let in."""
    said = False
    while not is_sane(now_ms()):
        if not said:
            log.error("clock: the time is not set; nothing is taken in before, and the boxes keep their data")
        said = True
        await asyncio.sleep(1)


async def _run(settings: Settings, stack: AsyncExitStack) -> None:
    boxes = fleet(settings)
    engine = database(settings)
    stack.callback(engine.dispose)
    store = open_store(settings.store, Path(settings.state))
    stack.callback(store.close)
    desk = PlateDesk(engine)
    ledger = Ledger(engine)
    broker, password = await _broker(settings, stack)
    me = this_collector(broker)
    duty = Duty(engine, me)
    picture = SharedLive if shared(engine) else Live
    live = picture(boxes, now=now_ms, expected_s=settings.expected_every_s, short_days=settings.short_days)
    if isinstance(live, SharedLive):
        live.last = desk.last_alert()
    quarantine = Quarantine(engine)
    counters: Counter[str] = Counter()
    pulse = Pulse()
    steps = {"averages": HOUR, "limits": HOUR}
    if settings.regulator is not None:
        steps[CONSUMER] = settings.regulator.cycle_ms
    touched = Touched(engine, steps, duty.confirm)
    paces = Paces(engine)
    standards = Standards(limits(settings), boxes.values())
    exceedances = Exceedances(engine, lambda station: standards.of(station, local_day(now_ms())))
    pace = paces.every_ms if shared(engine) else None
    quality = Quality(settings.quality, boxes, began=now_ms(), pace=pace)
    sinks = Sinks(
        fleet=boxes,
        ledger=ledger,
        quality=quality,
        memory=SharedQuality(engine, quality, settings.quality) if shared(engine) else None,
        store=store,
        touched=touched,
        paces=paces,
        desk=desk,
        quarantine=quarantine,
        counters=counters,
    )
    thread = stack.enter_context(WatchedThread(pulse, "sinks", WORK_S))
    intake = Intake(
        broker=broker,
        password=password,
        sinks=sinks,
        live=live,
        counters=counters,
        thread=thread,
        ahead=stack.enter_context(WatchedThread(pulse, "alerts", WORK_S)),
        now=now_ms,
    )
    regulator = None
    if settings.regulator is not None:
        regulator = Regulator(
            settings.regulator,
            boxes=boxes,
            store=store,
            touched=touched,
            engine=engine,
            counters=counters,
            now=now_ms,
            duty=duty.held,
        )
    source = Source(store=store, paces=paces, rule=settings.averages.rule)
    literal = settings.averages.nowcast == "literal"
    averages = Averages(fleet=boxes, source=source, literal_nowcast=literal, now=now_ms)
    context = Context(
        fleet=boxes,
        live=live,
        store=store,
        desk=desk,
        access=Access(engine),
        ledger=ledger,
        commands=intake.commands,
        averages=averages,
        reports=Reports(
            store=store, averages=averages, standards=standards, exceedances=exceedances, quality=settings.quality
        ),
        standards=standards,
        exceedances=exceedances,
        alarm_on=settings.standards.alarm_on,
        counters=counters,
        regulator=regulator,
        now=now_ms,
    )
    watch = Watch(
        settings=settings.standards,
        standards=standards,
        fleet=boxes,
        touched=touched,
        store=store,
        exceedances=exceedances,
        thread=stack.enter_context(WatchedThread(pulse, "limits", WORK_S)),
        show=live.limits,
        duty=duty.held,
    )
    averager = Averager(
        fleet=boxes,
        touched=touched,
        source=source,
        settle_ms=settings.averages.settle_s * 1000,
        literal_nowcast=literal,
        writing=thread,
        thread=stack.enter_context(WatchedThread(pulse, "averages", WORK_S)),
        crowded=lambda: intake.waiting > 0,
        duty=duty.held,
        written=watch.written,
    )
    retention = Retention(
        keep=settings.plates,
        desk=desk,
        quarantine=quarantine,
        store=store,
        live=live,
        thread=thread,
        duty=duty.held,
    )
    await _serve(context, settings.web, stack)
    async with pulse.watched(partial(_count_stuck, counters)), asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.run(), name="intake")
        tasks.create_task(duty.run(), name="duty")
        if isinstance(live, SharedLive):
            tasks.create_task(Exchange(live=live, desk=desk, news=News(engine, me)).run(), name="exchange")
        if regulator is not None:
            tasks.create_task(regulator.run(), name="regulator")
        certificates = certificate_watch.run(certificate_watch.own_certificates(settings), counters, now_ms)
        for name, job in {
            "retention": retention.run(now_ms),
            "averages": averager.run(now_ms),
            "limits": watch.run(now_ms),
            "certificates": certificates,
        }.items():
            tasks.create_task(job, name=name)


def _count_stuck(counters: Counter[str], stuck: list[Stuck]) -> None:
    counters["stuck_tasks"] = len(stuck)


async def _broker(settings: Settings, stack: AsyncExitStack) -> tuple[BrokerSettings, str | None]:
    broker, password = broker_access(settings)
    if isinstance(settings.broker, EmbeddedBroker):
        assert password is not None
        embedded = embedded_broker(
            host=broker.host, port=broker.port, password_file=password_file(settings), collector_password=password
        )
        try:
            await stack.enter_async_context(embedded)
        except OSError as error:
            raise _cannot_listen("broker", error) from error
    return broker, password


async def _serve(context: Context, settings: WebSettings, stack: AsyncExitStack) -> None:
    tls = None
    if settings.certificate is not None and settings.key is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            load_pair(tls, settings.certificate, settings.key, at="web")
        except TlsFileError as error:
            raise SettingsError(str(error)) from error
        warn_if_exposed(settings.key)
    runner = web.AppRunner(make_app(context), access_log=None, keepalive_timeout=75)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        server = await listen(runner, settings.host, settings.port, tls)
    except OSError as error:
        raise _cannot_listen("web", error) from error
    stack.callback(server.close)
    log.info("page: http%s://%s:%s/", "s" if tls else "", settings.host, settings.port)


def _cannot_listen(part: str, error: OSError) -> Failure:
    cure = f"does another collector run? `ss -ltnp` shows who has the port; or choose another {part}.port"
    return Failure(f"{part}.port: {error.strerror or error}\n  {cure}")
