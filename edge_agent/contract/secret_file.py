"""Passwords and tokens stand in files of their own; one way to read them for all."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

log = logging.getLogger(__name__)


class SecretFileError(Exception):
    """A file that should hold a password or token cannot be used; the text names it and says why."""


def read_secret(file: str) -> str:
    """The password or token that stands in a file, without the line's end. Raises SecretFileError."""
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretFileError(f"{error.strerror}: {file}") from error
    except UnicodeDecodeError:
        raise SecretFileError(f"holds no text: {file}") from None
    if not secret or "\n" in secret:
        raise SecretFileError(f"{'holds more than one line' if secret else 'is empty'}: {file}")
    warn_if_exposed(file)
    return secret


def warn_if_exposed(file: str) -> None:
    """Say so in the log where everybody on this machine may read a secret; it is used all the same."""
    if Path(file).stat().st_mode & stat.S_IROTH:
        log.warning("%s: everybody on this machine may read this secret: chmod o= %s", file, file)
