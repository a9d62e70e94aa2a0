"""Pictures that nobody vouches for, and the small ones that events carry."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.camera.pictures import PictureError, cut_jpeg, load_picture, picture_size
from edge_agent.camera.settings import PictureSettings
from edge_agent.errors import FrameError

FORMATS = {
    ".jpg": [],
    ".png": [],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 80],
    ".lossless.webp": [cv2.IMWRITE_WEBP_QUALITY, 101],
    ".bmp": [],
}
GOLDEN = Path(__file__).parent / "golden" / "pictures"


def street(width: int = 60, height: int = 40) -> NDArray[np.uint8]:
    """Left half red, right half blue, with a grain that packs badly."""
    image = np.random.default_rng(7).integers(0, 40, (height, width, 3), np.uint8)
    image[:, : width // 2, 2] += 200
    image[:, width // 2 :, 0] += 200
    return image


def packed(image: NDArray[np.generic], suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(Path(suffix).suffix or suffix, image, FORMATS.get(suffix, []))[1])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colours: int, rows: bytes) -> bytes:
    """A PNG of 8 bits; `colours` is its colour type: 2 for RGB, 4 for grey with transparency."""
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG that claims to be huge."""
    return png(width, height, 2, b"\0" * 99)


def turned(jpeg: bytes, orientation: int) -> bytes:
    """The same JPEG with an EXIF orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def reddish(pixel: NDArray[np.uint8]) -> bool:
    return bool(pixel[2] > 150 and pixel[0] < 100)


@pytest.mark.parametrize("suffix", FORMATS)
def test_reads_each_format(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"photo{suffix}"
    file.write_bytes(packed(street(), suffix))
    image = load_picture(file)
    assert (image.shape, image.dtype) == ((40, 60, 3), np.uint8)
    assert reddish(image[20, 10]) and not reddish(image[20, 50])


@pytest.mark.parametrize(
    "image",
    [
        street()[:, :, 2],
        cv2.cvtColor(street(), cv2.COLOR_BGR2BGRA),
        street().astype(np.uint16) * 257,
        street()[:, :, 2].astype(np.uint16) * 257,
    ],
    ids=["grey", "transparent", "16 bits", "grey of 16 bits"],
)
def test_every_depth_becomes_bgr_of_8_bits(image: NDArray[np.generic], tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(packed(image))
    read = load_picture(file)
    assert (read.shape, read.dtype) == ((40, 60, 3), np.uint8)
    assert abs(int(read[5, 5, 2]) - int(street()[5, 5, 2])) <= 1


def test_grey_with_transparency_becomes_bgr(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(
        png(3, 2, 4, b"\0" + bytes([10, 255, 20, 255, 30, 128]) + b"\0" + bytes([40, 255, 50, 0, 60, 255]))
    )
    assert load_picture(file)[:, :, 1].tolist()[0] == [10, 20, 30]


def test_a_picture_for_printing_is_read(tmp_path: Path) -> None:
    image = load_picture(GOLDEN / "four_inks.jpg")  # the street in cyan, magenta, yellow and black
    assert (image.shape, image.dtype) == ((40, 60, 3), np.uint8)
    assert reddish(image[20, 10]) and not reddish(image[20, 50])


STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}
"""How a camera stores an upright picture under each EXIF orientation."""


@pytest.mark.parametrize("orientation", STORED)
def test_stands_upright_as_exif_says(orientation: int, tmp_path: Path) -> None:
    upright = street()
    upright[:20, :, 1] = 180  # no side is like another
    file = tmp_path / "photo.jpg"
    file.write_bytes(turned(packed(np.ascontiguousarray(STORED[orientation](upright)), ".jpg"), orientation))
    image = load_picture(file)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 15


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (5000, 1), (1, 5000), (3000, 4000), (6144, 8192)])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pictures_of_every_size_are_read(shape: tuple[int, int], suffix: str, tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(packed(np.full((*shape, 3), 90, np.uint8), suffix))
    assert load_picture(file).shape == (*shape, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"not a picture at all", "not a JPEG"),
        (b"GIF89a" + bytes(40), "not a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "not a JPEG"),
        (b"\xff\xd8\xff", "not a JPEG"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x00" * 50, "not a JPEG"),
        (packed(street(), ".jpg")[:-400], "cut short"),
        (packed(street(), ".png")[:-400], "cut short"),
        (packed(street(), ".webp")[:-400], "cut short"),
        (packed(street(), ".bmp")[:-400], "cut short"),
        (packed(street(), ".bmp")[:20], "not a JPEG"),
        (packed(street(), ".tiff"), "save it as JPEG"),
        (packed(street(), ".png").replace(b"IDAT", b"IDAX"), "damaged"),
        (bomb(20_000, 20_000), "20000 x 20000 pixels, at most 64 million"),
        (bomb(8, 40_000), "8 x 40000 pixels, at most 64 million and 32767 a side"),
        (bomb(0xFFFFFFFF, 0xFFFFFFFF), "4294967295 x"),
        (bomb(0, 40), "not a JPEG"),
        (bomb(7_000, 7_000), "damaged"),
    ],
)
def test_says_what_is_wrong(data: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(data)
    with pytest.raises(PictureError) as caught:
        load_picture(file)
    assert says in str(caught.value) and str(file) in str(caught.value)
    assert isinstance(caught.value, FrameError)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path, "a folder"),
        (tmp_path / "missing.jpg", "no such file"),
        (Path("/dev/zero"), "no such file"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(PictureError, match=says):
            load_picture(path)


def test_size_stands_in_every_header() -> None:
    for suffix in FORMATS:
        assert picture_size(packed(street(62, 44), suffix)) == (62, 44)
    canvas = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (699).to_bytes(3, "little") + (99_999).to_bytes(3, "little")
    assert picture_size(canvas) == (700, 100_000)
    from_the_top = b"BM" + bytes(12) + struct.pack("<Iii", 40, 62, -44)
    assert picture_size(from_the_top) == (62, 44)
    oldest = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 62, 44, 1, 24)
    assert picture_size(oldest) == (62, 44)


@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_damage_anywhere_is_a_picture_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    damaged = bytearray(packed(street(24, 16), suffix))
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=8)):
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    damaged += data.draw(st.binary(max_size=40))
    size = picture_size(bytes(damaged))
    assert size is None or min(size) > 0
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(damaged)
    try:
        image = load_picture(file)
    except PictureError as error:
        assert str(file) in str(error)
    else:
        assert (image.ndim, image.shape[2], image.dtype) == (3, 3, np.uint8)


PLATE = [(300.0, 200.0), (360.0, 200.0), (360.0, 220.0), (300.0, 220.0)]


def unpacked(jpeg: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_cut_shows_the_plate_with_its_surroundings() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[200:220, 300:360] = 255
    picture = unpacked(cut_jpeg(frame, PLATE, PictureSettings()))
    assert picture.shape == (60, 120, 3)
    assert picture[30, 60].min() > 240 and picture[5, 5].max() < 15


def test_cut_keeps_to_width_and_kilobytes() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    wide = [(100.0, 100.0), (1800.0, 100.0), (1800.0, 900.0), (100.0, 900.0)]
    for settings in (PictureSettings(), PictureSettings(width=640, quality=95, max_kb=2)):
        jpeg = cut_jpeg(noise, wide, settings)
        assert len(jpeg) <= settings.max_kb * 1000
        assert unpacked(jpeg).shape[1] <= settings.width
    assert unpacked(cut_jpeg(noise, wide, PictureSettings(max_kb=64))).shape[1] == 240


@pytest.mark.parametrize(
    "quad",
    [
        [(-50.0, -50.0), (40.0, -50.0), (40.0, 10.0), (-50.0, 10.0)],
        [(630.0, 470.0), (900.0, 470.0), (900.0, 600.0), (630.0, 600.0)],
        [(5000.0, 5000.0)] * 4,
        [(-5000.0, 1e12)] * 4,
        [(320.0, 240.0)] * 4,
    ],
)
def test_cut_at_and_beyond_the_edge_is_still_a_picture(quad: list[tuple[float, float]]) -> None:
    assert min(unpacked(cut_jpeg(street(640, 480), quad, PictureSettings())).shape[:2]) >= 16


def test_cut_of_a_frame_smaller_than_a_stamp() -> None:
    assert unpacked(cut_jpeg(street(4, 3), PLATE, PictureSettings())).shape == (3, 4, 3)


def test_corners_must_be_numbers() -> None:
    with pytest.raises(ValueError, match="finite"):
        cut_jpeg(street(), [(float("nan"), 0.0)] * 4, PictureSettings())
