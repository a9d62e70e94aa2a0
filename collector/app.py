"""Puts the collector together and runs it. The only file that knows all parts."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import ssl
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web
from sqlalchemy import Engine

from collector.alerts.desk import PlateDesk
from collector.batch import Sinks
from collector.broker import COLLECTOR, embedded_broker
from collector.database import open_database
from collector.intake import Intake
from collector.ledger import Ledger
from collector.live import Live
from collector.quality import Quality
from collector.quarantine import Quarantine
from collector.settings import BrokerSettings, EmbeddedBroker, Settings, SettingsError, WebSettings, listed, secret
from collector.stores import Store
from collector.stores.opening import open_store
from collector.web.access import Access
from collector.web.app import make_app
from collector.web.context import Context
from edge_agent.contract.device import Box
from edge_agent.contract.fleet import read_fleet

log = logging.getLogger(__name__)

SWEEP_S = 5.0
RETENTION_S = 3600.0
DAY_MS = 86_400_000


def now_ms() -> int:
    """Milliseconds since 1970 in UTC."""
    return time.time_ns() // 1_000_000


def database(settings: Settings) -> Engine:
    """The collector's relational database, made if it is missing."""
    folder = Path(settings.state)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_database(f"sqlite:///{folder / 'collector.sqlite'}")


def password_file(settings: Settings) -> Path:
    """The boxes' MQTT passwords."""
    return Path(settings.state) / "boxes.passwords"


def fleet(settings: Settings) -> dict[str, Box]:
    """The fleet's boxes. Raises SettingsError if a file is wrong."""
    boxes, mistakes = read_fleet(Path(settings.fleet))
    if mistakes:
        raise SettingsError(listed(mistakes))
    return boxes


def broker_access(settings: Settings) -> tuple[BrokerSettings, str | None]:
    """Where the broker is and the collector's password for it; that of the embedded broker is made here."""
    if isinstance(settings.broker, BrokerSettings):
        return settings.broker, secret(settings.broker.password_file, "broker.password_file")
    file = Path(settings.state) / "collector.password"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return BrokerSettings(host=settings.broker.host, port=settings.broker.port, user=COLLECTOR), file.read_text()


async def run(settings: Settings) -> None:
    """Run the collector until the process is asked to end (SIGTERM, SIGINT)."""
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, main.cancel)
    try:
        async with AsyncExitStack() as stack:
            await _run(settings, stack)
    except asyncio.CancelledError:
        log.info("collector: ends as asked")


async def _run(settings: Settings, stack: AsyncExitStack) -> None:
    boxes = fleet(settings)
    engine = database(settings)
    stack.callback(engine.dispose)
    store = open_store(settings.store, Path(settings.state))
    stack.callback(store.close)
    desk = PlateDesk(engine)
    ledger = Ledger(engine)
    live = Live(boxes, now=now_ms, default_expected_s=settings.expected_every_s)
    live.plates(reversed(desk.plates(limit=12)))
    live.alerts(reversed(desk.alerts(limit=20)))
    counters: Counter[str] = Counter()
    sinks = Sinks(
        fleet=boxes,
        ledger=ledger,
        quality=Quality(settings.quality),
        store=store,
        desk=desk,
        quarantine=Quarantine(engine),
        counters=counters,
    )
    context = Context(
        fleet=boxes,
        live=live,
        store=store,
        desk=desk,
        access=Access(engine),
        ledger=ledger,
        counters=counters,
        now=now_ms,
    )
    broker, password = await _broker(settings, stack)
    intake = Intake(broker=broker, password=password, sinks=sinks, live=live, counters=counters, now=now_ms)
    await _serve(context, settings.web, stack)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.run(), name="intake")
        tasks.create_task(_sweep(live), name="sweep")
        tasks.create_task(_retention(settings, desk, store), name="retention")


async def _broker(settings: Settings, stack: AsyncExitStack) -> tuple[BrokerSettings, str | None]:
    broker, password = broker_access(settings)
    if isinstance(settings.broker, EmbeddedBroker):
        assert password is not None
        await stack.enter_async_context(
            embedded_broker(
                host=broker.host,
                port=broker.port,
                password_file=password_file(settings),
                collector_password=password,
            )
        )
    return broker, password


async def _serve(context: Context, settings: WebSettings, stack: AsyncExitStack) -> None:
    tls = None
    if settings.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(settings.certificate, settings.key)
    runner = web.AppRunner(make_app(context), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    stack.callback(context.live.close)
    await web.TCPSite(runner, settings.host, settings.port, ssl_context=tls).start()
    log.info("page: http%s://%s:%s/", "s" if tls else "", settings.host, settings.port)


async def _sweep(live: Live) -> None:
    while True:
        await asyncio.sleep(SWEEP_S)
        live.sweep()


async def _retention(settings: Settings, desk: PlateDesk, store: Store) -> None:
    """Delete personal data whose time is over, now and every hour."""
    keep, keep_hits = settings.plates.keep_days, settings.plates.keep_hit_days
    while True:
        now = now_ms()
        gone = await asyncio.to_thread(desk.forget, now - round(keep * DAY_MS), now - round(keep_hits * DAY_MS))
        await asyncio.to_thread(store.forget, "plates", now - round(keep * DAY_MS))
        if gone.sightings or gone.hits:
            log.info("retention: deleted %s plates and %s plates with alerts", gone.sightings, gone.hits)
        await asyncio.sleep(RETENTION_S)
