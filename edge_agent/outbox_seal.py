"""The checksum of a row of the outbox: SQLite would pass on a page whose bits have changed on the flash as it is."""

from __future__ import annotations

from zlib import crc32

OLD_IDS = 2**32
"""Outbox ids of agents from before there were checksums are below this, all others above."""


def seal(body: bytes, outbox: int, *identity: int | str) -> int:
    """CRC-32 of a body, the outbox id and what else of its row must not change, as a number of four bytes with a sign.

    The id is not in the row: so a row is never read under another id than that under which it was written.
    """
    crc = crc32(body, crc32(repr((outbox, *identity)).encode()))
    return crc - (crc >> 31 << 32)


def intact(crc: object, body: object, outbox: int, *identity: object) -> bool:
    """Tell whether a row is as it was written; null stands in rows from before there were checksums."""
    if not isinstance(body, bytes):
        return False
    return outbox < OLD_IDS if crc is None else crc == seal(body, outbox, *identity)  # type: ignore[arg-type]
