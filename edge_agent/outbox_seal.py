"""The checksum of a row of the outbox: SQLite would pass on a page whose bits have changed on the flash as it is."""

from __future__ import annotations

from zlib import crc32


def seal(body: bytes, *identity: int | str) -> int:
    """CRC-32 of a body and of what else in its row must not change, as a number of four bytes with a sign."""
    crc = crc32(body, crc32(repr(identity).encode()))
    return crc - (crc >> 31 << 32)


def intact(crc: object, body: object, *identity: object) -> bool:
    """Tell whether a row is as it was written; null stands in rows from before there were checksums."""
    if not isinstance(body, bytes):
        return False
    return crc is None or crc == seal(body, *identity)  # type: ignore[arg-type]
