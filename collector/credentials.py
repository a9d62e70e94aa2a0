"""The boxes' MQTT passwords, in the password file format of Mosquitto, so that one file serves either broker.

A line is `name:$7$iterations$salt$hash` (PBKDF2, SHA-512, base64). The passwords are random and long, so few
iterations do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from edge_agent.contract.device import COLLECTOR

ITERATIONS = 101
_OF_BOXES = """\
# A box writes only its own up topics and reads only its own down topics; a collector does the opposite for all.
# %u is the user's name: that of the password or, with use_identity_as_username, that of the certificate.
pattern write v1/up/%u/#
pattern read v1/down/%u/#
"""
_OF_A_COLLECTOR = """
user {}
topic read v1/up/#
topic write v1/down/#
"""


def access_list(collectors: Iterable[str] = (COLLECTOR,)) -> str:
    """Mosquitto's `acl_file`."""
    return _OF_BOXES + "".join(_OF_A_COLLECTOR.format(name) for name in collectors)


def enrol(file: Path, name: str) -> str:
    """Give a box (or the collector) a new password; the old one ends. Returns the password, which is kept nowhere."""
    return enrol_all(file, [name])[name]


def enrol_all(file: Path, names: Iterable[str]) -> dict[str, str]:
    """Give many a new password each, by name; the file is written once."""
    passwords = {name: secrets.token_urlsafe(24) for name in names}
    lines = [line for line in _lines(file) if line.partition(":")[0] not in passwords]
    for name, password in passwords.items():
        salt = secrets.token_bytes(12)
        digest = base64.b64encode(_digest(password, salt, ITERATIONS)).decode()
        lines.append(f"{name}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${digest}")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_secret(file, "\n".join(lines) + "\n")
    return passwords


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner reads; after a power cut it is the old one or the new one, never empty."""
    draft = file.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Passwords:
    """The password file, read again when it changes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed: int | None = None
        self._known: dict[str, str] = {}

    def accepts(self, name: str, password: str) -> bool:
        """Tell whether the password is the one that was given to `name`."""
        changed = self._file.stat().st_mtime_ns if self._file.exists() else None
        if changed != self._changed:
            self._known = dict(line.split(":", 1) for line in _lines(self._file))
            self._changed = changed
        parts = self._known.get(name, "").split("$")
        if len(parts) != 5 or parts[1] != "7":
            return False
        salt, digest = base64.b64decode(parts[3]), base64.b64decode(parts[4])
        return hmac.compare_digest(_digest(password, salt, int(parts[2])), digest)


def _digest(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if ":" in line] if file.exists() else []
