"""The collector's own clock is wrong: nothing is taken in before it can be right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from collector_double import until
from processes import Centre

from collector import app
from collector.settings import load
from collector.state import now_ms


async def test_a_collector_that_starts_in_1970_waits_for_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the plates of that time would be deleted, with their alerts, as soon as the clock is right."""
    caplog.set_level("INFO")
    monkeypatch.setattr("collector.app.now_ms", lambda: 1000)
    centre = Centre(tmp_path, "amqtt")
    running = asyncio.create_task(app.run(load(centre.settings)))
    await until(lambda: "clock: the time is not set" in caplog.text, "it says why it waits")
    await asyncio.sleep(0.2)
    assert "page:" not in caplog.text and not running.done()
    monkeypatch.setattr("collector.app.now_ms", now_ms)
    await until(lambda: "broker: connected" in caplog.text, "it begins by itself")
    running.cancel()
    await running
