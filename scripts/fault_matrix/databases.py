"""The relational databases of a stage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from scripts.fault_matrix.programs import Program

PASSWORD = "of-the-matrix"  # on loopback, for the minutes of a stage
AS_POSTGRES = ["--reuid=postgres", "--regid=postgres", "--init-groups"]
AS_POSTGRES += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
"""PostgreSQL refuses to run as root; it may still pass through root's folders."""


class Database(NamedTuple):
    """A relational database as a stage needs it."""

    program: Program | None
    url: str
    settings: str
    """For the collector's file."""


def sqlite(state: Path) -> Database:
    """The embedded one, in the collector's folder."""
    return Database(None, f"sqlite:///{state / 'collector.sqlite'}", "kind: sqlite")


def postgresql(home: Path, logs: Path, port: int) -> Database:
    """Debian's PostgreSQL with a cluster of its own."""
    home.mkdir()
    rights: list[str] = []
    if os.geteuid() == 0:
        rights = AS_POSTGRES
        shutil.chown(home, "postgres", "postgres")
    data, secret = home / "data", logs / "postgresql.secret"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD)
    make = ["setpriv", *rights, "--", _find("initdb"), "-D", str(data), "-U", "collector", f"--pwfile={secret}"]
    make += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run(make, capture_output=True, check=True, cwd=home)
    single = ["setpriv", *rights, "--", _find("postgres"), "--single", "-D", str(data), "postgres"]
    subprocess.run(single, input=b"CREATE DATABASE collector\n", capture_output=True, check=True, cwd=home)
    command = [_find("postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1"]
    command += ["-c", "unix_socket_directories=", "-c", "max_wal_size=32MB"]
    program = Program("postgresql", command, logs, port=port, rights=rights, stop=signal.SIGINT)
    return Database(
        program,
        f"postgresql+psycopg://collector:{PASSWORD}@127.0.0.1:{port}/collector",
        f"kind: postgresql, port: {port}, password_file: {secret}",
    )


def _find(name: str) -> str:
    """A program of the newest version; Debian keeps them out of the way."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if not found:
        raise FileNotFoundError(f"{name} is not installed; scripts/faults installs it")
    return str(found[-1])
