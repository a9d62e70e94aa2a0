"""A link that returns after days, in small: real broker, real collector process, real outbox and uplink.

`scripts/bench stations` does the same with sixty days.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from processes import Centre, wait_until

from edge_agent.clock import now_ms
from edge_agent.contract.quantities import BY_NAME
from scripts.benchmarks._island import SIX
from scripts.benchmarks._outage import MINUTE, outage
from scripts.benchmarks._return import carry_home, fill

DAYS, SENSORS = 3, 3


@pytest.fixture
def centre_of_box(tmp_path: Path) -> Iterator[tuple[Centre, str]]:
    """A collector on a broker that knows air-01 by the password."""
    centre = Centre(tmp_path, "mosquitto")
    assert centre.mosquitto is not None
    password = centre.enrol("air-01")
    with centre.mosquitto, centre.collector:
        centre.ready()
        yield centre, password


def stored(centre: Centre, start: int) -> dict[int, tuple[float, ...]]:
    """Minute: the six values, of the outage alone, as the ended collector left them."""
    names = ", ".join(SIX)
    with closing(duckdb.connect(str(centre.state / "timeseries.duckdb"), read_only=True)) as db:
        rows = db.execute(
            f"SELECT epoch_ms(time), {names} FROM air WHERE time < make_timestamp(?) AND station = 'air-01'",
            [(start + DAYS * 1440 * MINUTE) * 1000],
        ).fetchall()
        (beats,) = db.execute("SELECT count(*) FROM health WHERE device = 'air-01'").fetchone()
    assert beats == DAYS * 1440, "and every heartbeat"
    assert len(rows) == len({row[0] for row in rows})
    return {row[0]: row[1:] for row in rows}


def made(start: int) -> dict[int, tuple[float, ...]]:
    """What the outage's sensors gave."""
    values: dict[int, dict[str, float]] = {}
    numbers = {BY_NAME[name].number: BY_NAME[name] for name in SIX}
    for hour in outage(DAYS, sensors=SENSORS, start=start):
        for event in hour:
            for reading in getattr(event, "readings", ()):
                quantity = numbers[reading.quantity]
                values.setdefault(event.at, {})[quantity.name] = quantity.value(reading.ticks)
    return {at: tuple(row[name] for name in SIX) for at, row in values.items()}


@pytest.mark.parametrize("killed", [False, True])
async def test_an_outage_comes_home_whole_and_new_samples_do_not_wait(
    tmp_path: Path, centre_of_box: tuple[Centre, str], killed: bool
) -> None:
    centre, password = centre_of_box
    start = now_ms() // MINUTE * MINUTE - DAYS * 1440 * MINUTE
    path = tmp_path / "outbox.sqlite"
    events = await fill(path, DAYS, sensors=SENSORS, start=start)
    assert events == DAYS * 1440 * (SENSORS + 1)

    def kill_on_the_way() -> None:
        known = "SELECT coalesce(sum(last - first + 1), 0) FROM ledger_runs"
        wait_until(lambda: centre.count(known) > events // 4, 60, "a quarter is stored")
        assert centre.count(known) < events
        centre.collector.kill()

    async with asyncio.TaskGroup() as tasks:
        if killed:
            tasks.create_task(asyncio.to_thread(kill_on_the_way))
        home = await carry_home(path, device="air-01", port=centre.mqtt_port, password=password, limit_s=100)
    assert home.last_number > events
    if not killed:
        assert max(home.delays) < 5, "new samples arrive within seconds"
    runs = "SELECT coalesce(sum(last), 0) FROM ledger_runs WHERE first = 1"  # of the outage's start, and of that now
    wait_until(lambda: centre.count(runs) == home.last_number, 10, "the ledger knows every number")
    assert centre.count("SELECT count(*) FROM ledger_runs") == 2
    assert centre.count("SELECT count(*) FROM ledger_lost") == 0
    centre.collector.stop(signal.SIGTERM)
    assert stored(centre, start) == made(start), "every value, none lost or doubled"
