"""`scripts/faults --minutes N --seed S [--stage NAME] [--faults NAME ...] [--break WHAT]`."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.fault_matrix.broken import VARIANTS
from scripts.fault_matrix.disks import can_mount
from scripts.fault_matrix.faults import all_faults
from scripts.fault_matrix.kinds import KINDS
from scripts.fault_matrix.programs import Keeper
from scripts.fault_matrix.rounds import FAULTS, HOLD_S, Round, bag, play
from scripts.fault_matrix.stage import Stage
from scripts.fault_matrix.table import Tally, show

SLICE_S = 240.0
"""So long a stage is played before the next one begins in a folder of its own."""


def main() -> int:
    """Run the command line."""
    console = Console()
    console.width = max(console.width, 140)
    faults = all_faults()
    given = _arguments(sorted(faults))
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    chosen = [faults[name] for name in given.faults or sorted(faults)]
    kinds = [kind for kind in KINDS if given.stage in (None, kind.name)]
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    console.print(f"seed {seed}; logs in {folder}")
    chance = random.Random(seed)
    real_disks = can_mount(folder)
    if not real_disks:
        console.print("no disk can be mounted here (root and loop devices are needed): none fills or loses its power")
    tally, failed = Tally(), None
    ends = time.monotonic() + given.minutes * 60
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[news]}"),
        console=console,
    ) as progress:
        bar = progress.add_task("starting", total=given.minutes * 60, news="")
        for number, kind in enumerate(cycle(kinds)):
            if time.monotonic() >= ends or failed:
                break
            stage = Stage(
                kind,
                folder / f"{number:03}-{kind.name}",
                chance.randrange(2**32),
                real_disks=real_disks,
                broken=given.broken,
            )
            try:
                stage.start()
                with Keeper(stage.programs):
                    here = bag([fault for fault in chosen if fault.targets(stage)], chance)
                    until = min(ends, time.monotonic() + SLICE_S)
                    rounds = 0
                    while time.monotonic() < until and not failed:
                        rounds += 1
                        drawn = [(f, chance.uniform(*HOLD_S)) for f in islice(here, chance.randint(*FAULTS))]
                        done = play(stage, rounds, drawn)
                        tally.add(stage, done)
                        with (stage.folder / "rounds.log").open("a") as log:
                            log.write(_told(done))
                        failed = None if done.result.good else (stage, done)
                        progress.update(
                            bar,
                            completed=given.minutes * 60 - (ends - time.monotonic()),
                            description=f"{kind.name} round {rounds}",
                            news=f"{tally.faults} faults, {tally.made} events, back in {done.return_s:.1f} s",
                        )
            finally:
                stage.close()
            if not failed:
                shutil.rmtree(stage.folder)
    show(tally, console)
    if failed is not None:
        _explain(*failed, console)
        return 1
    shutil.rmtree(folder)
    console.print(f"seed {seed}: everything holds")
    return 0


def _arguments(faults: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description="Inject faults and compare, event by event, what was made with what is stored.",
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, help="drawn and printed if it is not given")
    parser.add_argument("--stage", choices=[kind.name for kind in KINDS], help="all by turns if none is given")
    parser.add_argument("--faults", nargs="+", metavar="NAME", choices=faults, help="of: " + "; ".join(faults))
    parser.add_argument(
        "--break", dest="broken", default="", choices=list(VARIANTS), help="start a broken variant, which must fail"
    )
    return parser.parse_args()


def _told(done: Round) -> str:
    lines = [f"round {done.number}: normal after {done.return_s:.1f} s; {done.result.made} made"]
    return "\n".join([*lines, *(f"    {injected}" for injected in done.injected)]) + "\n"


def _explain(stage: Stage, done: Round, console: Console) -> None:
    result = done.result
    parts = {
        "lost": result.lost,
        "twice": result.twice,
        "never made so": result.foreign,
        "alerts missed": result.alerts_missed,
        "alerts doubled": result.alerts_doubled,
        f"not back to normal after {done.return_s:.0f} s": result.waiting,
    }
    for name, wrong in parts.items():
        if wrong:
            console.print(f"[red]{name}: {len(wrong)}")
            for line in wrong[:20]:
                console.print(f"  {line}", highlight=False)
    console.print(f"the faults before, in {stage.kind.name}:")
    console.print(_told(done), highlight=False)
    console.print(f"logs: {stage.folder}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended as asked"))  # disks are unmounted, processes end
    sys.exit(main())
