"""The city on one machine: a collector, five real agents, played sensors, a rendered street; loopback only.

./scripts/demo                 until Ctrl-C
./scripts/demo --seconds 60    stops by itself; exit 0 only if every kind of event is stored and the alert was raised
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import duckdb
from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from collector.credentials import enrol
from collector.settings import load as load_settings
from collector.state import database, now_ms, password_file
from collector.web.access import Access, Role
from edge_agent.config import load
from scripts.demonstration_view import Api, view
from scripts.simulated import simulate
from scripts.simulated_access_point import simulate_access_point
from scripts.street_clip import WATCHED_PLATE, render_clip

ROOT = Path(__file__).parent.parent
DEVICES = ROOT / "firmware_configs" / "devices"
DATA = ROOT / "demo-data"
STATIONS = ("air-01", "sea-01", "waste-01")
CAMERA, ACCESS_POINT = "cam-01", "ap-01"
BOXES = (*STATIONS, CAMERA, ACCESS_POINT)
ROLES: tuple[Role, ...] = ("technician", "officer", "police", "operator")
MEASUREMENTS = ("air", "seawater", "wastewater", "plates", "wifi", "health")
EVERY_S = 2
CLIP_SECONDS = 20
STOP_S = 15.0

console = Console()


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description="The city on one machine.")
    parser.add_argument("--seconds", type=float, help="stop by itself after so long, and judge what was stored")
    options = parser.parse_args()
    try:
        missing = asyncio.run(run(options.seconds))
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0
    if options.seconds is None:
        return 0
    if missing:
        console.print(f"[bold red]Missing:[/] {'; '.join(missing)}", soft_wrap=True)
        console.print(f"The logs of every process are in {DATA / 'logs'}")
        return 1
    console.print("[bold green]Every kind of event is stored, and the watched plate raised an alert.[/]")
    return 0


async def run(seconds: float | None) -> list[str]:
    """Start everything, show it, stop it; returns what is missing in the end."""
    shutil.rmtree(DATA, ignore_errors=True)
    (DATA / "logs").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
        ) as progress:
            step = progress.add_task("Rendering a street clip", total=None)
            clip = DATA / "street.mp4"
            await asyncio.to_thread(render_clip, clip, CLIP_SECONDS, 1)
            progress.update(step, description="Starting the collector")
            mqtt_port, web_port = free_port(1883), free_port(8080)
            settings_file = write_settings(mqtt_port, web_port)
            settings = load_settings(settings_file)
            access = Access(database(settings))
            tokens: dict[Role, str] = {role: access.issue(f"demo {role}", role, now_ms()) for role in ROLES}
            await stack.enter_async_context(process("collector", "-m", "collector", "run", str(settings_file)))
            api = await stack.enter_async_context(Api.opened(f"http://127.0.0.1:{web_port}", tokens))
            await api.ready()
            await api.watch(WATCHED_PLATE)
            for name in BOXES:
                progress.update(step, description=f"Starting {name}")
                sets = await stack.enter_async_context(surroundings(name, clip))
                password = DATA / f"{name}.password"
                password.touch(mode=0o600)
                password.write_text(enrol(password_file(settings), name))
                sets += [f"broker.port={mqtt_port}", f"broker.password_file={password}"]
                arguments = [argument for value in sets for argument in ("--set", value)]
                file = str(DEVICES / f"{name}.yaml")
                await stack.enter_async_context(process(name, "-m", "edge_agent", "run", file, *arguments))
        console.print(f"Page: [link]{api.address}/[/link]  (sign in with one of these tokens)")
        for role, token in tokens.items():
            console.print(f"  {role:11} {token}", highlight=False)
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        with Live(console=console, refresh_per_second=2, transient=seconds is None) as screen:
            while deadline is None or asyncio.get_running_loop().time() < deadline:
                screen.update(await view(api, WATCHED_PLATE))
                await asyncio.sleep(1)
        missing = await api.missing(BOXES, WATCHED_PLATE)
    return [*missing, *not_stored(DATA / "state" / "timeseries.duckdb")]


@asynccontextmanager
async def surroundings(name: str, clip: Path) -> AsyncIterator[list[str]]:
    """Play what a box observes; gives the settings that make its agent look there."""
    file = DEVICES / f"{name}.yaml"
    sets = [
        f"state={DATA / name}",
        "broker.host=127.0.0.1",
        "broker.tls=null",
        "health.every_s=5",
        "uplink.resend_s=2",
    ]
    async with AsyncExitStack() as stack:
        if name in STATIONS:
            station = load(file, sets).station
            assert station is not None
            for line, place in (await stack.enter_async_context(simulate(station, seed=name))).items():
                if isinstance(place, str):
                    sets.append(f"station.lines.{line}.port={place}")
                else:
                    sets += [f"station.lines.{line}.host={place[0]}", f"station.lines.{line}.port={place[1]}"]
            sets += [f"station.sensors.{sensor}.every_s={EVERY_S}" for sensor in station.sensors]
        elif name == CAMERA:
            sets += [f"camera.source={clip}", "camera.password_file=null", "camera.loop=true", "camera.rendered=true"]
        else:
            sets += [f"access_point.every_s={EVERY_S}"]
            sets += await stack.enter_async_context(simulate_access_point(DATA / "radio"))
        yield sets


@asynccontextmanager
async def process(name: str, *arguments: str) -> AsyncIterator[None]:
    """Run one of our programs; its log is a file; it is asked to end, and made to if it does not."""
    with (DATA / "logs" / f"{name}.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            if child.returncode is None:
                child.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


def write_settings(mqtt_port: int, web_port: int) -> Path:
    """Write the collector's settings for the demo."""
    file = DATA / "collector.yaml"
    file.write_text(
        f"""\
state: {DATA / "state"}
fleet: {DEVICES.parent}
plates: {{keep_days: 1, keep_hit_days: 1}}
broker: {{kind: embedded, port: {mqtt_port}}}
store: {{kind: duckdb}}
web: {{port: {web_port}}}
expected_every_s: 20
"""
    )
    return file


def not_stored(file: Path) -> list[str]:
    """Measurements that have no row in the store; it is asked after the collector has ended."""
    with duckdb.connect(str(file), read_only=True) as db:
        tables = {row[0] for row in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        return [
            f"nothing stored in {name}"
            for name in MEASUREMENTS
            if name not in tables or not db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # type: ignore[index]
        ]


def free_port(wanted: int) -> int:
    """The wanted loopback port if it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


if __name__ == "__main__":
    sys.exit(main())
