"""How a file reaches a server so that it is there once and whole: under a temporary name first, then renamed.

The rename is the commit. A receiving program that looks for `*.txt` never sees half a file, and a file that stands
there under its final name with its size was sent before, by a collector that died before it could enter that. What
stands there with another size is not what was confirmed, and is replaced.

A program that fetches files away as they come takes that proof with it: then a collector that dies within the
milliseconds between rename and record sends that one file again, with the same name and content.
"""

from __future__ import annotations

from typing import Literal, Protocol

PART = ".part"
"""Added to a file's name until it is whole."""

Kind = Literal["unreachable", "tls", "host_key", "login", "full", "refused", "broken"]


class PushError(Exception):
    """A file was not sent; the text says why and what to do about it."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind: Kind = kind
        """`refused` concerns one folder or file; all others the server."""


class Session(Protocol):
    """A login at a server. Every call blocks, has a time limit, and raises PushError."""

    def size(self, path: str) -> int | None:
        """Bytes of a file; None if it is not there, or the server does not tell."""

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it, as far as they are missing."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file, over one that is there; it is whole when this returns."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name that no file has."""

    def delete(self, path: str) -> None:
        """Delete a file."""

    def close(self) -> None:
        """Log out; never raises."""

    def abort(self) -> None:
        """Cut the connection, from any thread, so that a call that waits fails now; never raises."""


def deliver(session: Session, folder: str, name: str, content: bytes) -> bool:
    """Bring a file to its place. Returns False if it stood there already. Raises PushError."""
    final = f"{folder}/{name}"
    there = session.size(final)
    if there == len(content):
        return False
    session.make_folder(folder)
    session.write(final + PART, content)
    if there is not None:
        session.delete(final)
    session.rename(final + PART, final)
    return True


def levels(folder: str) -> list[str]:
    """A folder and those above it, the highest first: `/a/b` gives `/a`, `/a/b`."""
    parts = folder.split("/")
    return [path for n in range(1, len(parts) + 1) if (path := "/".join(parts[:n])) not in ("", ".")]
