"""MQTT topics: `v1/up/<device>/<kind>` from a box, `v1/down/<device>/<kind>` to it.

>>> str(Topic.parse("v1/up/air-01/readings"))
'v1/up/air-01/readings'
"""

from __future__ import annotations

import re
from typing import NamedTuple, Self

UP_KINDS = ("readings", "plates", "wifi", "health", "lost", "status", "answer")
ALL_UP = "v1/up/#"

_TOPIC = re.compile(r"v1/(up|down)/([a-z][a-z0-9-]{0,31})/([a-z]{1,16})")


class Topic(NamedTuple):
    """One topic of the contract; `parse` is its only parser, `str()` its only printer."""

    direction: str
    device: str
    kind: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a topic apart. Raises ValueError for anything that is not of the contract's form."""
        match = _TOPIC.fullmatch(text)
        if match is None:
            raise ValueError(f"not a topic of the contract: {text[:80]!r}")
        return cls(match[1], match[2], match[3])

    def __str__(self) -> str:
        return f"v1/{self.direction}/{self.device}/{self.kind}"


def up(device: str, kind: str) -> str:
    """The topic that a box sends events of `kind` to."""
    return str(Topic("up", device, kind))


def down(device: str, kind: str) -> str:
    """The topic that a box listens to."""
    return str(Topic("down", device, kind))
