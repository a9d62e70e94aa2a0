"""What is written on a plate, on what size and ground: every class of the Vietnamese plate grammar, drawn by lot.

Letters and province codes come uniformly, so that a reader sees the rare ones as often as the frequent; the classes
come as the table says, the rare ones more often than on the road.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal, NamedTuple

from edge_agent.camera.plates.grammar import FIRST_LETTERS, PROVINCE_CODES, SECOND_LETTERS, STATE_LETTERS
from edge_agent.contract.events import Colour, Layout

Ink = Literal["black", "white", "red", "blue"]

LONG, OLD_LONG, SHORT, OLD_SHORT, MOTORBIKE = (520, 110), (470, 110), (330, 165), (280, 200), (190, 140)
ARMY_LONG, ARMY_SHORT = (390, 130), (260, 215)
"""Sizes in mm, width and height."""


class PlateSpec(NamedTuple):
    """A plate as it is written."""

    kind: str
    lines: tuple[str, ...]
    """One or two, with dashes, dots and spaces."""
    colour: Colour
    """Of the ground; unknown where the number is painted on the vehicle itself."""
    ink: Ink
    size_mm: tuple[int, int]
    red_letters: str = ""
    """Letters in red on an otherwise black plate."""

    @property
    def text_lines(self) -> tuple[str, ...]:
        """The lines without separators."""
        return tuple("".join(filter(str.isalnum, line)) for line in self.lines)

    @property
    def text(self) -> str:
        """All characters without separators, A-Z, 0-9 and Đ."""
        return "".join(self.text_lines)

    @property
    def layout(self) -> Layout:
        """Whether the plate has one line or two."""
        return "one" if len(self.lines) == 1 else "two"


def random_spec(rng: random.Random) -> PlateSpec:
    """Draw a plate by lot from all classes."""
    kinds, weights = zip(*((kind, weight) for kind, (weight, _) in KINDS.items()), strict=True)
    kind = rng.choices(kinds, weights)[0]
    return random_spec_of(kind, rng)


def random_spec_of(kind: str, rng: random.Random) -> PlateSpec:
    """Draw a plate of this class by lot. Raises KeyError for a class that is not in `KINDS`."""
    return KINDS[kind][1](kind, rng)


def _province(rng: random.Random) -> str:
    return rng.choice(PROVINCE_CODES)


def _digits(rng: random.Random, count: int) -> str:
    """Give a number as it is written: five digits with a dot, the old four without."""
    digits = "".join(rng.choices("0123456789", k=count))
    return f"{digits[:3]}.{digits[3:]}" if count == 5 and rng.random() < 0.95 else digits


def _number(rng: random.Random, old_share: float = 0.15) -> str:
    return _digits(rng, 4 if rng.random() < old_share else 5)


def _on_car(
    kind: str, rng: random.Random, series: str, number: str, *, colour: Colour = "white", ink: Ink = "black"
) -> PlateSpec:
    if rng.random() < 0.5:
        dash = rng.choices(("-", "", " "), (92, 4, 4))[0]
        size = rng.choices((LONG, OLD_LONG), (7, 3))[0]
        return PlateSpec(kind, (f"{series}{dash}{number}",), colour, ink, size)
    size = rng.choices((SHORT, OLD_SHORT), (5, 5))[0]
    return PlateSpec(kind, (series, number), colour, ink, size)


def _car(kind: str, rng: random.Random) -> PlateSpec:
    return _on_car(kind, rng, _province(rng) + rng.choice(FIRST_LETTERS), _number(rng))


def _commercial(kind: str, rng: random.Random) -> PlateSpec:
    return _on_car(kind, rng, _province(rng) + rng.choice(FIRST_LETTERS), _number(rng), colour="yellow")


def _state(kind: str, rng: random.Random) -> PlateSpec:
    province = "80" if rng.random() < 0.1 else _province(rng)
    return _on_car(kind, rng, province + rng.choice(STATE_LETTERS), _number(rng), colour="blue", ink="white")


def _border_zone(kind: str, rng: random.Random) -> PlateSpec:
    return _on_car(kind, rng, _province(rng) + rng.choice(FIRST_LETTERS), _number(rng), colour="yellow", ink="red")


def _special(kind: str, rng: random.Random) -> PlateSpec:
    series, weights = zip(*SPECIAL_SERIES.items(), strict=True)
    drawn = rng.choices(series, weights)[0]
    grounds: tuple[Colour, ...] = ("white", "yellow", "blue")
    colour = rng.choices(grounds, (8, 2, 1))[0]
    ink: Ink = "white" if colour == "blue" else "black"
    return _on_car(kind, rng, _province(rng) + drawn, _number(rng), colour=colour, ink=ink)


def _painted(kind: str, rng: random.Random) -> PlateSpec:
    """Give a number as it is painted large on the body of lorries and buses."""
    series, dash = _province(rng) + rng.choice(FIRST_LETTERS), rng.choice(("-", "-", " - ", "."))
    inks: tuple[Ink, ...] = ("blue", "blue", "white", "black", "red")
    ink, number = rng.choice(inks), _number(rng).replace(".", rng.choice("..- "))
    return PlateSpec(kind, (f"{series}{dash}{number}",), "unknown", ink, rng.choice((LONG, OLD_LONG)))


def _on_motorbike(
    kind: str, rng: random.Random, series: str, number: str, *, colour: Colour = "white", ink: Ink = "black"
) -> PlateSpec:
    dash = rng.choices(("-", "", " "), (92, 4, 4))[0]
    return PlateSpec(kind, (f"{_province(rng)}{dash}{series}", number), colour, ink, MOTORBIKE)


def _motorbike(kind: str, rng: random.Random) -> PlateSpec:
    return _on_motorbike(kind, rng, rng.choice(FIRST_LETTERS) + rng.choice("123456789"), _number(rng, 0.35))


def _first_motorbike(kind: str, rng: random.Random) -> PlateSpec:
    """Give a plate as motorbikes had them first and some still have, 60 over 565.AL; with any letter."""
    series = rng.choice(ALPHABET) + rng.choice((rng.choice(ALPHABET), rng.choice("123456789"), ""))
    number = "".join(rng.choices("0123456789", k=3))
    return PlateSpec(kind, (_province(rng), number + rng.choice((".", "-", "")) + series), "white", "black", MOTORBIKE)


def _new_motorbike(kind: str, rng: random.Random) -> PlateSpec:
    return _on_motorbike(kind, rng, rng.choice(FIRST_LETTERS) + rng.choice(SECOND_LETTERS), _number(rng, 0.05))


def _electric(kind: str, rng: random.Random) -> PlateSpec:
    return _on_motorbike(kind, rng, f"MĐ{rng.choice('123456789')}", _number(rng, 0.05))


def _state_motorbike(kind: str, rng: random.Random) -> PlateSpec:
    return _on_motorbike(
        kind, rng, rng.choice(STATE_LETTERS) + rng.choice("123456789"), _number(rng), colour="blue", ink="white"
    )


def _army(kind: str, rng: random.Random) -> PlateSpec:
    # half as the units are known to write, half any two letters of the grammar: units come and go
    pair = rng.choice(ARMY_UNITS) if rng.random() < 0.5 else "".join(rng.choices(ALPHABET, k=2))
    digits = _digits(rng, 4)
    number = f"{digits[:2]}-{digits[2:]}"
    if rng.random() < 0.5:
        return PlateSpec(kind, (f"{pair}-{number}",), "red", "white", ARMY_LONG)
    return PlateSpec(kind, (pair, number), "red", "white", ARMY_SHORT)


def _army_motorbike(kind: str, rng: random.Random) -> PlateSpec:
    digits = "".join(rng.choices("0123456789", k=5))
    return PlateSpec(kind, (rng.choice(ARMY_UNITS), f"{digits[:2]}-{digits[2:]}"), "red", "white", MOTORBIKE)


def _diplomatic(kind: str, rng: random.Random) -> PlateSpec:
    province, country = _province(rng), "".join(rng.choices("0123456789", k=3))
    mission, number = rng.choice(("NG", "QT", "CV", "NN")), "".join(rng.choices("0123456789", k=2))
    red = mission if mission in ("NG", "QT") and rng.random() < 0.8 else ""
    old_order = rng.random() < 0.4
    top, low = (f"{province}-{mission}", f"{country}-{number}") if old_order else (
        f"{province}-{country}", f"{mission}-{number}")  # fmt: skip
    if rng.random() < 0.6:
        return PlateSpec(kind, (f"{top}-{low}",), "white", "black", rng.choice((LONG, OLD_LONG)), red)
    return PlateSpec(kind, (top, low), "white", "black", rng.choice((SHORT, OLD_SHORT, MOTORBIKE)), red)


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVXYZ"

SPECIAL_SERIES = {"LD": 8, "DA": 3, "R": 3, "RM": 3, "MK": 2, "HC": 3, "KT": 3, "CD": 3, "TĐ": 3, "LB": 2, "CT": 2,
                  "T": 2}  # fmt: skip
"""Series of cars with a meaning of their own, and how often each is drawn."""

ARMY_UNITS = tuple(
    first + second
    for first, seconds in {"A": "ABCDNPTV", "B": "BCHKLPSTV", "C": "ABCDHMNOPSTV", "D": "ABCH", "H": "ABCDEHLNQT",
                           "K": "ABCDKPTV", "P": "ACGHKMPQTX", "Q": "ABCHKT", "T": "CHKMNT", "V": "BHKT"}.items()
    for second in seconds
)  # fmt: skip
"""The pairs of letters that army vehicles are known to carry."""

KINDS: dict[str, tuple[float, Callable[[str, random.Random], PlateSpec]]] = {
    "car": (22, _car),
    "car_commercial": (12, _commercial),
    "car_state": (8, _state),
    "car_border_zone": (1, _border_zone),
    "special": (9, _special),
    "painted": (3, _painted),
    "motorbike_old": (16, _motorbike),
    "motorbike_first": (4.0, _first_motorbike),
    "motorbike_new": (12, _new_motorbike),
    "motorbike_electric": (5, _electric),
    "motorbike_state": (1.5, _state_motorbike),
    "army": (6, _army),
    "army_motorbike": (0.5, _army_motorbike),
    "diplomatic": (3, _diplomatic),
}
"""Per cent (about) and maker of each class."""
