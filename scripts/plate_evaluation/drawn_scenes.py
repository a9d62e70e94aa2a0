"""Draws what may be mistaken for a plate: signs, prices, telephone numbers, dates, badges; walls, tiles and grilles.

No text here fits the grammar of plates (a test holds it): whatever valid plate is read in these pictures is false.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.camera.pictures import Image

WIDTH, HEIGHT = 460, 350
Colour = tuple[int, int, int]
"""Blue, green, red."""

WHITE, BLACK, YELLOW, BLUE, RED, GREEN = (
    (240, 240, 240), (25, 25, 25), (40, 200, 245), (150, 70, 20), (40, 30, 190), (70, 120, 30),
)  # fmt: skip
LOOKS = ((WHITE, BLACK), (YELLOW, BLACK), (BLUE, WHITE), (RED, WHITE), (GREEN, WHITE), (WHITE, RED), (RED, YELLOW))
"""Ground and ink."""


def draw_scene(random: Random) -> Image:
    """Draw one picture, 460 x 350."""
    image = random.choice(GROUNDS)(random)
    free = np.full((HEIGHT, WIDTH), True)
    for _ in range(random.choice((1, 1, 2, 3))):
        _hang(image, free, _board(random), random)
    return _photographed(image, random)


def sign_text(random: Random) -> tuple[str, ...]:
    """Make up the lines of a sign."""
    return random.choice(TEXTS)(random)


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


def _telephone(random: Random) -> tuple[str, ...]:
    start, middle, end = f"09{_digits(random, 2)}", _digits(random, 3), _digits(random, 3)
    return random.choice([
        (f"HOTLINE {start}{middle}{end}",),
        (f"{start}.{middle}.{end}",),
        (f"{start} {middle}", f"{end} - 0297 3{_digits(random, 3)} {middle}"),
        ("ĐT:", f"{start} {middle} {end}"),
        (f"TAXI 0297.38.{random.randint(10, 99)}.38.38",),
    ])  # fmt: skip


def _price(random: Random) -> tuple[str, ...]:
    price = f"{random.randint(10, 99)}.000đ"
    return random.choice([
        ("CƠM TẤM", price), ("PHỞ BÒ", price), ("RỬA XE", price), (f"GIẢM {random.randint(1, 9)}0%",),
        ("RON 95-III", f"{random.randint(19, 25)}.{_digits(random, 2)}0"), (f"{_digits(random, 3)}.000.000 VND",),
    ])  # fmt: skip


def _street(random: Random) -> tuple[str, ...]:
    number = random.randint(1, 99)
    return random.choice([
        ("ĐƯỜNG 30/4",), ("TRẦN HƯNG ĐẠO",), (f"SỐ {number}A/{_digits(random, 2)}",), (f"QL {number}", f"KM {number}"),
        ("P. DƯƠNG ĐÔNG", f"HẺM {number}"), (f"{number} NGUYỄN TRÃI",), (f"CẦU SỐ {number}",),
    ])  # fmt: skip


def _vehicle(random: Random) -> tuple[str, ...]:
    """What stands on vehicles beside their plates."""
    pair = str(random.randint(10, 99))
    return random.choice([
        (" ".join([pair] * 4),), ("XE BUÝT", f"TUYẾN {pair}"), (f"TẢI TRỌNG {_digits(random, 4)} KG",),
        (f"{pair} CHỖ",), ("HYUNDAI", "110XL"), ("ISUZU", "QKR 77H"), ("KIA K200",), ("TOYOTA VIOS 1.5G",),
        (f"MST: 17{_digits(random, 8)}",), ("HỢP ĐỒNG",), ("TẬP LÁI",), (f"KG-{_digits(random, 5)}-TS",),
    ])  # fmt: skip


def _container(random: Random) -> tuple[str, ...]:
    code = random.choice(("MSKU", "TCLU", "HLXU", "CMAU"))
    return (f"{code} {_digits(random, 6)} {_digits(random, 1)}", "22G1")


def _time(random: Random) -> tuple[str, ...]:
    hour, day, year = random.randint(0, 23), random.randint(1, 28), random.randint(2016, 2027)
    return random.choice([
        (f"{hour:02}:{random.randint(0, 59):02}",), (f"{day:02}/{random.randint(1, 12):02}/{year}",),
        (f"{_digits(random, 8)} {day:02}/11/{year} {hour:02}:15:27",), ("KHAI TRƯƠNG", f"{day}-12-{year}"),
        ("MỞ CỬA", f"{hour:02}H30 - 22H00"),
    ])  # fmt: skip


def _notice(random: Random) -> tuple[str, ...]:
    return random.choice([
        ("PCCC 114",), ("WIFI: 88888888",), ("BÁN NHÀ", f"4x{random.randint(10, 30)}M"),
        (f"PHÒNG {_digits(random, 3)}",),
        ("STK", f"{_digits(random, 4)} {_digits(random, 4)} {_digits(random, 4)}"), ("CẤM ĐỖ XE",), ("ATM 24/7",),
        (f"{_digits(random, 12)}",), ("KHÁCH SẠN", "BIỂN XANH"), (f"LÔ {_digits(random, 2)}-{_digits(random, 3)}",),
    ])  # fmt: skip


TEXTS: tuple[Callable[[Random], tuple[str, ...]], ...] = (
    _telephone, _telephone, _price, _street, _vehicle, _vehicle, _container, _time, _notice,
)  # fmt: skip
"""The likelier stand twice."""


def _board(random: Random) -> Image:
    """A sign, its text as large as it will go, often of the shape of a plate."""
    lines, (ground, ink) = sign_text(random), random.choice(LOOKS)
    width, height = random.choice(((520, 110), (380, 270), (400, 200), (520, 300)))
    board = np.full((height, width, 3), ground, np.uint8)
    if random.random() < 0.6:
        cv2.rectangle(board, (4, 4), (width - 5, height - 5), ink, 4)
    font, weight = cv2.FontFace(random.choice(("sans", "italic", "uni"))), random.choice((400, 600, 800))
    room = height // len(lines)
    for number, line in enumerate(lines):
        *_, long, _ = cv2.getTextSize((width, height), line, (0, 0), font, 100, weight)
        size = max(8, min(round(0.62 * room), round(100 * 0.88 * width / max(1, long))))
        *_, long, _ = cv2.getTextSize((width, height), line, (0, 0), font, size, weight)
        at = (max(0, (width - long) // 2), room * number + round(0.5 * room + 0.36 * size))
        cv2.putText(board, line, at, ink, font, size, weight)
    return board


def _hang(image: Image, free: NDArray[np.bool_], board: Image, random: Random) -> None:
    """Put a board into the picture where that is free, from 50 pixels wide to the whole width, seen from any side."""
    height, width = board.shape[:2]
    scale = 50 / width * (0.95 * WIDTH / 50) ** random.random()
    wide, high = scale * width, scale * height
    x, y = random.uniform(0, WIDTH - wide), random.uniform(0, max(0.0, HEIGHT - high))
    corners = np.array([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)])
    corners += [(random.uniform(-0.06, 0.06) * wide, random.uniform(-0.12, 0.12) * high) for _ in corners]
    given = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(given, corners.astype(np.float32))
    soft = cv2.GaussianBlur(board, (0, 0), max(0.3, 0.35 / scale))  # what is shrunk without it grows jagged
    laid = cv2.warpPerspective(soft, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    covered = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, (WIDTH, HEIGHT)) > 127
    if free[covered].all():  # half a text could fit the grammar
        image[covered], free[covered] = laid[covered], False


def _paint(random: Random) -> Colour:
    """Take a dull colour."""
    light = random.randint(60, 200)
    blue, green, red = (light + random.randint(-45, 45) for _ in range(3))
    return blue, green, red


def _wall(random: Random) -> Image:
    """Render of one colour, darker towards one side."""
    light = np.linspace(random.uniform(0.5, 1.0), random.uniform(0.5, 1.0), HEIGHT)[:, None, None]
    return cast(Image, (light * np.full((HEIGHT, WIDTH, 3), _paint(random))).astype(np.uint8))


def _bricks(random: Random) -> Image:
    image, high = _wall(random), random.randint(10, 40)
    wide, grout = round(high * random.uniform(1.0, 3.2)), _paint(random)
    for row, y in enumerate(range(0, HEIGHT, high)):
        cv2.line(image, (0, y), (WIDTH, y), grout, 2)
        for x in range(-wide if row % 2 else -wide // 2, WIDTH, wide):
            cv2.line(image, (x, y), (x, y + high), grout, 2)
    return image


def _grille(random: Random) -> Image:
    """Bars with light between them: gates, shutters, the fronts of vehicles."""
    image, step, bar = _wall(random), random.randint(6, 26), _paint(random)
    upright, thick = random.random() < 0.5, max(1, step // random.randint(2, 4))
    for at in range(0, max(WIDTH, HEIGHT), step):
        ends = ((at, 0), (at, HEIGHT)) if upright else ((0, at), (WIDTH, at))
        cv2.line(image, *ends, bar, thick)
    if random.random() < 0.5:
        for at in range(0, max(WIDTH, HEIGHT), step * random.randint(3, 8)):
            cv2.line(image, (0, at), (WIDTH, at), bar, thick)
    return image


def _leaves(random: Random) -> Image:
    noise, size = np.random.default_rng(random.getrandbits(32)), (WIDTH, HEIGHT)
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    for step in (4, 12, 40):
        spots = noise.uniform(0, 80, (HEIGHT // step, WIDTH // step)).astype(np.float32)
        light += cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC)
    return cast(Image, np.clip(light[..., None] * (0.5, 1.0, 0.7), 0, 255).astype(np.uint8))


GROUNDS: tuple[Callable[[Random], Image], ...] = (_wall, _bricks, _grille, _leaves)


def _photographed(image: Image, random: Random) -> Image:
    """As a camera gives it: light, blur, noise, JPEG."""
    seen = cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.6)).astype(np.float32)
    noise = np.random.default_rng(random.getrandbits(32)).normal(0, random.uniform(1, 9), seen.shape)
    lit = np.clip(seen * random.uniform(0.35, 1.1) + noise, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", lit, [cv2.IMWRITE_JPEG_QUALITY, random.randint(35, 95)])
    return cast(Image, cv2.imdecode(packed, cv2.IMREAD_COLOR))
