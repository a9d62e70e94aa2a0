"""Loopback ports for servers that tests start."""

from __future__ import annotations

import itertools
import os
import socket

FIRST, EACH = 10_000, 2_000
"""Below the ports that the kernel gives to clients; each test process takes from a range of its own, no port twice."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_NEXT = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A loopback port that nobody has now and that was not given before."""
    for number in itertools.islice(_NEXT, EACH):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = FIRST + WORKER * EACH + number % EACH
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
