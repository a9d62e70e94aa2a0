"""`scripts/load`: thousands of simulated boxes against a broker and collector on this machine."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec
from rich.console import Console

from edge_agent.contract.broker import TlsFileError, TlsSettings
from edge_agent.settings import BrokerSettings
from scripts.load_generator.centre import STORES, Centre, CentreError, allow_many_files
from scripts.load_generator.drive import drive
from scripts.load_generator.fleet import make_fleet, read_fleet
from scripts.load_generator.minutes import Minutes, line, show_minutes
from scripts.load_generator.mix import FLEET, KINDS
from scripts.load_generator.plan import Plan, loopback
from scripts.load_generator.show import Progress, show
from scripts.load_generator.slowdown import Slowed
from scripts.load_generator.tally import Tally

SPARE_FILES = 200


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; status 1 if events were lost or not confirmed, 2 if the load could not be made."""
    options = _parser().parse_args(arguments)
    try:
        plan = _plan(options)
        if options.make_fleet is not None:
            made = make_fleet(options.make_fleet, plan.boxes, plan.mix)
            print(f"{len(made)} boxes in {options.make_fleet}")
            return 0
        return _run(options, plan)
    except (ValueError, OSError, CentreError, TlsFileError) as error:
        print(f"scripts/load: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, plan: Plan) -> int:
    allow_many_files(plan.boxes + SPARE_FILES)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="load-")))
        fleet = options.fleet or folder / "fleet"
        if options.centre is None and options.fleet is None:
            raise ValueError("give --centre, which starts a broker, a store and a collector, or --fleet and --port")
        if options.fleet is None:
            make_fleet(fleet, plan.boxes, plan.mix)
        boxes = dict(list(read_fleet(fleet).items())[: plan.boxes])
        centre = None
        if options.centre:
            centre = stack.enter_context(Centre(folder, fleet, options.centre, tls=options.tls))
        ca = options.ca if centre is None else centre.ca
        tls = TlsSettings(ca=str(ca)) if ca else None
        port = options.port if centre is None else centre.mqtt_port
        broker = BrokerSettings(host=loopback(options.host), port=port, tls=tls)

        def cost() -> str:
            return "" if centre is None else "collector {:.0f} s CPU, {:.0f} MB".format(*centre.cost("collector"))

        def costs_now() -> dict[str, tuple[float, float]]:
            return {} if centre is None else {name: centre.cost(name) for name in centre.processes}

        console = Console(stderr=options.json)
        console.width = max(console.width, 140)
        progress = stack.enter_context(Progress(plan, console, cost))
        minutes = Minutes(costs_now)
        slowdown = ExitStack()
        if options.slow < 1:
            if centre is None:
                raise ValueError("--slow slows the collector of --centre")
            slowdown.enter_context(Slowed(centre.processes["collector"].pid, options.slow))
        stack.push(slowdown)

        def each_second(tally: Tally, seconds: float) -> None:
            if seconds > plan.minutes * 60:
                slowdown.close()
            minute = minutes(tally, seconds)
            if minute is not None and not console.is_terminal:
                console.print(line(minute))
            progress(tally, seconds)

        result = asyncio.run(drive(boxes, plan, broker, each_second=each_second))
        costs = costs_now()
        lost = 0 if centre is None else centre.lost()
    if options.json:
        print(
            msgspec.json.encode(
                {**msgspec.to_builtins(result), "minutes": minutes.all, "cost": costs, "lost": lost}
            ).decode()
        )
    else:
        show_minutes(minutes.all, console)
        show(result, console)
        for name, (seconds, megabytes) in costs.items():
            console.print(f"{name}: {seconds:.1f} s of processor time, {megabytes:.0f} MB resident")
        if lost:
            console.print(f"[red]{lost:,} events are lost in the ledger[/]; the collector's log and quarantine say why")
    return 1 if result.not_confirmed or lost else 0


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        boxes=options.boxes,
        minutes=options.minutes,
        mix=options.mix,
        pace_s=options.pace,
        samples=options.samples,
        passes=options.passes,
        watched=options.watched,
        heartbeat_s=options.heartbeat,
        ramp=options.ramp,
        outage_h=options.outage,
        together=options.together,
        drain_s=options.drain,
    )


def _mix(text: str) -> dict[str, int]:
    """`air=2,camera=1` as shares."""
    shares = {}
    for part in text.split(","):
        kind, _, share = part.partition("=")
        if kind not in KINDS or not share.isdecimal() or not int(share):
            raise argparse.ArgumentTypeError(f"{part!r}: write shares of {', '.join(KINDS)}, such as air=2,camera=1")
        shares[kind] = int(share)
    return shares


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/load", description=__doc__)
    add = parser.add_argument
    add("--boxes", type=int, default=125, help="how many boxes (125)")
    add("--minutes", type=float, default=1, help="how long they make events (1)")
    add("--mix", type=_mix, default=FLEET, metavar="KIND=N,...", help="shares of air, water, camera, ap (the fleet's)")
    add("--pace", type=float, default=60, metavar="S", help="seconds between a station's packs (60)")
    add("--samples", type=int, default=1, help="samples in each of a station's packs (1)")
    add("--passes", type=float, default=4, help="vehicles before each camera in a minute (4)")
    add("--watched", type=float, default=0.01, metavar="SHARE", help="of the plates that are looked for (0.01)")
    add("--heartbeat", type=float, default=60, metavar="S", help="seconds between heartbeats (60); 0: none")
    add("--ramp", type=float, default=500, metavar="N", help="boxes that connect in a second (500)")
    add("--outage", type=float, default=0, metavar="HOURS", help="backlog that the boxes come with (0)")
    add("--together", action="store_true", help="stations sample on the whole minute, as real ones do")
    add("--drain", type=float, default=60, metavar="S", help="longest wait for the last receipts (60)")
    add("--slow", type=float, default=1, metavar="SHARE", help="of its time that the centre's collector gets (1)")
    add("--centre", choices=STORES, help="start Mosquitto, this store and a collector for the run")
    add("--tls", action="store_true", help="its broker speaks TLS")
    add("--folder", type=Path, help="where their files stand and stay (a temporary folder)")
    add("--make-fleet", type=Path, metavar="FOLDER", help="write a fleet's folder with passwords, and end")
    add("--fleet", type=Path, metavar="FOLDER", help="a folder that --make-fleet wrote")
    add("--host", default="127.0.0.1", help="a broker on this machine, for --fleet without --centre")
    add("--port", type=int, default=1883)
    add("--ca", type=Path, help="certificate of the authority that signed the broker's, for --fleet: with TLS")
    add("--json", action="store_true", help="the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
