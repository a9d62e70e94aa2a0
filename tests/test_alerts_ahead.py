"""No alert waits for a store that hangs or is down; and no receipt goes out before the store has the plate."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from collector_double import until
from events import PLATE
from servers import mosquitto
from test_batch import AT, Centre

from collector.alerts.watchlist import Watchlist
from collector.stores import RejectedError


def watched(folder: Path, port: int) -> Centre:
    """A centre that looks for the plate."""
    centre = Centre(folder, port)
    Watchlist(centre.engine).add(pattern=PLATE, reason="test", officer="test", expires=AT + 86_400_000, now=AT)
    return centre


async def test_plates_raise_their_alerts_while_the_store_hangs(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = watched(tmp_path, broker.port)
        async with centre.running():
            await centre.hold()
            for number in (2, 3):
                centre.send_plate(number)
                await until(lambda number=number: centre.counters["alerts_total"] == number - 1, "an alert for each", 5)
            centre.send(4)
            assert centre.receipts == [], "nothing is stored yet"
            centre.store.go_on.set()
            await until(lambda: sorted(centre.receipts) == [1, 2, 3, 4], "all is stored and confirmed")
            assert centre.counters["alerts_total"] == 2
            assert centre.account().stored == 4


async def test_plates_raise_their_alerts_between_the_tries_of_a_store_that_is_down(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = watched(tmp_path, broker.port)
        centre.store.down = True
        async with centre.running():
            for number in range(1, 40):  # until the pause between two tries is longer than an alert may take
                centre.send(number)
                if centre.counters["store_failures_total"] >= 4:
                    break
                await until(lambda: centre.counters["store_failures_total"] > 0, "the store is found down")
                await until(lambda: centre.intake.waiting == 0, "it is tried", 20)
            centre.send_plate(50)
            await until(lambda: centre.counters["alerts_total"] == 1, "the alert", 3)
            assert centre.receipts == []


async def test_what_was_dealt_with_ahead_may_come_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        centre = watched(tmp_path, broker.port)
        async with centre.running():
            await centre.hold()
            centre.send_plate(2)
            await until(lambda: centre.counters["alerts_total"] == 1, "the alert")
            centre.send_plate(2)  # its box has no receipt yet
            await until(lambda: centre.intake.waiting == 0, "it came again")
            centre.store.go_on.set()
            await until(lambda: {1, 2} <= set(centre.receipts), "both are confirmed")
            assert centre.counters["alerts_total"] == 1
            assert (centre.account().stored, centre.account().missing) == (2, 0)


async def test_a_store_that_refuses_leaves_no_batch_in_memory(tmp_path: Path) -> None:
    """What holds itself in a ring is freed by and by only, and a batch may be of hundreds of thousands of values."""
    with mosquitto(tmp_path) as broker:
        centre = Centre(tmp_path, broker.port)
        async with centre.running():
            batch = np.zeros(10)
            held = weakref.ref(batch)

            async def store(_: object) -> None:
                raise RejectedError("not that")

            gc.disable()
            try:
                with pytest.raises(RejectedError):
                    await centre.intake._meanwhile(centre.intake._client, store(batch))
                del batch
                assert held() is None
            finally:
                gc.enable()
