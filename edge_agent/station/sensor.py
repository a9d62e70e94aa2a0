"""What every driver's options have in common. A driver is one struct in one file of `drivers/`: its fields are the
options in the station's file, its `poll` is the conversation. `settings.py` finds it there.

A driver also says how its sensors are found on a line that nobody knows, for `edge-agent sensors scan`: `speeds`,
`speaks`, `modbus` and `recognise`. One that says nothing is not looked for.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec

from edge_agent.contract.device import Name
from edge_agent.station.conversation import Ask, Conversation, Pause

LineKind = Literal["serial", "tcp"]

Mistake = tuple[tuple[str | int, ...], str, str]
"""Path in the file, what is wrong, what to do."""


class Speed(NamedTuple):
    """Baud rate and format of a serial line."""

    baud: int = 9600
    format: str = "8N1"

    def __str__(self) -> str:
        return f"{self.baud} {self.format}"


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor that was found on a line."""

    options: dict[str, Any] = {}
    """What the file must say of it beside `driver` and `line`."""
    why: str
    """What it was recognised by, in a few words."""


Recognition = Generator[Ask | Pause, bytes, Recognised | None]
"""Like a conversation of a poll; ends with None where what answers is another kind of sensor."""


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

    speeds: ClassVar[tuple[Speed, ...]] = (Speed(),)
    """How serial lines with such sensors are set, the way they come from the factory first."""
    speaks: ClassVar[bool] = False
    """Whether such sensors send by themselves: they are listened for before anything is sent."""
    modbus: ClassVar[bool] = False
    """Whether it is a Modbus slave: `recognise` is called for the addresses that answer (and for `address` as the
    factory sets it, even if that keeps silent)."""
    shy: ClassVar[bool] = False
    """Whether such a slave keeps silent when asked for a register that it does not have: then `recognise` is called for
    every address, at the first of `speeds`."""

    @property
    def gives(self) -> tuple[str, ...]:
        """Quantities that every poll gives, in the order of its values, before `rename`."""
        raise NotImplementedError

    @property
    def wakes(self) -> bool:
        """Whether the conversation wakes the sensor and waits `warm_up_s` itself; it is then begun that much early."""
        return False

    @property
    def waits(self) -> bool:
        """Whether the conversation waits `warm_up_s` itself where it set the sensor going; nothing is then left out."""
        return self.wakes

    def poll(self, kind: LineKind) -> Conversation:
        """Begin a conversation that reads the sensor once over a line of this kind."""
        raise NotImplementedError

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong with these options taken together; paths begin at the sensor."""
        yield from ()

    @classmethod
    def recognise(cls, kind: LineKind, address: int) -> Recognition:
        """Find out whether such a sensor answers; `address` is the slave's, where `modbus` says that there is one.

        Sends only what the sensor's documentation calls harmless. Where `speaks` is true, the conversation is also
        carried over bytes that were overheard, and nothing is sent. Raises Silence and FrameError as `poll` does; both
        mean: not found.
        """
        yield from ()
        return None


def doubled(values: Sequence[str]) -> Iterator[Mistake]:
    """Quantities that stand in `values` more than once."""
    for i, quantity in enumerate(values):
        if quantity in values[:i]:
            yield ("values", i), f"{quantity} stands here twice", "name each value once"
