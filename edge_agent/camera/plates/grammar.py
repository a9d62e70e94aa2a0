"""What may stand on a Vietnamese number plate, and the repair of what a reader confuses; pure.

Plates: Circular 79/2024/TT-BCA (and 51/2025 for the province codes), army: Circular 169/2021/TT-BQP; older plates stay
valid. Text alone often allows several classes (`68B11234` is a car's 68B-112.34 or an old motorbike's 68-B1 1234):
all of them are given, fewer only where lines or colour decide. The text as it was read always goes before a repair.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from edge_agent.camera.plates.read import Instead, PlateText
from edge_agent.contract.events import Colour, Layout

Class = Literal["diplomatic", "special", "moto_electric", "car", "moto_old", "moto_new", "army", "moto_oldest"]

UNUSED_CODES = frozenset({13, 42, 44, 45, 46, 87, 91, 96})
PROVINCE_CODES = tuple(str(code) for code in range(11, 100) if code not in UNUSED_CODES)
FIRST_LETTERS = "ABCDEFGHKLMNPSTUVXYZ"
SECOND_LETTERS = "ABCDEFHKLMNPRSTUVXYZ"
STATE_LETTERS = "ABCDEFGHKLM"
"""The only letters on the blue plates of state bodies."""

_PP = f"(?:{'|'.join(PROVINCE_CODES)})"
_MISSION = "(?:NG|QT|CV|NN)"

# `top` is what stands on the upper line where the plate has two; Đ is matched as D; the likeliest class first
_PATTERNS: dict[Class, str] = {
    "diplomatic": rf"{_PP}\d{{3}}{_MISSION}\d{{2,3}}",
    "special": rf"(?P<top>{_PP}(?:LD|DA|RM|MK|HC|KT|CD|TD|LB|CT|R|T))\d{{4,5}}",
    "moto_electric": rf"(?P<top>{_PP}MD\d)\d{{4,5}}",
    "car": rf"(?P<top>{_PP}[{FIRST_LETTERS}])\d{{4,5}}",
    "moto_old": rf"(?P<top>{_PP}[{FIRST_LETTERS}][1-9])\d{{4,5}}",
    "moto_new": rf"(?P<top>{_PP}[{FIRST_LETTERS}][{SECOND_LETTERS}])\d{{4,5}}",
    "army": r"(?P<top>[A-Z]{2}[SLX]?)\d{3,6}(?:RM|BM)?",
    # Less certain than the others: no circular named above describes it, but one motorbike in twenty still carries it
    # (34 of 726 photographed), 60 above 412-HR. 13 was Hà Bắc's. Which letters there are is not known.
    "moto_oldest": rf"(?P<top>{_PP}|13)(?!000)\d{{3}}[A-NP-VX-Z](?:[1-9]|[A-NP-VX-Z])?",
}
_GRAMMAR = {name: re.compile(pattern, re.ASCII) for name, pattern in _PATTERNS.items()}
_OLD_DIPLOMATIC = re.compile(rf"{_PP}{_MISSION}\d{{5,6}}", re.ASCII)
"""The order of older plates, 80-NG-441-02; a new motorbike's CV and NN series look the same and are likelier."""

_ELECTRIC = re.compile(rf"{_PP}[HMN][ĐDB0]\d{{6}}", re.ASCII)
"""How readers that know no Đ read `68MĐ1-123.45`; of ten characters no other plate is like it."""
ELECTRIC_AT_MOST = 60
"""Per cent for an M that was read as something else: the shape says it, the picture does not."""

_MOTORBIKES = frozenset({"moto_electric", "moto_old", "moto_new", "moto_oldest"})
_LIKE_SIGNS = frozenset({"army", "moto_oldest"})
"""Signs and prices look like these: they are taken for plates only where lines and colour are right."""

EVIDENCE = 50
"""Least per cent that the reader gives to what a repair puts: a telephone number's 0 is not a D because it could be."""

# d: a digit, l: a letter, .: left as it is; a second letter is kept where it fits.
_MASKS = {7: ("ddldddd",), 8: ("ddl.dddd", "ddlddddd"), 9: ("ddl.ddddd", "ddllddddd"), 10: ("ddlldddddd",)}


def understand(
    raw: str,
    char_confidence: Sequence[int],
    layout: Layout | None = None,
    colour: Colour = "unknown",
    instead: Sequence[Instead] = (),
) -> PlateText:
    """Read `raw` as a plate; a line break in it says where the lower line begins.

    `char_confidence` is in per cent, one for each character of `raw` with or without its separators.
    `instead`, one for each letter or digit, is what a repair may use; without it nothing is repaired.
    `layout` None: unknown, then taken from the break and the classes. Separators (all but letters and digits) go.
    What the grammar does not know comes back as it was read and not valid. Raises ValueError if the counts differ.
    """
    cleaned, confidence, top = _clean(raw, char_confidence)
    if layout is None and top is not None:
        layout = "two"
    text, sure = cleaned, confidence
    possible = _classes(text)
    decided = _decide(possible, text, top, layout, colour)
    classes = decided or tuple(name for name in possible if name not in _LIKE_SIGNS)
    # Lines or colour may be misjudged: they never undo a text that fits as it is (but for those like signs). A repair
    # is a guess already and may contradict nothing, nor turn one of the oldest plates into a car's.
    if not classes and colour != "red" and "moto_oldest" not in possible and len(instead) == len(cleaned):
        for guess, guess_sure in _repairs(cleaned, confidence, instead):
            classes = _decide(_classes(guess), guess, top, layout, colour)
            if classes:
                text, sure = guess, guess_sure
                break
    if classes in (("moto_electric",), ("special",)) and text[2:4] in ("MD", "TD"):
        text = f"{text[:3]}Đ{text[4:]}"  # these series are written so
    if layout is None:
        layout = "two" if classes and _MOTORBIKES.issuperset(classes) else "one"
    return PlateText(
        text=text,
        raw=cleaned,
        confidence=min(sure, default=0) / 100,  # a plate is as sure as its weakest character
        char_confidence=confidence,
        valid=bool(classes),
        classes=classes,
        layout=layout,
        instead=tuple(instead),
    )


