"""Sends what waits in a spool, as a program of its own that can be killed; not imported, but started.

    python tests/courier_program.py FOLDER PORT [--die-unrecorded]

FOLDER holds `collector.sqlite`. With `--die-unrecorded` it kills itself (-9) when the first file has its final name,
before that is recorded. It ends when nothing waits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from file_servers import ftp
from regulated import regulated

from collector.database import open_database
from collector.regulator.courier import Courier
from collector.regulator.files import CycleFile
from collector.regulator.spool import Spool
from collector.state import now_ms


class DyingSpool(Spool):
    """Dies where it should record."""

    def sent(self, file: CycleFile, now: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, port: int, kind: type[Spool]) -> None:
    """Send until nothing waits."""
    spool = kind(open_database(f"sqlite:///{folder / 'collector.sqlite'}"))
    settings = regulated(ftp(folder, port))
    courier = Courier("department", settings, spool, counters=Counter(), now=now_ms, first_pause_s=0.05)
    sending = asyncio.create_task(courier.run())
    while spool.waiting(settings.stations, 1):
        await asyncio.sleep(0.02)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), DyingSpool if len(sys.argv) > 3 else Spool))
