"""The connection to the broker: who hears that a box is there, and what is said when it cannot come in."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from collector_double import Box, CollectorDouble, until
from ports import free_port
from processes import Program, wait_until
from servers import mosquitto

from collector.credentials import enrol
from edge_agent.contract.events import Readings
from edge_agent.errors import ConfigError
from edge_agent.settings import TlsSettings


async def test_the_status_is_kept_by_the_broker_and_ends_with_the_agent(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        box = Box(tmp_path, broker.port)
        async with box.sending():
            with CollectorDouble(broker.port) as early:
                await until(lambda: bool(early.statuses), "connected")
            with CollectorDouble(broker.port) as late:
                await until(lambda: bool(late.statuses), "the broker keeps it")
                assert (late.statuses[0].online, late.statuses[0].outbox) == (True, box.outbox.id)
        with CollectorDouble(broker.port) as after:
            await until(lambda: bool(after.statuses), "the broker keeps it")
            assert not after.statuses[0].online


async def test_the_last_will_speaks_for_an_agent_that_was_killed(tmp_path: Path) -> None:
    script = Path(__file__).with_name("numbered_box.py")
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        command = [sys.executable, str(script), "air-01", str(broker.port), "any", str(tmp_path), "1"]
        with Program("agent", command, tmp_path) as agent:
            await until(lambda: bool(collector.statuses), "connected")
            agent.stop(signal.SIGKILL)
            await until(lambda: len(collector.statuses) == 2, "the last will")
        assert [status.online for status in collector.statuses] == [True, False]


async def test_after_the_broker_was_killed_everything_still_on_disk_is_sent(tmp_path: Path) -> None:
    port = free_port()
    # the box may be back before the collector hears: then what it sends comes a second time
    box = Box(tmp_path, port, backlog_packs_per_s=1000, resend_s=1.0)
    with mosquitto(tmp_path, port=port) as broker, CollectorDouble(port, answers=False) as collector:
        async with box.sending():
            await until(lambda: bool(collector.statuses), "connected")
            await box.put(Readings)
            await until(lambda: collector.heard() == [1], "under way when the broker dies")
            broker.kill()
            await until(lambda: bool(box.health.faults), "noticed")
            assert "connection" in box.health.faults[0].text
            await box.put(Readings)
            collector.answers = True
            with mosquitto(tmp_path, port=port):
                await box.until_sent()
                assert set(collector.heard()) == {1, 2}
                assert box.health.faults == ()


async def test_a_broker_that_is_not_there_or_refuses_is_told_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    box = Box(tmp_path, port, password="guessed")
    async with box.sending():
        await until(lambda: bool(box.health.faults), "said")
        assert "cannot connect" in box.health.faults[0].text
        assert "refused" in box.health.faults[0].text.lower(), "the system's own reason"
        enrol(tmp_path / "passwords", "air-01")
        config = f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}"
        with mosquitto(tmp_path, config, port):
            await until(lambda: "collector enrol" in box.health.faults[0].text, "the password is wrong")
            wait_for_end_of_connection(tmp_path)
            assert "refused us" in box.health.faults[0].text, "said after the connection has ended too"
            said = [record.message for record in caplog.records if record.levelname == "WARNING"]
            assert ["cannot connect" in line for line in said] == [True, False], "each is said once"


async def test_statuses_that_a_broker_never_acknowledges_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []

    async def let_in_and_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x00")
        heard = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while more := await reader.read(1000):
                    heard += more
        said.append(heard.count(b"v1/up/air-01/status"))
        writer.close()

    monkeypatch.setattr("edge_agent.link.RECONNECT_S", (0, 0))
    server = await asyncio.start_server(let_in_and_hang_up, "127.0.0.1", 0)
    async with server, Box(tmp_path, server.sockets[0].getsockname()[1]).sending():
        await until(lambda: len(said) >= 5, "five connections")
    assert said[:5] == [1] * 5, "the status of now, and none of before"


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_authority_that_cannot_be_read_is_a_mistake_in_the_configuration(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    box = Box(tmp_path, 1, tls=TlsSettings(ca=str(file)))
    with pytest.raises(ConfigError, match=r"broker\.tls\.ca: .*ca\.pem"):
        box.uplink()


def wait_for_end_of_connection(folder: Path) -> None:
    log = folder / "mosquitto" / "mosquitto.log"
    wait_until(lambda: "not authorised" in log.read_text(), 10, "the broker's side of it")
