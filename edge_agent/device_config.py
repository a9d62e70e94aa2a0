"""One box's configuration as the agent knows it; how it is read from files is `config.py`'s business."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edge_agent.access_point.settings import AccessPointSettings
from edge_agent.camera.settings import CameraSettings
from edge_agent.contract.broker import FilePath
from edge_agent.contract.device import Name, Position
from edge_agent.settings import BrokerSettings, HealthSettings, OutboxSettings, UplinkSettings
from edge_agent.station.settings import StationSettings

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class Area(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the fleet's boxes can stand, in degrees; catches a slip of the finger in a position."""

    west: Longitude
    east: Longitude
    south: Latitude
    north: Latitude

    def __contains__(self, position: Position) -> bool:
        return self.south <= position.lat <= self.north and self.west <= position.lon <= self.east

    def __str__(self) -> str:
        return f"lat {self.south:g} to {self.north:g}, lon {self.west:g} to {self.east:g}"


class DeviceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One box: who it is, where it stands, where its events go, and the parts that it has."""

    device: Annotated[Name, Meta(description="The box's name; the name of its file, and of its user at the broker")]
    type: Annotated[Name, Meta(description="Its hardware: a file in types/")]
    site: Annotated[Name, Meta(description="Where it stands, in one word; boxes of one place share it")]
    label: Annotated[str, Meta(min_length=1, max_length=120, description="Its name for people: Vietnamese / English")]
    position: Annotated[Position, Meta(description="Degrees, WGS 84")]
    area: Annotated[Area | None, Meta(description="Bounds that every position must lie in; not checked if absent")] = (
        None
    )
    state: Annotated[FilePath, Meta(description="Folder on the box for its outbox")] = "/var/lib/edge-agent"
    broker: BrokerSettings
    outbox: OutboxSettings = OutboxSettings()
    uplink: UplinkSettings = UplinkSettings()
    health: HealthSettings = HealthSettings()
    station: StationSettings | None = None
    camera: CameraSettings | None = None
    access_point: AccessPointSettings | None = None
