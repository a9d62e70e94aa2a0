"""What a box's files may say about the parts that every box has: broker, outbox, uplink, health."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.contract.broker import FilePath, TlsSettings


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where events go. The user name is the device's name."""

    host: Annotated[str, Meta(min_length=1, max_length=253, description="Name or address of the MQTT broker")]
    port: Annotated[int, Meta(ge=1, le=65535, description="8883 with TLS, 1883 without")] = 8883
    password_file: Annotated[
        FilePath | None, Meta(description="File that holds the box's password; passwords never stand in these files")
    ] = None
    tls: Annotated[TlsSettings | None, Meta(description="Only a broker on the same machine may go without")] = None
    keepalive_s: Annotated[
        int, Meta(ge=5, le=3600, description="Silence after which a dead link is noticed, in seconds")
    ] = 75

    def __post_init__(self) -> None:
        try:
            self.host.encode("idna")
        except UnicodeError:
            raise ValueError(f"{self.host!r} is neither a name nor an address") from None

    @property
    def on_this_machine(self) -> bool:
        """Whether the host is the loopback interface, so that nothing goes over a wire."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


MAX_MB_IN_MEMORY = 32
"""A box has little memory; a few megabytes hold weeks."""


class OutboxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events on the box until the collector has stored them."""

    max_mb: Annotated[
        float, Meta(ge=0.1, le=100_000, description="Most megabytes; above, the oldest of the least important go")
    ] = 64
    commit_s: Annotated[
        float,
        Meta(ge=0, le=60, description="Longest wait of an event that is no plate for others to be written with"),
    ] = 1
    storage: Annotated[
        Literal["disk", "memory"],
        Meta(description="memory spares a flash that must not be written; a restart takes what was not sent"),
    ] = "disk"

    def __post_init__(self) -> None:
        if self.storage == "memory" and self.max_mb > MAX_MB_IN_MEMORY:
            raise ValueError(f"storage is memory: max_mb must be at most {MAX_MB_IN_MEMORY} ({self.max_mb:g})")


class UplinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events go to the broker and when they are sent again."""

    window: Annotated[int, Meta(ge=1, le=1000, description="Most packs on the way without a receipt")] = 8
    resend_s: Annotated[
        float, Meta(ge=0.1, le=3600, description="First wait for a receipt before a pack is sent again, in seconds")
    ] = 5
    resend_max_s: Annotated[float, Meta(ge=0.1, le=86_400, description="The wait doubles up to this many seconds")] = 30
    backlog_packs_per_s: Annotated[
        float, Meta(gt=0, le=10_000, description="Most packs of the backlog in a second; fresh events go at once")
    ] = 20
    gather_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="Readings wait so long at most for others in their pack, each box a part of it of its own",
        ),
    ] = 5
    pack_kb: Annotated[int, Meta(ge=1, le=240, description="Size that a pack stays below, in kilobytes")] = 32

    def __post_init__(self) -> None:
        if self.resend_max_s < self.resend_s:
            raise ValueError(f"resend_max_s is less than resend_s ({self.resend_s:g})")


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The box's own heartbeat."""

    every_s: Annotated[float, Meta(ge=1, le=86_400, description="Seconds between heartbeats")] = 60
