"""Boxes that are played to a collector that is measured: admitted at its broker, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from collector.credentials import enrol
from edge_agent.clock import now_ms
from scripts.benchmarks._boxes import USER, Plan, Told
from scripts.load_generator.centre import Centre
from scripts.load_generator.fleet import PASSWORDS

FULL = 360
"""Readings in a full pack: 60 samples of six quantities."""
HOUR = 3_600_000
_ROOT = Path(__file__).parents[2]


class Boxes:
    """The boxes of one centre."""

    def __init__(self, centre: Centre, devices: Sequence[str]) -> None:
        """Admit them; the centre's broker has not yet started."""
        self._centre, self._devices = centre, devices
        self._password = enrol(centre.fleet / PASSWORDS, USER)
        with (centre.folder / "access").open("a") as access:
            access.write(f"\nuser {USER}\ntopic write v1/up/#\ntopic read v1/down/#\n")
        self._played = 0

    @contextmanager
    def play(
        self, boxes: int, *, samples: int, packs: int, seconds: float, window: int = 1, packs_per_s: float = 0
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Let so many boxes send, each from a new outbox; gives their process when all is prepared. See Plan."""
        self._played += 1
        plan = Plan(
            port=self._centre.mqtt_port,
            password=self._password,
            devices=self._devices[:boxes],
            outbox=self._played,
            start=now_ms() // HOUR * HOUR + HOUR,  # hours that have not ended, so that no averages are made meanwhile
            samples=samples,
            packs=packs,
            seconds=seconds,
            window=window,
            packs_per_s=packs_per_s,
        )
        command = [sys.executable, "-m", "scripts.benchmarks._boxes"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as played:
            assert played.stdin is not None and played.stdout is not None
            played.stdin.write(msgspec.json.encode(plan))
            played.stdin.close()
            played.stdout.readline()
            yield played


def told(played: subprocess.Popen[bytes]) -> Told:
    """Wait for the end of boxes that are played; what they were told."""
    assert played.stdout is not None
    return msgspec.json.decode(played.stdout.read(), type=Told)
