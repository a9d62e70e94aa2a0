"""What the department's receiving program expects of the files, and where they go (key `regulator`).

The circular's annex leaves much to each department: codes, symbols, units, folders, which time stands in a file, what
stands for a missing value. None of that has a default here: ask the department, write it down, and look at the result
of `collector regulator make` before anything is sent. A station that is not named sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge_agent.contract.broker import FilePath
from edge_agent.contract.nearest import meant
from edge_agent.contract.quantities import BY_NAME, conversion, units_for

Code = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$", title="letters, digits and _ . - (at most 32), as given"),
]
"""A part of a file's name."""
Cell = Annotated[str, Meta(pattern=r"^[^\t\r\n]{0,32}$", title="text without TAB, at most 32 characters")]
Port = Annotated[int, Meta(ge=1, le=65535)]
HostKey = Annotated[
    str,
    Meta(
        pattern=r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,}={0,2}$",
        title="a host key such as `ssh-ed25519 AAAAC3...`",
    ),
]
PLACES = ("province", "facility", "station", "yyyy", "MM", "dd")
"""What a folder's pattern may hold in braces."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Receiver(_Strict, frozen=True, kw_only=True):
    """What every kind of server has."""

    host: Annotated[str, Meta(min_length=1, max_length=255)]
    user: Annotated[str, Meta(min_length=1, max_length=255)]
    province: Annotated[Code, Meta(description="The province's code, the first part of a file's name")]
    folder: Annotated[
        str, Meta(min_length=1, max_length=255, description="Where files go, such as /data/{station}/{yyyy}/{MM}/{dd}")
    ]
    stamp: Annotated[
        Literal["begin", "end"], Meta(description="Which time of a cycle stands in name, folder and lines")
    ]
    missing: Annotated[
        Literal["leave_out", "fault"],
        Meta(description="A parameter without a usable value: no line, or a line without value and with status 02"),
    ]
    line_end: Annotated[Literal["crlf", "lf"], Meta(description="How lines end")]
    value: Literal["mean", "last"] = "mean"
    """Of a cycle's usable values."""
    files_per_minute: Annotated[float, Meta(gt=0, le=6000)] = 300
    """At most; what waits after an outage goes no faster. 26 stations make about five a minute."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 20
    """Limit of every single answer of the server; a whole file gets six times as long."""

    def __post_init__(self) -> None:
        for place in re.findall(r"\{([^{}]*)\}", self.folder):
            if place not in PLACES:
                raise ValueError(f"folder holds {{{place}}}; known are {', '.join(f'{{{p}}}' for p in PLACES)}")
        if re.search(r"[{}\s\\]", re.sub(r"\{[^{}]*\}", "", self.folder)):
            raise ValueError("folder holds a lone brace, a space or a backslash")


class Ftp(_Receiver, frozen=True, kw_only=True, tag_field="kind", tag="ftp"):
    """Plain FTP. Whoever listens on the way reads password and files, and can change them: only where the department
    offers nothing else, and then best through a tunnel."""

    port: Port = 21
    password_file: FilePath


class Ftps(_Receiver, frozen=True, kw_only=True, tag_field="kind", tag="ftps"):
    """FTP with TLS on both connections (AUTH TLS); the server's certificate must be signed by `ca` for `host`."""

    port: Port = 21
    password_file: FilePath
    ca: Annotated[FilePath, Meta(description="File with the certificate that signed the server's, or the server's own")]


class Sftp(_Receiver, frozen=True, kw_only=True, tag_field="kind", tag="sftp"):
    """SFTP; the server is known by its key alone, which the department must confirm (`ssh-keyscan HOST` shows it)."""

    port: Port = 22
    password_file: FilePath | None = None
    key_file: Annotated[FilePath | None, Meta(description="Private key without a passphrase")] = None
    host_key: Annotated[HostKey, Meta(description="The server's public key, `ssh-keyscan HOST` without the first word")]

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.password_file is None) == (self.key_file is None):
            raise ValueError("one of password_file and key_file must be given, and not both")


Server = Ftp | Ftps | Sftp


