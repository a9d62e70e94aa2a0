"""Two agents never work with one state folder, and a name that two boxes use is noticed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from collector_double import EXAMPLES, CollectorDouble, HandClock, until
from processes import Program
from servers import mosquitto
from test_agent import station

from edge_agent.contract.events import Readings
from edge_agent.errors import ConfigError
from edge_agent.health import Health
from edge_agent.namesake import GONE_S, GRACE_S, Namesake
from edge_agent.outbox import Outbox
from edge_agent.state_lock import claim_state, lock_state


def test_a_folder_is_free_again_when_its_agent_ends(tmp_path: Path) -> None:
    with lock_state(tmp_path / "state"), pytest.raises(ConfigError, match=r"another agent works .* process \d+"):
        lock_state(tmp_path / "state")
    lock_state(tmp_path / "state").close()


async def test_a_second_agent_says_who_has_the_folder_and_ends(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, CollectorDouble(broker.port) as collector:
        async with station(tmp_path, broker.port, tmp_path / "state") as first:
            await until(lambda: bool(collector.heard()), "the first runs")
            (tmp_path / "second").mkdir()
            second = Program("second", first.command, tmp_path / "second")
            with second:
                await until(lambda: "another agent works with this folder" in second.log.read_text(), "it says so")
                assert str(first.pid) in second.log.read_text()
                assert second.wait(20) == 78, "as any mistake of configuration: systemd does not try again"
            heard = len(collector.heard())
            await until(lambda: len(collector.heard()) > heard, "the first goes on")
            first.stop(signal.SIGKILL)
            first.start()
            heard = len(collector.heard())
            await until(lambda: len(collector.heard()) > heard, "a lock dies with its process")
            assert "another agent" not in first.log.read_text()


def test_receipts_for_what_another_sent_are_a_fault_until_they_cease() -> None:
    health, clock = Health(), HandClock()
    namesake = Namesake("air-01", (7, 8), health, clock)
    namesake.note(9)
    assert (health.faults, health.counters["uplink.foreign_receipts"]) == ((), 1), "of what the last start had sent"
    clock.at += GRACE_S
    namesake.note(7)
    assert health.faults == (), "of ours, which was confirmed before"
    namesake.note(9)
    (fault,) = health.faults
    assert "another box uses the name air-01" in fault.text
    clock.at += GONE_S
    namesake.look()
    assert len(health.faults) == 1
    clock.at += 1
    namesake.look()
    assert health.faults == ()


def test_events_of_another_box_are_not_sent_as_its_own(tmp_path: Path) -> None:
    note = tmp_path / "device"
    claim_state(tmp_path, "air-01", waits=True)
    claim_state(tmp_path, "air-01", waits=True)
    with pytest.raises(ConfigError, match=r"holds events of air-01 .* this box is air-02\n.*\.air-01, and start again"):
        claim_state(tmp_path, "air-02", waits=True)
    claim_state(tmp_path, "air-02", waits=False)
    assert note.read_text() == "air-02\n", "all of it was sent: the folder is anybody's"
    note.write_bytes(b"\xff\0")
    claim_state(tmp_path, "air-01", waits=True)
    assert note.read_text() == "air-01\n", "a damaged note stops nobody"


async def test_a_card_copied_from_another_box_is_said_with_the_cure(tmp_path: Path) -> None:
    state = tmp_path / "state"
    outbox = Outbox.open(state / "outbox.sqlite", 10**6)
    await outbox.put(EXAMPLES[Readings])
    await outbox.close()
    claim_state(state, "air-77", waits=True)
    async with station(tmp_path, 1, state) as agent:
        assert await asyncio.to_thread(agent.wait, 20) == 78
        assert "holds events of air-77" in agent.log.read_text()
        agent.start()
