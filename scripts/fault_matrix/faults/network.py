"""The link between a box and the broker, or the collector and the broker, is spoiled."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.fault_matrix.box import Box
from scripts.fault_matrix.faults import Moment, fault
from scripts.fault_matrix.link import GOOD, Link, Spoilt
from scripts.fault_matrix.stage import Stage

LATE_S = (0.05, 0.6)
RESETS = (2, 8)
PULLED_LONG = 4.0
"""Times the usual: beyond the box's keepalive."""


def links(stage: Stage) -> Sequence[Link]:
    """Every link that somebody uses; with an embedded broker the collector has none."""
    return [link for name, link in stage.links.items() if not name.startswith("collector") or stage.broker is not None]


def _spoil(link: Link, moment: Moment, spoilt: Spoilt) -> None:
    link.spoil(spoilt)
    moment.hold()
    link.spoil(GOOD)


def cables(stage: Stage) -> Sequence[Box]:
    """Boxes with a network of their own."""
    return [box for box in stage.boxes if box.name in stage.cables]


@fault(cables)
def pull_the_cable_of_a_box(box: Box, moment: Moment) -> None:
    """No packet passes, no connection ends; longer than either side waits, or for a moment."""
    box.link.spoil(Spoilt(state="cut"))
    moment.hold(moment.chance.choice((1.0, PULLED_LONG)))
    box.link.spoil(GOOD)


@fault(links)
def cut_a_link(link: Link, moment: Moment) -> None:
    """Connections end, none is made."""
    _spoil(link, moment, Spoilt(state="cut"))


@fault(links)
def stall_a_link(link: Link, moment: Moment) -> None:
    """Nothing moves, then everything at once."""
    _spoil(link, moment, Spoilt(state="stalled"))


@fault(links)
def leave_a_link_half_open(link: Link, moment: Moment) -> None:
    """Each side believes that it is connected; nothing comes ever again over these connections."""
    _spoil(link, moment, Spoilt(state="half_open"))


@fault(links)
def delay_a_link(link: Link, moment: Moment) -> None:
    """Every packet is late."""
    _spoil(link, moment, Spoilt(delay_s=moment.chance.uniform(*LATE_S)))


@fault(links)
def tear_packets(link: Link, moment: Moment) -> None:
    """Packets come in pieces of some bytes."""
    _spoil(link, moment, Spoilt(piece=moment.chance.randint(1, 200), delay_s=0.001))


@fault(links)
def reset_a_link_often(link: Link, moment: Moment) -> None:
    """Connections are reset in the middle of whatever is said."""
    times = moment.chance.randint(*RESETS)
    for _ in range(times):
        link.reset()
        moment.hold(1 / times)


@fault(links)
def lose_packets(link: Link, moment: Moment) -> None:
    """Half of the publications are lost, in both directions."""
    _spoil(link, moment, Spoilt(drop=0.5))


@fault(links)
def repeat_packets(link: Link, moment: Moment) -> None:
    """Half of the publications come twice, in both directions."""
    _spoil(link, moment, Spoilt(repeat=0.5))


@fault(links)
def lose_receipts(link: Link, moment: Moment) -> None:
    """Everything is stored, and no box hears of it."""
    _spoil(link, moment, Spoilt(drop=1.0, of="/stored"))


@fault(links)
def repeat_receipts(link: Link, moment: Moment) -> None:
    """Every receipt comes twice."""
    _spoil(link, moment, Spoilt(repeat=1.0, of="/stored"))
