"""Pseudonyms for MAC addresses: keyed hashes, whose key is random and lives for one local day.

Without the key a pseudonym leads back to no address, and pseudonyms of two days have nothing in common, so nobody can
be followed from one day to the next. The key stands in the state folder, for the agent alone, so that a restart does
not count everybody anew; with the next day's first look it is gone.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
LOCAL_OFFSET_MS = 7 * 3_600_000
"""The island's time is UTC+7 all year."""
KEY_BYTES = 32


def local_day(at: int) -> int:
    """The local day of a time in ms, counted from 1970-01-01."""
    return (at + LOCAL_OFFSET_MS) // DAY_MS


class Pseudonyms:
    """Turns MAC addresses into pseudonyms of the day."""

    def __init__(self, state: Path, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._file = state / "pseudonym-key"
        self._random = random
        self._day: int | None = None
        self._key = b""

    def of(self, mac: str, at: int) -> bytes:
        """The 8-byte pseudonym of a MAC address on the local day of `at` (ms)."""
        day = local_day(at)
        if day != self._day:
            self._key = self._stored(day) or self._fresh(day)
            self._day = day
        return hashlib.blake2b(bytes.fromhex(mac.replace(":", "")), digest_size=8, key=self._key).digest()

    def _stored(self, day: int) -> bytes | None:
        """The key in the file, if it is of this day."""
        try:
            known_day, key = self._file.read_text().split()
            return bytes.fromhex(key) if int(known_day) == day and len(key) == 2 * KEY_BYTES else None
        except (OSError, ValueError):  # none yet, or damaged by a power cut: a fresh one harms nothing
            return None

    def _fresh(self, day: int) -> bytes:
        key = self._random(KEY_BYTES)
        new = self._file.with_suffix(".new")
        try:
            self._file.unlink(missing_ok=True)  # yesterday's key goes even if today's cannot be kept
            new.unlink(missing_ok=True)
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new.touch(mode=0o600, exist_ok=False)
            new.write_text(f"{day} {key.hex()}\n")
            new.replace(self._file)
        except OSError as error:  # a full disk: the key lives in memory, and ends with the process
            log.warning("the key of today's pseudonyms is not kept: %s", error)
        return key
