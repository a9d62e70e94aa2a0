"""Answers of Modbus slaves on a serial line, composed byte by byte and apart from the project's own code."""

from __future__ import annotations

import struct


def with_crc(data: bytes) -> bytes:
    """Bytes with their CRC-16/MODBUS, computed bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return data + crc.to_bytes(2, "little")


def answer(*words: int, slave: int = 1, function: int = 3) -> bytes:
    """The answer that holds these registers."""
    return with_crc(struct.pack(f">3B{len(words)}H", slave, function, 2 * len(words), *words))


def refusal(code: int = 2, *, slave: int = 1, function: int = 3) -> bytes:
    """The refusal with this code."""
    return with_crc(bytes((slave, function | 0x80, code)))


def request(address: int, count: int, *, slave: int = 1, function: int = 3) -> bytes:
    """A request to read registers."""
    return with_crc(struct.pack(">BBHH", slave, function, address, count))


def big(value: float) -> tuple[int, int]:
    """A float32 with its high word first."""
    high, low = struct.unpack(">2H", struct.pack(">f", value))
    return high, low


def swapped(value: float) -> tuple[int, int]:
    """A float32 with its low word first, as YSI has it."""
    high, low = big(value)
    return low, high


def little(value: float) -> tuple[int, int]:
    """A float32 with its low byte first, as Yosemitech has it."""
    first, second = struct.unpack(">2H", struct.pack("<f", value))
    return first, second
