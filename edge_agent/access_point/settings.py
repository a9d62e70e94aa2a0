"""What an access point's files may say about what it observes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

InterfaceName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,15}$", title="the name of a network interface, such as wlan0")
]
FilePath = Annotated[str, Meta(min_length=1, max_length=255)]


class UbusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ubus", tag_field="by"):
    """Ask hostapd through OpenWrt's bus: `ubus call hostapd.<interface> get_clients`."""

    command: Annotated[FilePath, Meta(description="The program to run")] = "ubus"


class SocketSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="socket", tag_field="by"
):
    """Ask hostapd on its control socket, one socket for each interface in the folder."""

    folder: Annotated[FilePath, Meta(description="hostapd's ctrl_interface folder")] = "/var/run/hostapd"


class AccessPointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an access point is observed: clients, traffic and leases, once in every window."""

    interfaces: Annotated[
        tuple[InterfaceName, ...], Meta(min_length=1, max_length=16, description="Wireless interfaces that guests use")
    ]
    hostapd: Annotated[UbusSettings | SocketSettings, Meta(description="How hostapd is asked for its clients")] = (
        UbusSettings()
    )
    every_s: Annotated[int, Meta(ge=1, le=3600, description="Length of a window in seconds")] = 60
    timeout_s: Annotated[float, Meta(ge=0.1, le=60, description="Longest wait for hostapd's answer")] = 2.0
    traffic: Annotated[FilePath, Meta(description="The kernel's interface counters")] = "/proc/net/dev"
    leases: Annotated[
        FilePath | None, Meta(description="dnsmasq's DHCP leases; null where another machine gives addresses")
    ] = "/tmp/dhcp.leases"  # noqa: S108
