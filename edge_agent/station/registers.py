"""Modbus registers: what is read together, the types of numbers and the four orders in which makers put their bytes.

type      big words, big bytes   little words, big bytes   big words, little bytes   little words, little bytes
float32   41 DC | 00 00          00 00 | 41 DC             DC 41 | 00 00             00 00 | DC 41   all are 27.5
          (ABCD)                 (CDAB: YSI, Hamilton)     (BADC)                    (DCBA: Yosemitech)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

Order = Literal["big", "little"]

Type = Literal[
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"
]  # fmt: skip

TYPES: dict[str, tuple[str, int]] = {
    "int8": (">xb", 1),
    "uint8": (">xB", 1),
    "int16": (">h", 1),
    "uint16": (">H", 1),
    "int32": (">i", 2),
    "uint32": (">I", 2),
    "int64": (">q", 4),
    "uint64": (">Q", 4),
    "float32": (">f", 2),
    "float64": (">d", 4),
}
"""Type: how struct reads it once its bytes are in order, how many registers it takes; 8 bits are the lower byte."""


def number(type_: str, words: Sequence[int], word_order: Order = "big", byte_order: Order = "big") -> float:
    """Read a number from its own registers; a whole one comes as int, and a float may be NaN."""
    ordered = words if word_order == "big" else words[::-1]
    data = b"".join(word.to_bytes(2, byte_order) for word in ordered)
    found: float = struct.unpack(TYPES[type_][0], data)[0]
    return found


BITS = (1, 2)
"""Functions that read single bits: coils and discrete inputs."""


class Block(msgspec.Struct, frozen=True, order=True):
    """Registers, or one bit, that one request reads."""

    function: int
    address: int
    count: int

    def __str__(self) -> str:
        return f"function {self.function}, {named(self.address, self.count)}"


def named(address: int, count: int) -> str:
    """Name registers in a message."""
    return f"register {address}" if count <= 1 else f"registers {address} to {address + count - 1}"


def joined(parts: Iterable[Block], most: int) -> Iterator[Block]:
    """Join sorted blocks that touch or overlap into some of at most `most` registers; bits stay alone."""
    row: Block | None = None
    for part in parts:
        if row and part.function == row.function and part.function not in BITS:
            end = max(row.address + row.count, part.address + part.count)
            if part.address <= row.address + row.count and end - row.address <= most:
                row = Block(row.function, row.address, end - row.address)
                continue
        if row:
            yield row
        row = part
    if row:
        yield row
