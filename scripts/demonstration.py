"""The city on one machine: a collector, five real agents, played sensors, a rendered street; loopback only.

./scripts/demo                 until Ctrl-C
./scripts/demo --seconds 60    stops by itself; exit 0 only if every kind of event is stored and the alert was raised
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import duckdb
from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from scripts.demonstration_view import Api, view
from scripts.stage import Stage
from scripts.street_clip import WATCHED_PLATE, render_clip

DATA = Path(__file__).parent.parent / "demo-data"
MARK = ".demo"
"""Marks a folder as the demo's own."""
CAMERA = "cam-01"
BOXES = ("air-01", "sea-01", "waste-01", CAMERA, "ap-01")
MEASUREMENTS = ("air", "seawater", "wastewater", "plates", "wifi", "health")
EVERY_S = 2
BUSY = 503
"""A collector whose store is occupied answers so."""
CLIP_SECONDS = 28

console = Console()


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="demo", description="The city on one machine.")
    parser.add_argument("--seconds", type=float, help="stop by itself after so long, and judge what was stored")
    parser.add_argument("--folder", type=Path, default=DATA, help="for databases and logs; emptied at the start")
    options = parser.parse_args()
    try:
        missing = asyncio.run(run(options.folder.resolve(), options.seconds))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped.")
        return 0
    if options.seconds is None:
        return 0
    if missing:
        console.print(f"[bold red]Missing:[/] {'; '.join(missing)}", soft_wrap=True)
        console.print(f"The logs of every process are in {options.folder / 'logs'}", soft_wrap=True)
        return 1
    console.print("[bold green]Every kind of event is stored, and the watched plate raised an alert.[/]")
    return 0


async def run(folder: Path, seconds: float | None) -> list[str]:
    """Start everything, show it, stop it; returns what is missing in the end."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise SystemExit(f"{folder} holds other things and would be emptied: name another folder, or none")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    loop.add_signal_handler(signal.SIGTERM, this.cancel)  # the processes must end with us
    async with AsyncExitStack() as stack:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            step = progress.add_task("Rendering a street clip", total=None)
            clip = folder / "street.mp4"
            await asyncio.to_thread(render_clip, clip, CLIP_SECONDS, 1)
            progress.update(step, description="Starting the collector")
            stage = Stage(folder, mqtt_port=1883, web_port=8080)
            tokens = stage.tokens()
            await stack.enter_async_context(stage.collector())
            api = await stack.enter_async_context(Api.opened(stage.address, tokens))
            await api.ready()
            await api.watch(WATCHED_PLATE)
            watching = [
                f"camera.source={clip}",
                "camera.password_file=null",
                "camera.loop=true",
                "camera.rendered=true",
            ]
            for name in BOXES:
                progress.update(step, description=f"Starting {name}")
                sets = watching if name == CAMERA else []
                await stack.enter_async_context(stage.agent(name, every_s=EVERY_S, sets=sets))
        console.print(f"Page: [link]{stage.address}/[/link]  (sign in with one of these tokens)")
        for role, token in tokens.items():
            console.print(f"  {role:11} {token}", highlight=False)
        end = None if seconds is None else loop.time() + seconds
        with Live(console=console, refresh_per_second=2, transient=seconds is None) as screen:
            while end is None or loop.time() < end:
                try:
                    screen.update(await view(api, WATCHED_PLATE))
                except aiohttp.ClientResponseError as refused:
                    if refused.status != BUSY:
                        raise  # a busy collector answers the next time
                await asyncio.sleep(1)
        console.print()
        missing = await api.missing(BOXES, WATCHED_PLATE)
    return [*missing, *not_stored(stage.store)]


def not_stored(file: Path) -> list[str]:
    """Measurements that have no row in the store; it is asked after the collector has ended."""
    with duckdb.connect(str(file), read_only=True) as db:
        tables = {row[0] for row in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        return [
            f"nothing stored in {name}"
            for name in MEASUREMENTS
            if name not in tables or db.execute(f'SELECT count(*) FROM "{name}"').fetchall() == [(0,)]
        ]


if __name__ == "__main__":
    sys.exit(main())
