"""What both sides know of a box: who it is and where it stands."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edge_agent.contract.legal import Licence

Medium = Literal["air", "drinking_water", "wastewater", "seawater"]

Name = Annotated[
    str,
    msgspec.Meta(
        pattern="^[a-z][a-z0-9-]{0,31}$", title="lower-case letters, digits and hyphens, a letter first, at most 32"
    ),
]
"""Devices, sites, hardware types, lines and sensors: lower case, digits, hyphens."""


COLLECTOR = "collector"
"""User name of the collector at the broker, or its beginning where there are several; no box may be called so."""


def is_collector(name: str) -> bool:
    """Tell whether a user name at the broker is a collector's: `collector`, `collector-2` ..."""
    return name == COLLECTOR or name.startswith(f"{COLLECTOR}-")


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Degrees, WGS 84."""

    lat: Annotated[float, msgspec.Meta(ge=-90, le=90, description="Degrees north of the equator")]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180, description="Degrees east of Greenwich")]


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One box as the collector knows it from the fleet's files."""

    device: str
    type: str
    site: str
    label: str
    position: Position
    medium: Medium | None
    """The measurement that its readings go to; None where it measures nothing."""
    camera: bool
    access_point: bool
    zone: str | None = None
    """Use or column of the general limits that hold here."""
    licence: Licence | None = None
