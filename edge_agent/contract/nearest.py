"""What somebody probably meant who wrote a word that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """What was probably meant, or what there is."""
    names = sorted(known)
    if close := nearest(word, names, 1, least=0.6):
        return f"did you mean {close[0]!r}?"
    return f"known are: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else ""


def nearest(word: str, names: Iterable[str], most: int, least: float = 0.5) -> list[str]:
    """The names most like a word, those that are alike in their order: for `air-1` rather `air-01` than `air-16`."""
    from difflib import SequenceMatcher  # who makes no mistake needs none of it

    scored = [(-SequenceMatcher(None, name, word.lower()).ratio(), name) for name in names]
    return [name for score, name in sorted(scored) if -score >= least][:most]
