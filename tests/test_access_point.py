"""The access point's agent: counters, leases, pseudonyms, windows, and the whole way against real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.access_point import leases, traffic, watch
from edge_agent.access_point.clients import Client
from edge_agent.access_point.pseudonym import Pseudonyms, local_day
from edge_agent.access_point.settings import AccessPointSettings, SocketSettings
from edge_agent.access_point.traffic import Counters
from edge_agent.contract.events import WifiUsage
from edge_agent.contract.packs import encode_pack
from edge_agent.errors import FrameError
from edge_agent.health import Health
from scripts.simulated_access_point import Radio, counters_text, simulate_access_point

GOLDEN = Path(__file__).parent / "golden" / "access_point"
NOON = 1_795_323_600_000
"""2026-11-22 12:00 on the island, 05:00 UTC."""
DAY = 86_400_000


def golden(name: str) -> str:
    return (GOLDEN / name).read_text()


# counters and leases


def test_interface_counters() -> None:
    found = traffic.parse(golden("proc_net_dev.txt"))
    assert found["wlan0"] == Counters(1234567890, 987654321)
    assert found["wlan1"] == Counters(4294967295, 0)
    assert set(found) == {"lo", "eth0", "wlan0", "wlan1"}
    assert "lo" in traffic.parse(Path("/proc/net/dev").read_text())
    assert traffic.parse(counters_text({"wlan0": Radio(Random(1), 2)})) == {"wlan0": Counters(0, 0)}


@pytest.mark.parametrize(
    "line", ["wlan0", "wlan0: 1 2 3", "wlan0: x 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6", "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6"]
)
def test_other_text_is_no_counters(line: str) -> None:
    with pytest.raises(FrameError):
        traffic.parse(f"heading\nheading\n{line}\n")


@pytest.mark.parametrize(
    ("before", "now", "growth"),
    [
        (5, 5, 0), (5, 9, 4),
        (2**32 - 10, 5, 15),  # wrapped
        (3_000_000_000, 1000, 1000),  # too far from the end to have wrapped: begun anew
        (2**32 - 10, 2**31, 2**31),  # too much since: begun anew
        (2**40, 7, 7),  # counts with 64 bits, so it cannot have wrapped at 2**32
    ],
)  # fmt: skip
def test_growth_of_a_counter(before: int, now: int, growth: int) -> None:
    assert traffic.grown(before, now) == growth


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**30 - 1), max_size=20))
def test_a_wrapping_counter_loses_nothing(start: int, steps: list[int]) -> None:
    counter, total = start, 0
    for step in steps:
        after = (counter + step) % 2**32
        total += traffic.grown(counter, after)
        counter = after
    assert total == sum(steps)


def test_leases_that_are_valid() -> None:
    text = golden("dhcp_leases.txt")
    assert leases.count_valid(text, 1_620_788_342) == 3
    assert leases.count_valid(text, 1_620_788_343) == 2
    assert leases.count_valid(text, 2_000_000_000) == 1  # one has no end
    assert leases.count_valid("", 0) == 0


# pseudonyms


MAC = "20:a6:0c:b2:da:10"


def test_a_pseudonym_holds_for_the_local_day_and_a_restart(tmp_path: Path) -> None:
    first = Pseudonyms(tmp_path)
    pseudonym = first.of(MAC, NOON)
    assert len(pseudonym) == 8
    assert first.of(MAC, NOON + 11 * 3_600_000) == pseudonym
    assert Pseudonyms(tmp_path).of(MAC, NOON + 1000) == pseudonym
    assert first.of("20:a6:0c:b2:da:11", NOON) != pseudonym


def test_the_key_changes_at_local_midnight_and_yesterday_s_is_gone(tmp_path: Path) -> None:
    midnight = NOON + 12 * 3_600_000
    assert (local_day(midnight - 1), local_day(midnight)) == (local_day(NOON), local_day(NOON) + 1)
    pseudonyms = Pseudonyms(tmp_path)
    today = pseudonyms.of(MAC, midnight - 1)
    [file] = tmp_path.iterdir()
    key = file.read_text().split()[1]
    assert pseudonyms.of(MAC, midnight) != today
    [file] = tmp_path.iterdir()
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Pseudonyms(tmp_path).of(MAC, midnight + DAY) not in (today, pseudonyms.of(MAC, midnight))


def test_two_boxes_name_the_same_phone_differently(tmp_path: Path) -> None:
    assert Pseudonyms(tmp_path / "a").of(MAC, NOON) != Pseudonyms(tmp_path / "b").of(MAC, NOON)


@pytest.mark.parametrize("damage", ["", "20000", "x y", "20779 00", "20779 " + "zz" * 32])
def test_a_damaged_key_file_is_replaced(tmp_path: Path, damage: str) -> None:
    (tmp_path / "pseudonym-key").write_text(damage)
    pseudonym = Pseudonyms(tmp_path).of(MAC, NOON)
    assert Pseudonyms(tmp_path).of(MAC, NOON) == pseudonym


def test_where_no_key_can_be_kept_it_lives_in_memory(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    pseudonyms = Pseudonyms(tmp_path / "state")
    assert pseudonyms.of(MAC, NOON) == pseudonyms.of(MAC, NOON)


# windows


def look(counters: dict[str, tuple[int, int]], seen: dict[str, list[Client]]) -> watch.Look:
    return watch.Look(counters={name: Counters(*pair) for name, pair in counters.items()}, clients=seen, leases=3)


def test_a_window_counts_what_happened_in_it(tmp_path: Path) -> None:
    """One stayed, one came, one went, one moved to the other radio, one came back with its counter begun anew."""
    stayed, came, went, moved, back = (f"02:00:00:00:00:0{i}" for i in range(5))
    before = look(
        {"wlan0": (1000, 5000), "wlan1": (10, 10)},
        {"wlan0": [Client(mac=stayed, rx=100, tx=200, signal=-50), Client(mac=went, rx=9, tx=9),
                   Client(mac=moved, rx=70, tx=70), Client(mac=back, rx=5000, tx=5000)],
         "wlan1": []},
    )  # fmt: skip
    after = look(
        {"wlan0": (1600, 5900), "wlan1": (5, 60), "wlan2": (999, 999)},
        {"wlan0": [Client(mac=stayed, rx=150, tx=900, signal=-55), Client(mac=moved, rx=75, tx=70, signal=-80),
                   Client(mac=back, rx=40, tx=60)],
         "wlan1": [Client(mac=came, rx=11, tx=12, signal=-60), Client(mac=moved, rx=20, tx=30, signal=-45)],
         "wlan2": [Client(mac="02:00:00:00:00:0a", rx=10**9, tx=10**9)]},
    )  # fmt: skip
    pseudonyms = Pseudonyms(tmp_path)
    usage = watch.usage(before, after, NOON, 60, pseudonyms)
    assert (usage.at, usage.seconds, usage.leases) == (NOON, 60, 3)
    assert (usage.rx, usage.tx) == (600 + 5, 900 + 50)  # wlan1's received counter began anew; wlan2 has no beginning
    by_pseudonym = {client.pseudonym: (client.rx, client.tx, client.signal) for client in usage.clients}
    assert by_pseudonym == {
        pseudonyms.of(stayed, NOON): (50, 700, -55),
        pseudonyms.of(came, NOON): (11, 12, -60),
        pseudonyms.of(moved, NOON): (5 + 20, 0 + 30, -45),
        pseudonyms.of(back, NOON): (40, 60, None),
        pseudonyms.of("02:00:00:00:00:0a", NOON): (0, 0, None),
    }
    assert [client.pseudonym for client in usage.clients] == sorted(by_pseudonym)


def test_no_address_leaves_the_box(tmp_path: Path) -> None:
    seen = {"wlan0": [Client(mac=MAC, rx=1, tx=1)]}
    usage = watch.usage(look({"wlan0": (0, 0)}, seen), look({"wlan0": (1, 1)}, seen), NOON, 60, Pseudonyms(tmp_path))
    payload = encode_pack(1, "wifi", [(1, usage)])
    assert usage.clients
    assert bytes.fromhex(MAC.replace(":", "")) not in payload
    assert MAC.encode() not in payload
    assert all(MAC not in file.read_text() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("at_ms", "every_s", "seconds"),
    [
        (0, 60, 60),
        (1_000, 60, 59),
        (59_999, 60, 60.001),
        (31_000, 60, 89),
        (30_000, 60, 30),
        (400, 1, 0.6),
        (600, 1, 1.4),
    ],
)
def test_windows_end_on_whole_multiples(at_ms: int, every_s: int, seconds: float) -> None:
    assert watch.until_next(at_ms, every_s) == pytest.approx(seconds)


@contextlib.asynccontextmanager
async def watching(
    settings: AccessPointSettings, state: Path, health: Health
) -> AsyncIterator[asyncio.Queue[WifiUsage]]:
    events: asyncio.Queue[WifiUsage] = asyncio.Queue()
    task = asyncio.create_task(watch.run(settings, state, events.put, health))
    try:
        yield events
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def settings_of(sets: list[str]) -> AccessPointSettings:
    values = dict(setting.removeprefix("access_point.").split("=", 1) for setting in sets)
    return AccessPointSettings(
        interfaces=("wlan0", "wlan1"),
        hostapd=SocketSettings(folder=values["hostapd"].removeprefix("{by: socket, folder: ").removesuffix("}")),
        traffic=values["traffic"],
        leases=values["leases"],
        every_s=1,
    )


async def test_the_whole_way_from_sockets_to_events(tmp_path: Path) -> None:
    health = Health()
    async with asyncio.timeout(30), simulate_access_point(tmp_path / "radio", guests=5) as sets:
        settings = settings_of(sets)
        start = traffic.parse(Path(settings.traffic).read_text())
        async with watching(settings, tmp_path / "state", health) as events:
            usages = [await events.get() for _ in range(3)]
        end = traffic.parse(Path(settings.traffic).read_text())
    assert health.faults == ()
    assert all(usage.seconds >= 1 for usage in usages)
    assert 0 < sum(usage.tx for usage in usages) <= sum(end[name].tx - start[name].tx for name in start)
    assert all(5 <= len(usage.clients) <= 20 for usage in usages)
    assert all(usage.leases >= 5 for usage in usages)
    stayed = [{client.pseudonym for client in usage.clients} for usage in usages]
    assert stayed[0] & stayed[1] & stayed[2]


async def test_faults_start_and_end_and_no_window_is_made_up(tmp_path: Path) -> None:
    health = Health()
    async with asyncio.timeout(60), simulate_access_point(tmp_path / "radio") as sets:
        settings = settings_of(sets)
        assert isinstance(settings.hostapd, SocketSettings)
        control = Path(settings.hostapd.folder)
        async with watching(settings, tmp_path / "state", health) as events:
            await events.get()
            (control / "wlan1").rename(control / "gone1")
            await until(lambda: [fault.part for fault in health.faults] == ["hostapd wlan1"])
            while not events.empty():
                events.get_nowait()
            half = await events.get()  # the other radio goes on
            assert half.clients
            (control / "wlan0").rename(control / "gone0")
            await until(lambda: len(health.faults) == 2)
            await asyncio.sleep(2.2)
            while not events.empty():
                events.get_nowait()
            for name in ("0", "1"):
                (control / f"gone{name}").rename(control / f"wlan{name}")
            after = await events.get()
            assert after.seconds >= 3  # the window that nobody saw the end of is part of the next
            await until(lambda: not health.faults)
        settings = replace(settings, interfaces=("wlan0", "wlan7"), leases=f"{settings.leases}x")
        async with watching(settings, tmp_path / "state", health) as events:
            event = await events.get()
            assert event.leases == 0
            assert {fault.part for fault in health.faults} == {"hostapd wlan7", "traffic", "leases"}
            assert "it knows: wlan0, wlan1" in next(fault.text for fault in health.faults if fault.part == "traffic")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)
