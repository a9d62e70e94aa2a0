"""Text for people, in Vietnamese and English."""

from __future__ import annotations


class BilingualError(ValueError):
    """Something that a person can put right: what is wrong, and what to do about it."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(f"{vi} / {en}")
        self.vi = vi
        self.en = en
