"""What every driver's options have in common. A driver is one struct in one file of `drivers/`: its fields are the
options in the station's file, its `poll` is the conversation. `settings.py` finds it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec

from edge_agent.contract.device import Name
from edge_agent.station.conversation import Conversation

LineKind = Literal["serial", "tcp"]

Mistake = tuple[tuple[str | int, ...], str, str]
"""Path in the file, what is wrong, what to do."""


class Sensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver"):
    """Options of every sensor."""

    line: Annotated[Name, msgspec.Meta(description="Name of the line, under `lines`, that the sensor is wired to.")]
    every_s: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=86_400, description="Seconds between polls; polls fall on whole multiples since midnight UTC."
        ),
    ] = 60
    timeout_s: (
        Annotated[
            float,
            msgspec.Meta(ge=0.05, le=60, description="Seconds that an answer may take; instead of the line's limit."),
        ]
        | None
    ) = None
    warm_up_s: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=3600,
            description="Seconds after power-up or waking in which the sensor's values are not to be believed;"
            " they are left out, status calibrating.",
        ),
    ] = 0
    rename: Annotated[
        dict[str, str],
        msgspec.Meta(
            description="Quantity of the driver: quantity to store it as; `pm2_5: pm2_5_b` for the second of twins."
        ),
    ] = {}

    kinds: ClassVar[frozenset[LineKind]] = frozenset({"serial"})
    """Lines that the driver can talk over."""
    shares: ClassVar[bool] = False
    """Whether several such sensors can stand on one line; only where the protocol has addresses."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Quantities that every poll gives, in the order of its values, before `rename`."""
        raise NotImplementedError

    @property
    def wakes(self) -> bool:
        """Whether the conversation wakes the sensor and waits `warm_up_s` itself; it is then begun that much early."""
        return False

    def poll(self, kind: LineKind) -> Conversation:
        """Begin a conversation that reads the sensor once over a line of this kind."""
        raise NotImplementedError

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong with these options taken together; paths begin at the sensor."""
        yield from ()
