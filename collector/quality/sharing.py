"""What the stream remembers of one box as bytes, for collectors that take turns with a box's packs; pure.

Of samples that wait for a companion only the last ones go along: enough for the same minute, not for a late backlog.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from collector.quality.companions import Recent
from collector.quality.gaps import Series
from collector.quality.segment import Segment

COMPANIONS = 32
"""Samples of each quantity that has a companion."""


class Remembered(msgspec.Struct, array_like=True):
    """Of one box."""

    segments: list[tuple[tuple[int, ...], tuple[Segment, ...]]]
    """By the quantities that come together."""
    series: list[tuple[int, Series]]
    """For gaps, by quantity."""
    recent: list[tuple[int, Recent]]
    """By quantity."""


def to_bytes(remembered: Remembered) -> bytes:
    """As bytes; of recent samples the last COMPANIONS."""
    recent = [(quantity, _last(samples)) for quantity, samples in remembered.recent]
    return _encode(msgspec.structs.replace(remembered, recent=recent))


def from_bytes(said: bytes) -> Remembered:
    """From bytes that `to_bytes` made, of this version of the collector; else raises msgspec.MsgspecError."""
    return _decode(said)


def _last(samples: Recent) -> Recent:
    arrays = {name: getattr(samples, name)[-COMPANIONS:] for name in samples.__struct_fields__}
    return Recent(**arrays)


def _plain(array: object) -> Any:
    if not isinstance(array, np.ndarray):
        raise NotImplementedError
    return array.dtype.str, array.shape, array.tobytes()


def _array(_kind: type, said: Any) -> Any:
    dtype, shape, values = said
    # a copy, as what is remembered may be written to where the bytes may not
    return np.frombuffer(values, np.dtype(dtype)).reshape(shape).copy()


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_decode = msgspec.msgpack.Decoder(Remembered, dec_hook=_array).decode
