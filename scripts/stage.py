"""A collector and real agents on this machine, and what the agents observe; for the demo and the benchmarks.

Everything stands in one folder and listens on loopback; every process is stopped when the stage is left.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path

from collector.credentials import enrol
from collector.settings import load as load_settings
from collector.state import database, now_ms, password_file
from collector.web.access import Access, Role
from edge_agent.config import load
from edge_agent.station.sensor import Sensor
from scripts.simulated import simulate
from scripts.simulated_access_point import simulate_access_point

DEVICES = Path(__file__).parent.parent / "firmware_configs" / "devices"
ROLES: tuple[Role, ...] = ("technician", "officer", "police", "operator")
STOP_S = 15.0


class Stage:
    """Paths, ports and tokens of one collector."""

    def __init__(self, folder: Path, *, mqtt_port: int = 0, web_port: int = 0) -> None:
        """Write the collector's settings into a folder that exists; a port that is taken, or 0, becomes a free one."""
        self.folder = folder
        mqtt_port, web_port = _free_ports(mqtt_port, web_port)
        self.mqtt_port = mqtt_port
        self.address = f"http://127.0.0.1:{web_port}"
        self.store = folder / "state" / "timeseries.duckdb"
        self._file = folder / "collector.yaml"
        self._file.write_text(
            f"state: {folder / 'state'}\nfleet: {DEVICES.parent}\nplates: {{keep_days: 1, keep_hit_days: 1}}\n"
            f"broker: {{kind: embedded, port: {mqtt_port}}}\nstore: {{kind: duckdb}}\nweb: {{port: {web_port}}}\n"
            "expected_every_s: 20\n"
        )
        self.settings = load_settings(self._file)
        (folder / "logs").mkdir(exist_ok=True)

    def tokens(self) -> dict[Role, str]:
        """New tokens, one for each role."""
        access = Access(database(self.settings))
        return {role: access.issue(f"demo {role}", role, now_ms()) for role in ROLES}

    @asynccontextmanager
    async def collector(self) -> AsyncIterator[int]:
        """Run the collector; gives its process id."""
        async with self._process("collector", "-m", "collector", "run", str(self._file)) as pid:
            yield pid

    @asynccontextmanager
    async def agent(self, device: str, *, every_s: int, sets: Sequence[str] = ()) -> AsyncIterator[int]:
        """Play what a box observes and run its agent; gives its process id."""
        file = DEVICES / f"{device}.yaml"
        secret = self.folder / f"{device}.password"
        secret.touch(mode=0o600)
        secret.write_text(enrol(password_file(self.settings), device))
        sets = [
            f"state={self.folder / device}",
            "broker.host=127.0.0.1",
            f"broker.port={self.mqtt_port}",
            "broker.tls=null",
            f"broker.password_file={secret}",
            "health.every_s=5",
            "uplink.resend_s=2",
            "uplink.gather_s=0",
            *sets,
        ]
        async with AsyncExitStack() as stack:
            config = load(file, sets)
            if config.station is not None:
                for line, place in (await stack.enter_async_context(simulate(config.station, seed=device))).items():
                    if isinstance(place, str):
                        sets.append(f"station.lines.{line}.port={place}")
                    else:
                        sets += [f"station.lines.{line}.host={place[0]}", f"station.lines.{line}.port={place[1]}"]
                for name, sensor in config.station.sensors.items():
                    sets += [f"station.sensors.{name}.{option}" for option in hurried(sensor, every_s)]
            if config.access_point is not None:
                sets += [f"access_point.every_s={every_s}"]
                sets += await stack.enter_async_context(
                    simulate_access_point(self.folder / "radio", config.access_point.interfaces)
                )
            arguments = [argument for value in sets for argument in ("--set", value)]
            yield await stack.enter_async_context(
                self._process(device, "-m", "edge_agent", "run", str(file), *arguments)
            )

    @asynccontextmanager
    async def _process(self, name: str, *arguments: str) -> AsyncIterator[int]:
        """Run one of our programs; its log is a file; it is asked to end, and made to if it does not."""
        # compiled modules are kept, as on a box: compiling them at each start costs memory for good
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        with (self.folder / "logs" / f"{name}.log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        try:
            yield child.pid
        finally:
            if child.returncode is None:
                child.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


def hurried(sensor: Sensor, every_s: int) -> list[str]:
    """Options with which a played sensor keeps this pace: it needs no time to wake, warm up, sample or wipe."""
    rests = {"sleep": "false", "warm_up_s": "0", "wake_s": "0", "sample_s": "0", "wipe_every": "0"}
    return [f"every_s={every_s}", *(f"{key}={value}" for key, value in rests.items() if hasattr(sensor, key))]


def _free_ports(*wanted: int) -> list[int]:
    """Different loopback ports, one for each wanted: that one if it is free, else (or for 0) any."""
    with ExitStack() as probes:
        return [probes.enter_context(_bound(port)).getsockname()[1] for port in wanted]


def _bound(wanted: int) -> socket.socket:
    for port in (wanted, 0):
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return probe
        probe.close()
    raise OSError("no free port")
