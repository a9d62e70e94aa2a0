"""Passwords and tokens stand in files of their own; one way to read them for all."""

from __future__ import annotations

from pathlib import Path


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
    return secret
