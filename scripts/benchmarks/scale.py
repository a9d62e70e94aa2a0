"""What several collectors take in together, with one Mosquitto, PostgreSQL and VictoriaMetrics on this machine."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import msgspec
import psutil

from scripts.benchmarks._boxes import Told
from scripts.benchmarks._played import FULL, Boxes, told
from scripts.benchmarks.figure import Figure, Line
from scripts.fault_matrix.databases import postgresql
from scripts.fault_matrix.programs import free_ports
from scripts.load_generator.centre import Centre
from scripts.load_generator.fleet import make_fleet

BOXES = 2000
COUNTS = (1, 2, 4)
SECONDS = 10.0


def measure() -> Figure:
    """Measure with one collector on SQLite, then with several on PostgreSQL."""
    lines: list[Line] = []
    for count in (0, *COUNTS):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, _Several(Path(folder), count) as centre:
            name = f"{count} on PostgreSQL" if count else "1 on SQLite"
            full = centre.play(400, samples=60, packs=40, window=4)
            live = centre.play(1500, samples=1, packs=60, window=1)
            lines += _lines(name, full, FULL, "readings")
            lines += _lines(name, live, 1, "packs of one sample")
    return Figure(
        title=f"Several collectors behind $share on {os.cpu_count()} cores",
        lines=lines,
        note="Broker, database, store, collectors and the played boxes share these cores: the first lines of each "
        "number say what the machine does, those of the processor what a collector on a machine of its own would do.",
    )


class _Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken in, and the processor seconds that it cost by part."""

    told: Told
    spent: dict[str, float]


def _lines(name: str, cost: _Cost, each: int, unit: str) -> Sequence[Line]:
    taken = cost.told.receipts * each
    collectors = sum(spent for part, spent in cost.spent.items() if part.startswith("collector"))
    database = cost.spent.get("postgresql", 0.0)
    lines = [
        Line(name=f"{name}: {unit}", value=cost.told.packs_per_s * each, unit="a second"),
        Line(name="  for each second of a collector's processor", value=taken / collectors, unit=unit),
    ]
    if database:
        lines.append(Line(name="  for each second of PostgreSQL's", value=taken / database, unit=unit))
    return (*lines, Line(name="  99 % of the receipts within", value=1000 * cost.told.p99_s, unit="ms"))


class _Several(Centre):
    """A centre with several collectors that share; with none of these, the one of `Centre` on SQLite."""

    def __init__(self, folder: Path, count: int) -> None:
        devices = list(make_fleet(folder / "fleet", BOXES, {"air": 1}))
        super().__init__(folder, folder / "fleet")
        self._boxes = Boxes(self, devices)
        self._stack = ExitStack()
        self._database = None
        if count:
            single = Path(self._commands.pop("collector")[-1]).read_text()
            port, *pages = free_ports(count + 1)
            self._database = postgresql(folder / "postgresql", folder, port)
            for number, web in enumerate(pages, 1):
                file = folder / f"collector-{number}.yaml"
                text = single.replace("kind: external,", "kind: external, share: collectors,")
                text = text.replace(f"web: {{port: {self.web_port}}}", f"web: {{port: {web}}}")
                text = text.replace(f"state: {folder / 'state'}", f"state: {folder / file.stem}")
                file.write_text(f"{text}database: {{{self._database.settings}}}\n")
                self._commands[file.stem] = [sys.executable, "-m", "collector", "run", str(file)]

    def __enter__(self) -> Self:
        if self._database is not None and self._database.program is not None:
            self._stack.callback(self._database.program.end)
            self._database.program.start()
            self._database.program.ready()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        self._stack.close()

    def _works(self, name: str, log: Path, heard: int) -> bool:
        if name.startswith("collector"):
            return b"broker: connected" in log.read_bytes()[heard:]
        return super()._works(name, log, heard)

    def play(self, boxes: int, *, samples: int, packs: int, window: int) -> _Cost:
        """Let so many boxes send; see Plan."""
        sent = self._boxes.play(boxes, samples=samples, packs=packs, seconds=SECONDS, window=window)
        with sent as played:
            before = self._spent()
            result = told(played)
            after = self._spent()
        time.sleep(1)
        return _Cost(told=result, spent={part: after[part] - before.get(part, 0) for part in after})

    def _spent(self) -> dict[str, float]:
        """Processor seconds so far by part; of PostgreSQL with the processes that serve its connections."""
        spent = {name: self.cost(name)[0] for name in self.processes}
        if self._database is not None:
            whole = psutil.Process(int((self.folder / "postgresql/data/postmaster.pid").read_text().split()[0]))
            family = [whole, *whole.children(recursive=True)]
            spent["postgresql"] = sum(sum(each.cpu_times()[:2]) for each in family)
        return spent