class Parameter(_Strict, frozen=True, kw_only=True):
    """How a quantity stands in the file."""

    symbol: Annotated[Cell, Meta(min_length=1, description="As the department writes it: PM2,5 or PM2.5 or PM25")]
    unit: Annotated[Cell, Meta(description="As the department writes it; '' for none")]
    decimals: Annotated[int, Meta(ge=0, le=6)]
    factor: Annotated[float, Meta(gt=0)] = 1.0
    """Turns the registered unit into that of the file: 0.001 for mg/m3 of what is registered in µg/m3."""


class Station(_Strict, frozen=True, kw_only=True):
    """A station that sends."""

    code: Annotated[Code, Meta(description="The station's code, the third part of a file's name")]
    facility: Annotated[Code, Meta(description="The facility's code, the second part of a file's name")]
    server: str
    parameters: Annotated[dict[str, Parameter], Meta(min_length=1, description="Quantity: how it stands in the file")]
    """In the order of the file's lines."""


class RegulatorSettings(_Strict, frozen=True, kw_only=True):
    """The regulator's files: servers, and stations that send to them."""

    servers: dict[str, Server]
    stations: dict[str, Station]
    cycle_s: Annotated[int, Meta(ge=60, le=300)] = 300
    """Seconds that one file covers; a whole number of cycles makes an hour."""
    settle_s: Annotated[float, Meta(ge=0, le=240)] = 60
    """A cycle's file is made when the cycle has ended and nothing new came for so long."""
    keep_days: Annotated[int, Meta(ge=60, le=3660)] = 60
    """How long files are kept, sent or not; what was not sent by then is given up, and said."""
    notify_after_h: Annotated[float, Meta(gt=0)] = 12
    """A station for which nothing was confirmed for so long is one that the department must be told of in writing."""

    def __post_init__(self) -> None:
        if 3600 % self.cycle_s:
            raise ValueError(f"cycle_s {self.cycle_s} does not divide an hour")

    @property
    def cycle_ms(self) -> int:
        """Length of a cycle."""
        return self.cycle_s * 1000

    def of_server(self, server: str) -> list[str]:
        """The stations that send to a server."""
        return [name for name, station in self.stations.items() if station.server == server]

    def mistakes(
        self, stations: Collection[str], named: Collection[str] = ()
    ) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """What no schema can say, for a fleet of these boxes: (path below `regulator`, what is wrong, what to do).

        Where the fleet is not known (none), no station is looked for in it. `named` are the servers that the file
        names, also those that have a mistake of their own and are therefore not here.
        """
        names: dict[tuple[str, str, str], str] = {}
        for name, station in self.stations.items():
            path = ("stations", name)
            if stations and name not in stations:
                yield path, f"there is no station {name!r} in the fleet", meant(name, stations)
            server = self.servers.get(station.server)
            if server is None and station.server not in named:
                yield (*path, "server"), f"there is no server {station.server!r}", meant(station.server, self.servers)
            elif server is not None:
                codes = (server.province, station.facility, station.code)
                other = names.setdefault(codes, name)
                if other != name:
                    yield (*path, "code"), f"gives files the same names as those of {other}", "ask for its own code"
            yield from _wrong_parameters(path, station)


def _wrong_parameters(path: tuple[str, ...], station: Station) -> Iterator[tuple[tuple[str, ...], str, str]]:
    symbols: dict[str, str] = {}
    for quantity, parameter in station.parameters.items():
        here = (*path, "parameters", quantity)
        if quantity not in BY_NAME:
            yield here, f"{quantity!r} is not a quantity", meant(quantity, BY_NAME)
            continue
        other = symbols.setdefault(parameter.symbol, quantity)
        if other != quantity:
            yield (*here, "symbol"), f"{parameter.symbol!r} is the symbol of {other} too", "give each its own"
        own, unit = BY_NAME[quantity].unit, parameter.unit.replace("Nm3", "m3").replace("m³", "m3")
        if unit != own and unit in units_for(quantity) and parameter.factor == 1:
            factor, offset = conversion(quantity, unit)
            cure = f"add `factor: {1 / factor:.6g}`" if not offset else f"only {own} can be sent"
            yield (*here, "unit"), f"{quantity} is measured in {own}, and {parameter.unit} is another unit", cure