def rank(read: PlateText) -> tuple[bool, int, int, float]:
    """Give the order of readings of the same plate, the best is greatest: of use where pieces may be joined variously.

    Valid before not, fewer repairs before more, longer before shorter (more of what was seen is explained),
    surer before less sure. Readings that are not valid are ordered by how near their length is to a plate's.
    """
    repairs = sum(a != b for a, b in zip(read.text, read.raw, strict=True))
    return read.valid, -repairs, len(read.text) if read.valid else -abs(len(read.text) - 8), read.confidence


def _clean(raw: str, char_confidence: Sequence[int]) -> tuple[str, tuple[int, ...], int | None]:
    """Give the letters and digits in upper case, their confidence, and how many stand above the (only) line break."""
    pieces = [_letters(character) for character in raw]
    size = sum(map(len, pieces))
    if len(char_confidence) == len(raw):
        confidence = [c for piece, c in zip(pieces, char_confidence, strict=True) for _ in piece]
    elif len(char_confidence) == size:
        confidence = list(char_confidence)
    else:
        raise ValueError(f"{len(char_confidence)} confidences for the {size} characters of {raw!r}: one for each")
    above, broken, below = raw.strip("\n").partition("\n")
    top = sum(len(_letters(c)) for c in above) if broken and "\n" not in below else None
    return "".join(pieces), tuple(min(100, max(0, int(c))) for c in confidence), top


def _letters(character: str) -> str:
    """Give a character's plain upper-case form, mostly itself; a separator's is empty."""
    plain = unicodedata.normalize("NFKC", character).upper().replace("Ð", "Đ")  # the Icelandic letter looks the same
    return "".join(c for c in plain if c.isalnum())


def _classes(text: str) -> tuple[Class, ...]:
    plain = text.replace("Đ", "D")
    found = [name for name, pattern in _GRAMMAR.items() if pattern.fullmatch(plain)]
    if _OLD_DIPLOMATIC.fullmatch(plain):
        found.append("diplomatic")
    return tuple(found)


def _decide(
    possible: tuple[Class, ...], text: str, top: int | None, layout: Layout | None, colour: Colour
) -> tuple[Class, ...]:
    """Leave out the classes that lines or colour exclude for certain.

    Motorbikes' plates have two lines. Army plates are red, red plates the army's. Blue plates carry one letter of
    eleven, or a special series. Yellow decides nothing: lamps make white plates yellow. A motorbike's oldest plate is
    white and known to have two lines, nothing but the province above.
    """
    left = list(possible)
    if layout == "one":
        left = [name for name in left if name not in _MOTORBIKES]
    if colour == "red":
        left = [name for name in left if name == "army"]
    elif colour != "unknown":
        left = [name for name in left if name != "army"]
    if colour == "blue":
        state = text[2:3] in STATE_LETTERS
        left = [name for name in left if name == "special" or (state and name in {"car", "moto_old"})]
    if layout != "two" or colour != "white" or top not in (None, 2) or "Đ" in text:
        left = [name for name in left if name != "moto_oldest"]
    if top is not None:
        left = [name for name in left if _above(name, text) == top] or left
    return tuple(left)


def _above(name: Class, text: str) -> int | None:
    """Give how many characters stand on the upper line of a plate of two, where that is known."""
    match = _GRAMMAR[name].fullmatch(text.replace("Đ", "D"))
    return match.end("top") if match and "top" in match.groupdict() else None


def _repairs(raw: str, confidence: Sequence[int], instead: Sequence[Instead]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the guesses for a text that fits nothing, the most careful first, each with its confidences."""
    if _ELECTRIC.fullmatch(raw):
        guessed = (min(percent, ELECTRIC_AT_MOST) for percent in confidence[2:4])
        yield f"{raw[:2]}MĐ{raw[4:]}", (*confidence[:2], *guessed, *confidence[4:])
    for mask in _MASKS.get(len(raw), ()):
        wrong = [n for n, kind in enumerate(mask) if kind != "." and raw[n].isdigit() != (kind == "d")]
        if all(instead[n][1] >= EVIDENCE for n in wrong):
            put = [instead[n] if n in wrong else (raw[n], confidence[n]) for n in range(len(raw))]
            yield "".join(character for character, _ in put), tuple(percent for _, percent in put)
