"""Silent boxes told once: many of one site are one notice about the site, many sites one about the centre; pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from collector.live_box import DeviceState

log = logging.getLogger(__name__)

SILENT = ("late", "offline")
MANY = 3
"""So many silent boxes of a site are one notice, if they are half of those that ever spoke; sites likewise."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody should look at."""

    place: Literal["centre", "site", "box"]
    name: str
    """The site or the box; of the centre, `centre`."""
    boxes: tuple[str, ...]
    """Those that say nothing."""
    of: int
    """Boxes of the place that ever spoke."""
    since: int | None
    """When the last of them said something, ms UTC; None where they only ever connected."""

    @property
    def text(self) -> str:
        """One line for the log."""
        if self.place == "box":
            return f"{self.name}: says nothing"
        cure = "are power and link of the site up?" if self.place == "site" else "is the broker up, and the network?"
        where = f"site {self.name}" if self.place == "site" else "everywhere"
        return f"{where}: {len(self.boxes)} of {self.of} boxes say nothing; {cure}"


def notices(devices: Iterable[DeviceState]) -> list[Notice]:
    """What the states of the boxes come to, the widest first."""
    by_site: dict[str, list[DeviceState]] = {}
    for device in devices:
        if device.state != "never":
            by_site.setdefault(device.box.site, []).append(device)
    silent = {site: [d for d in there if d.state in SILENT] for site, there in by_site.items()}
    dark = [site for site, boxes in silent.items() if _many(len(boxes), len(by_site[site]))]
    if _many(len(dark), len(by_site)):
        everywhere = [device for boxes in silent.values() for device in boxes]
        return [_notice("centre", "centre", everywhere, sum(map(len, by_site.values())))]
    found = [_notice("site", site, silent[site], len(by_site[site])) for site in sorted(dark)]
    alone = (device for site in sorted(silent.keys() - dark) for device in silent[site])
    return found + [_notice("box", device.box.device, [device], 1) for device in alone]


def _many(some: int, of: int) -> bool:
    return some >= MANY and 2 * some >= of


def _notice(place: Literal["centre", "site", "box"], name: str, boxes: Sequence[DeviceState], of: int) -> Notice:
    since = max((device.seen for device in boxes if device.seen is not None), default=None)
    return Notice(place=place, name=name, boxes=tuple(sorted(d.box.device for d in boxes)), of=of, since=since)


class Told:
    """What the log knows: each notice is said once when it begins, and once when it ends."""

    def __init__(self) -> None:
        self._open: set[tuple[str, str]] = set()

    def tell(self, found: Sequence[Notice]) -> None:
        """Log what is new and what is over."""
        now = {(notice.place, notice.name): notice for notice in found}
        for key in sorted(now.keys() - self._open):
            log.warning("%s", now[key].text)
        covered = {box for notice in found for box in notice.boxes}
        for place, name in sorted(self._open - now.keys()):
            if place != "box" or name not in covered:  # else it became part of something wider
                log.info("%s: heard again", name)
        self._open = set(now)
