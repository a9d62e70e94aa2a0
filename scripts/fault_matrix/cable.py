"""A box in a network of its own: a namespace that a pair of virtual cards joins with the broker's machine, by TLS.

Here the cable itself is pulled: no packet passes, no connection ends, and each side finds out by its own time limits.
It takes root and network namespaces.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from typing import Self

from scripts.fault_matrix.link import Spoilt

_COUNT = itertools.count(1)
PULLED = ("cut", "half_open", "stalled")


class Cable:
    """A cable between a namespace and this machine; it may be asked to be spoilt as a `Link` is."""

    def __init__(self, name: str) -> None:
        self.name = name
        number = next(_COUNT)
        self._namespace = f"faults-{os.getpid()}-{number}"
        self._card = f"f{os.getpid() % 10**6}-{number}"
        net = f"10.{70 + os.getpid() % 100}.{number % 250}"
        self.address = f"{net}.1"
        """Where the broker is reached."""
        self._far = f"{net}.2"

    @property
    def inside(self) -> list[str]:
        """Before a command that is to run in the namespace."""
        return ["ip", "netns", "exec", self._namespace]

    def open(self) -> Self:
        """Make namespace, cards and addresses. Raises CalledProcessError where that is not allowed."""
        far = f"{self._card}x"
        _ip("netns", "add", self._namespace)
        _ip("link", "add", self._card, "type", "veth", "peer", "name", far)
        _ip("link", "set", far, "netns", self._namespace)
        _ip("addr", "add", f"{self.address}/24", "dev", self._card)
        _ip("-n", self._namespace, "addr", "add", f"{self._far}/24", "dev", far)
        _ip("-n", self._namespace, "link", "set", far, "up")
        _ip("-n", self._namespace, "link", "set", "lo", "up")
        _ip("link", "set", self._card, "up")
        return self

    def close(self) -> None:
        """Take it away; whoever runs in it has ended."""
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._card)
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self._namespace)

    def spoil(self, spoilt: Spoilt) -> None:
        """Pull the cable, or put it in again."""
        _ip("link", "set", self._card, "down" if spoilt.state in PULLED else "up")


@cache
def can_lay_cables() -> bool:
    """Whether this machine lets us make network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    trial = Cable("trial")
    try:
        trial.open()
    except subprocess.CalledProcessError:
        return False
    finally:
        trial.close()
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
