"""Does a plate that was read match a plate that is looked for, and how surely; pure.

Three kinds of match, never mixed up:

    exact      the reader saw exactly the pattern, and nothing was repaired
    wildcard   the same with `*` (any characters, none too) and `?` (one character) in the pattern
    lookalike  some characters differ, and every one of them is taken for the other by readers; it says which

A lookalike is a hint to look at the picture, not a hit. Two characters are alike only if no plate may have both in
one place: `1` and `7` are often mistaken, but 68A-123.45 and 68A-723.45 are two vehicles, and a hint that points
at a neighbour is worse than none. The one exception is D and Đ, which differ by a stroke.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from collector.bilingual import BilingualError

Kind = Literal["exact", "wildcard", "lookalike"]

ALIKE_PAIRS = (
    # one legal letter among letters that no plate carries (O, Q, I, J), and the digit of that shape
    *("0O", "0D", "0Q", "0Đ", "OD", "OQ", "OĐ", "DQ", "QĐ", "DĐ"),
    *("1I", "1J", "1L", "IJ", "IL", "JL"),
    # digit and letter of one shape; 4 is read as L far more often than 1 is, 7 as T or Z
    *("2Z", "3B", "4A", "4L", "5S", "6G", "7T", "7Z", "8B"),
)

MAX_PATTERN = 16
MIN_LITERALS = 3
"""A pattern with fewer characters than this would watch everybody."""
MAX_PLATE = 24
"""No plate has more characters; longer texts are matched with nothing."""

_SEPARATORS = re.compile(r"[\s.\-_·/]+")
_STRAYS = {ord("Ð"): "Đ"}  # the Icelandic letter looks the same and comes from some keyboards and readers
_PATTERN = re.compile(r"[0-9A-ZĐ*?]+")


def _alike() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {c: {c} for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZĐ"}
    for pair in ALIKE_PAIRS:
        a, b = pair[0], pair[1]
        table[a].add(b)
        table[b].add(a)
    return {c: frozenset(others) for c, others in table.items()}


ALIKE = _alike()
"""Every character with all that are taken for it, itself included."""


def _folds() -> dict[int, str]:
    """Map every character to the smallest one that a chain of pairs leads to."""
    folds: dict[int, str] = {}
    for start in ALIKE:
        reached, todo = {start}, [start]
        while todo:
            new = ALIKE[todo.pop()] - reached
            reached |= new
            todo += new
        folds[ord(start)] = min(reached)
    return folds


_FOLDS = _folds()


class PatternError(BilingualError):
    """A pattern that cannot be watched."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One place where what was read is not what is looked for."""

    position: int
    """Of the character in the plate without separators, from 0."""
    read: str
    watched: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that a plate matches."""

    entry: int
    kind: Kind
    differences: tuple[Difference, ...] = ()


def normal(text: str) -> str:
    """Plate or pattern in capitals without separators; Đ stays Đ."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFC", text).upper()).translate(_STRAYS)


def normal_pattern(text: str) -> str:
    """A pattern to watch, without separators and doubled stars. Raises PatternError if it cannot be watched."""
    pattern = re.sub(r"\*+", "*", normal(text))
    if not _PATTERN.fullmatch(pattern):
        raise PatternError(
            f"Mẫu biển số {text[:40]!r} chỉ được có chữ cái, chữ số, * và ?.",
            f"The plate pattern {text[:40]!r} may hold only letters, digits, * and ?.",
        )
    if len(pattern) > MAX_PATTERN:
        raise PatternError(
            f"Mẫu biển số dài quá {MAX_PATTERN} ký tự.",
            f"The plate pattern is longer than {MAX_PATTERN} characters.",
        )
    if sum(c not in "*?" for c in pattern) < MIN_LITERALS:
        raise PatternError(
            f"Mẫu biển số cần ít nhất {MIN_LITERALS} chữ hoặc số, nếu không sẽ theo dõi mọi người.",
            f"The plate pattern needs at least {MIN_LITERALS} letters or digits, else it would watch everybody.",
        )
    return pattern


def align(pattern: str, plate: str) -> tuple[Difference, ...] | None:
    """The fewest differences with which `plate` fits `pattern`; None if it does not, even with lookalikes."""
    # best[i] is the best way to fit the pattern so far to plate[:i]
    best: list[tuple[Difference, ...] | None] = [()] + [None] * len(plate)
    for wanted in pattern:
        if wanted == "*":
            for i in range(1, len(plate) + 1):
                best[i] = _fewer(best[i], best[i - 1])
            continue
        following: list[tuple[Difference, ...] | None] = [None]
        for i, read in enumerate(plate):
            so_far = best[i]
            if so_far is None or wanted in ("?", read):
                following.append(so_far)
            elif read in ALIKE.get(wanted, ()):
                following.append((*so_far, Difference(position=i, read=read, watched=wanted)))
            else:
                following.append(None)
        best = following
    return best[-1]


def _fewer(a: tuple[Difference, ...] | None, b: tuple[Difference, ...] | None) -> tuple[Difference, ...] | None:
    if a is None or b is None:
        return b if a is None else a
    return a if len(a) <= len(b) else b


class Matcher:
    """A watchlist made ready for many plates.

    Plain patterns are found by one look-up of the plate folded to its lookalikes, wildcard patterns by one regular
    expression for all of them; only what is found this way is compared character by character.
    """

    def __init__(self, entries: Iterable[tuple[int, str]]) -> None:
        """Take (entry, pattern as `normal_pattern` gives it)."""
        self._plain: dict[str, list[tuple[int, str]]] = {}
        self._wild: list[tuple[int, str]] = []
        for entry, pattern in entries:
            if "*" in pattern or "?" in pattern:
                self._wild.append((entry, pattern))
            else:
                self._plain.setdefault(pattern.translate(_FOLDS), []).append((entry, pattern))
        # fnmatch's expressions never go back over a star, so no pattern can be slow
        self._any_wild = re.compile("|".join(fnmatch.translate(_widened(pattern)) for _, pattern in self._wild))

    def find(self, text: str, raw: str) -> list[Hit]:
        """Every entry that a plate matches, by its repaired text or by what the reader saw, in the entries' order."""
        plates = tuple(dict.fromkeys(p for p in (normal(raw), normal(text)) if 0 < len(p) <= MAX_PLATE))
        candidates: dict[int, str] = {}
        for plate in plates:
            candidates |= self._plain.get(plate.translate(_FOLDS), ())
            if self._wild and self._any_wild.match(plate):
                candidates |= self._wild
        hits = (_judge(entry, pattern, plates) for entry, pattern in sorted(candidates.items()))
        return [hit for hit in hits if hit is not None]


def _widened(pattern: str) -> str:
    return "".join(c if c in "*?" else f"[{''.join(sorted(ALIKE[c]))}]" for c in pattern)


def _judge(entry: int, pattern: str, plates: Sequence[str]) -> Hit | None:
    """Judge by what was seen (first) and what it was repaired to (last); they are one where nothing was repaired."""
    found = [align(pattern, plate) for plate in plates]
    if all(differences == () for differences in found):
        return Hit(entry=entry, kind="wildcard" if "*" in pattern or "?" in pattern else "exact")
    for differences in found:
        # what was seen comes first: a repair that makes the text fit must not hide that something else was seen
        if differences is not None:
            return Hit(entry=entry, kind="lookalike", differences=differences)
    return None
