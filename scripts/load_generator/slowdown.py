"""A process that gets only a share of its time: it is stopped and continued many times a second."""

from __future__ import annotations

import os
import signal
import threading
from types import TracebackType
from typing import Self

PERIOD_S = 0.1


class Slowed:
    """While the context lasts the process runs `share` of the time, whatever the cores do; then it runs freely."""

    def __init__(self, pid: int, share: float) -> None:
        """`share` is above 0 and below 1."""
        self._pid, self._share = pid, share
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="slowdown", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._end.is_set():
                os.kill(self._pid, signal.SIGSTOP)
                self._end.wait(PERIOD_S * (1 - self._share))
                os.kill(self._pid, signal.SIGCONT)
                self._end.wait(PERIOD_S * self._share)
        except ProcessLookupError:
            pass  # it has ended
