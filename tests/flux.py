"""Flux texts before InfluxData's own compiler (syntax, names of functions, their arguments, types), run by Node.js.

The compiler comes from npm into a folder beside the virtual environment. It is the one that a 2.x server has inside;
the server itself, which would execute them, is in no registry.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "@influxdata/flux-lsp-node@0.8.40"
FOLDER = Path(sys.prefix) / "flux"
PROGRAM = Path(__file__).with_name("flux_compiler.js")


def complaints(texts: list[str]) -> list[list[str]]:
    """What the compiler finds wrong with each text; skips the test where it cannot be had."""
    env = {"NODE_PATH": str(_installed() / "node_modules"), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = [_program("node"), str(PROGRAM)]
    said = subprocess.run(
        command, check=True, input=json.dumps(texts), env=env, stdout=-1, text=True, timeout=60
    ).stdout
    found = json.loads(said.splitlines()[-1])
    assert len(found) == len(texts)
    return found


def _installed() -> Path:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if not (FOLDER / "node_modules" / "@influxdata").exists():
            command = [_program("npm"), "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(FOLDER)]
            run = subprocess.run([*command, PACKAGE], check=False, capture_output=True, text=True, timeout=120)
            if run.returncode:
                pytest.skip(f"npm cannot fetch {PACKAGE}, which checks Flux: {run.stderr[-200:]}")
    return FOLDER


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} (Node.js) is not installed: Flux texts stay unchecked")
    return found
