"""The processes of a stage: started, frozen, killed by their id; who ends by himself is started again, as systemd does.

Every child dies with the matrix, whatever becomes of it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

RESTART_S = 1.0
"""Pause before a program that ended by itself is started again."""
LOOK_S = 0.2
END_S = 20.0
# a child dies with the thread that started it, so this thread lives as long as the matrix
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starter")


class Program:
    """One process; safe to use from several threads."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        port: int = 0,
        rights: Sequence[str] = (),
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        """`port` is where it takes connections when it is ready; `rights` are options of setpriv."""
        self.name = name
        self.log = folder / f"{name}.log"
        self.wanted = False
        """Whether it is to be started again when it ends by itself."""
        self.ended: list[tuple[float, int]] = []
        """When (time.time) it ended by itself, and with which status."""
        self.starts = 0
        self.port = port
        self._command = ["setpriv", "--pdeathsig", "KILL", *rights, "--", *command]
        self._stop = stop
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    @property
    def alive(self) -> bool:
        """Whether it runs, frozen or not."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it unless it runs; its output is added to the log."""
        with self._lock:
            self.wanted = True
            if not self.alive:
                self._child = _STARTER.submit(self._spawn).result()
                self.starts += 1

    def ready(self, limit_s: float = 30.0) -> None:
        """Wait until it takes connections, if that is known. Raises TimeoutError."""
        wait_until(lambda: self.alive and _listens(self.port), limit_s, f"{self.name} listens; see {self.log}")

    def kill(self) -> None:
        """kill -9; it stays down until it is started."""
        self._end(signal.SIGKILL)

    def end(self) -> int | None:
        """Ask it to end; returns the status, None where it had to be killed."""
        with self._lock:
            self.thaw()
            try:
                self._end(self._stop)
            except subprocess.TimeoutExpired:
                self._end(signal.SIGKILL)
                return None
            return self._child.returncode if self._child else 0

    def freeze(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def look(self) -> None:
        """Start it again if it ended by itself a while ago."""
        with self._lock:
            if not self.wanted or self.alive or self._child is None:
                return
            if not self.ended or self.ended[-1][0] < self._began:
                self.ended.append((time.time(), self._child.returncode))
            elif time.time() - self.ended[-1][0] >= RESTART_S:
                self.start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._began = time.time()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
            )

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if self._child is not None and self.alive:
                self._child.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        with self._lock:
            self.wanted = False
            if self._child is not None and self.alive:
                self._child.send_signal(number)
                self._child.wait(END_S)


class Keeper:
    """Starts programs again that ended by themselves, while it is entered."""

    def __init__(self, programs: Callable[[], Iterable[Program]]) -> None:
        self._programs = programs
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.wait(LOOK_S):
            for program in self._programs():
                program.look()


def wait_until(true: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait for something that must come. Raises TimeoutError if it does not."""
    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit_s:g} s: {what}")
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody has, below those that the kernel gives to clients."""
    found: list[int] = []
    for port in range(10_000 + os.getpid() * 37 % 20_000, 32_000):
        if len(found) == count:
            return found
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found.append(port)
    raise OSError("no free ports")


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False
