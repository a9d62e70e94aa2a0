"""`scripts/faults [--minutes N] [--seed S] [--stage NAME] [--faults NAME ...] [--break WHAT]`."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.fault_matrix.broken import VARIANTS
from scripts.fault_matrix.disks import can_mount
from scripts.fault_matrix.faults import all_faults
from scripts.fault_matrix.kinds import KINDS
from scripts.fault_matrix.rounds import Round
from scripts.fault_matrix.run import LONG_RUN_S, Failure, Run
from scripts.fault_matrix.stage import Stage
from scripts.fault_matrix.table import show

NAMED = 20
"""Numbers that are wrong, named one by one."""


def main() -> int:
    """Run the command line; 0 only if everything holds."""
    console = Console()
    console.width = max(console.width, 140)
    faults = all_faults()
    given = _arguments(sorted(faults))
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    console.print(f"seed {seed}; logs in {folder}", highlight=False)
    real_disks = can_mount()
    if not real_disks:
        console.print("no disk can be mounted here (root and loop devices are needed): none fills or loses its power")
    seconds = given.minutes * 60
    run = Run(
        folder,
        seed,
        [faults[name] for name in given.faults or sorted(faults)],
        real_disks=real_disks,
        broken=given.broken,
        long=seconds >= LONG_RUN_S,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[news]}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=seconds, news="")

        def told(stage: Stage, done: Round) -> None:
            task = progress.tasks[0]
            where = f"{stage.kind.name} round {done.number}"
            news = f"{run.tally.faults} faults, {run.tally.made} events, back in {done.return_s:.1f} s"
            progress.update(bar, completed=task.elapsed, description=where, news=news)
            if not console.is_terminal:
                console.print(f"{task.elapsed or 0:.0f} s: {where}: {news}", highlight=False)

        kinds = [kind for kind in KINDS if given.stage in (None, kind.name)]
        failure = run.for_a_while(kinds, seconds, told)
    show(run.tally, console)
    if failure is not None:
        explain(failure, console)
        return 1
    shutil.rmtree(folder)
    console.print(f"seed {seed}: everything holds", highlight=False)
    return 0


def explain(failure: Failure, console: Console) -> None:
    """Say which numbers of which box are wrong, what was done just before, and where the logs are."""
    stage, done = failure
    for what, wrong in done.findings.items():
        console.print(f"[red]{what}: {len(wrong)}", highlight=False)
        for line in wrong[:NAMED]:
            console.print(f"  {line}", highlight=False)
    console.print(f"the faults before, in {stage.kind.name}:\n{done}\nlogs: {stage.folder}", highlight=False)


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
    given = parser.parse_args()
    if not given.minutes > 0:
        parser.error(f"--minutes {given.minutes:g}: it must be above 0")
    return given


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended as asked"))  # disks are unmounted, processes end
    sys.exit(main())
