"""Pictures: read whole ones from files that nobody vouches for, cut small ones for the events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.settings import PictureSettings
from edge_agent.errors import FrameError

# What goes wrong is said once, by the error that names the file.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_FATAL)

Image = NDArray[np.uint8]
"""Height x width x 3, blue green red."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
MAX_BYTES = 64 << 20
MAX_PIXELS = 64_000_000
"""192 MB when unpacked, twice that while it is turned upright. A telephone's 50 megapixels are up to 8192 x 6144; a
small file can claim far more."""
MAX_SIDE = 32_767
"""What OpenCV 4 cuts out of; a longer picture of so few pixels shows no street."""

CONTEXT = (1.0, 1.5)
"""Plate widths and heights shown to each side of its middle: two plates wide, three high."""
LEAST_QUALITY = 20
LEAST_WIDTH = 16


class PictureError(FrameError):
    """A file that is no usable picture; the text names the file, what is wrong and what to do."""


def load_picture(path: Path) -> Image:
    """Read a JPEG, PNG, WebP or BMP file, upright as its EXIF says, as BGR of 8 bits whatever its own colours are.

    Raises PictureError, before anything large is allocated where the size is the trouble.
    """
    return _decode(_bytes(path), path)


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise PictureError(f"{path}: a folder, name the pictures in it · đây là thư mục")
        if not path.is_file():
            raise PictureError(f"{path}: no such file, check the name · không có tệp này")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureError(f"{path}: cannot be read: {error.strerror} · không đọc được tệp") from error
    if not data:
        raise PictureError(f"{path}: the file is empty, copy it again · tệp rỗng")
    if len(data) > MAX_BYTES:
        raise PictureError(f"{path}: larger than {MAX_BYTES >> 20} MiB, save it smaller · tệp quá lớn")
    return data


def _decode(data: bytes, path: Path) -> Image:
    size = picture_size(data)
    if size is None:
        raise PictureError(
            f"{path}: not a JPEG, PNG, WebP or BMP picture, or cut short; save it as JPEG · "
            "không phải ảnh JPEG, PNG, WebP, BMP"
        )
    if wrong := oversize(*size):
        raise PictureError(f"{path}: {wrong}")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:
        raise PictureError(f"{path}: cannot be decoded, save it anew as JPEG: {error} · không giải mã được") from error
    if image is None:
        raise PictureError(f"{path}: damaged or cut short, copy it again · ảnh hỏng, hãy chép lại")
    return np.asarray(image, np.uint8)


def oversize(width: int, height: int) -> str:
    """Say why a picture, or a video of such frames, is not read; nothing where its size is no hindrance."""
    if width * height <= MAX_PIXELS and max(width, height) <= MAX_SIDE:
        return ""
    return (
        f"{width} x {height} pixels, at most {MAX_PIXELS // 1_000_000} million and {MAX_SIDE} a side are read; "
        "save it smaller · quá nhiều điểm ảnh"
    )


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a JPEG, PNG, WebP or BMP; None where there is none or it is damaged."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        size = _big(data[16:20], 4), _big(data[20:24], 4)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        size = _webp_size(data[12:16], data[20:30])
    elif data.startswith(b"\xff\xd8"):
        size = _jpeg_size(data)
    elif data.startswith(b"BM"):
        size = _bmp_size(data[14:26])
    else:
        return None
    return size if min(size) > 0 else None


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int]:
    if len(head) < 10:
        return 0, 0
    if kind == b"VP8X":  # a canvas: 24 bits each, less one
        return _little(head[4:7]) + 1, _little(head[7:10]) + 1
    if kind == b"VP8L" and head[0] == 0x2F:  # lossless: 14 bits each, less one
        bits = _little(head[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":  # 14 bits each, the upper two scale
        return _little(head[6:8]) & 0x3FFF, _little(head[8:10]) & 0x3FFF
    return 0, 0


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments to the frame header (SOF); the size stands behind its length and precision."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _big(data[at + 7 : at + 9], 2), _big(data[at + 5 : at + 7], 2)
        else:
            at += 2 + _big(data[at + 2 : at + 4], 2)
    return 0, 0


def _bmp_size(head: bytes) -> tuple[int, int]:
    if len(head) < 12:
        return 0, 0
    if _little(head[:4]) == 12:  # the oldest kind: 16 bits each
        return _little(head[4:6]), _little(head[6:8])
    # a negative height: rows from the top
    return _little(head[4:8]), abs(int.from_bytes(head[8:12], "little", signed=True))


def _big(data: bytes, size: int) -> int:
    return int.from_bytes(data, "big") if len(data) == size else 0


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def cut_jpeg(image: Image, quad: Sequence[tuple[float, float]], settings: PictureSettings) -> bytes:
    """Cut the plate and what stands around it out of its frame, as a JPEG of at most `max_kb` (thousand bytes).

    `quad` is in pixels of `image` and may reach out of it. Raises ValueError where a corner is no finite number.
    """
    part = _around(image, quad)
    if part.shape[1] > settings.width:
        part = _narrow(part, settings.width)
    quality = settings.quality
    while True:
        good, packed = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not good:  # memory is all that can be missing
            raise PictureError(f"a picture of {part.shape[1]} x {part.shape[0]} pixels cannot be packed as JPEG")
        if len(packed) <= settings.max_kb * 1000:
            return bytes(packed)
        if quality > LEAST_QUALITY:
            quality = max(LEAST_QUALITY, quality - 10)
        elif part.shape[1] > LEAST_WIDTH:  # blurred is still better than nothing
            part = _narrow(part, max(LEAST_WIDTH, part.shape[1] * 3 // 4))
        else:
            return bytes(packed)


def _around(image: Image, quad: Sequence[tuple[float, float]]) -> Image:
    corners = np.asarray(quad, np.float64)
    if not np.isfinite(corners).all():
        raise ValueError(f"a plate's corners must be finite numbers: {quad}")
    size = np.array(image.shape[1::-1])
    low, high = corners.min(0), corners.max(0)
    middle, reach = (low + high) / 2, np.maximum((high - low) * CONTEXT, LEAST_WIDTH / 2)
    left, top = np.clip(np.floor(middle - reach), 0, np.maximum(size - LEAST_WIDTH, 0)).astype(int)
    right, bottom = np.clip(np.ceil(middle + reach), np.minimum(size, LEAST_WIDTH), size).astype(int)
    return image[top:bottom, left:right]


def _narrow(image: Image, width: int) -> Image:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
