"""A box for the journey tests: the agent's real outbox and uplink, and events that are easy to count.

    python tests/numbered_box.py DEVICE PORT PASSWORD STATE UNTIL

Event number n has the time START + n seconds; every tenth is a plate that is watched for, the others are readings.
It goes on until UNTIL events are made, then only sends. Killed and started again it goes on with the next number.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from events import plate_read

from edge_agent.contract.events import Event, Reading, Readings
from edge_agent.health import Health
from edge_agent.outbox import Outbox
from edge_agent.settings import BrokerSettings, UplinkSettings
from edge_agent.uplink import Uplink

START = 1_795_000_000_000
PLATE_EVERY = 10
PAUSE_S = 0.004


def event(number: int) -> Event:
    """The event with a number."""
    at = START + number * 1000
    if number % PLATE_EVERY:
        return Readings(at=at, readings=(Reading(2, number % 300), Reading(12, 2800 + number % 50)))
    return plate_read(at, b"\xff\xd8" + bytes(500) + b"\xff\xd9")


async def main(device: str, port: int, password: str, state: Path, until: int) -> None:
    """Make events and send them, for ever."""
    outbox = Outbox.open(state / "outbox.sqlite", 50_000_000)
    uplink = Uplink(
        device=device,
        broker=BrokerSettings(host="127.0.0.1", port=port),
        settings=UplinkSettings(resend_s=0.5, resend_max_s=1, backlog_packs_per_s=200, pack_kb=4),
        outbox=outbox,
        health=Health(),
        password=password,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(uplink.run())
        while outbox.last_number < until:
            await outbox.put(event(outbox.last_number + 1))
            await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), int(sys.argv[5])))
