"""One box's configuration: all levels merged, checked against the structs and against itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from edge_agent.contract.device import Position
from edge_agent.contract.fleet import merged
from edge_agent.contract.nodes import Mapping, Mistake, Scalar, locate, render, walk
from edge_agent.contract.strict import build
from edge_agent.device_config import Area, DeviceConfig
from edge_agent.errors import ConfigError
from edge_agent.settings import BrokerSettings, UplinkSettings
from edge_agent.station import settings as station_settings
from edge_agent.station.settings import StationSettings

__all__ = ["BrokerSettings", "DeviceConfig", "UplinkSettings", "check_file", "load", "read", "report"]

T = TypeVar("T")


def load(path: Path, sets: Iterable[str] = ()) -> DeviceConfig:
    """Read a device's file with its levels. Raises ConfigError that names every mistake with its place and cure."""
    config, _, mistakes = read(path, sets)
    if config is None or mistakes:
        raise ConfigError(report(mistakes))
    return config


def check_file(path: Path, sets: Iterable[str] = ()) -> list[Mistake]:
    """Everything wrong with a device's file and its levels, or with a level's file by itself."""
    return read(path, sets)[2]


def read(path: Path, sets: Iterable[str] = ()) -> tuple[DeviceConfig | None, Mapping | None, list[Mistake]]:
    """The configuration, the merged nodes it was made of, and all mistakes; with mistakes the first may be partial."""
    levels = merged(path, sets)
    if levels.node is None:
        return None, None, levels.mistakes
    if levels.whole and not levels.node.entries.keys() & {"station", "camera", "access_point"}:
        hint = "its type's file must say `station:`, `camera:` or `access_point:`"
        levels.mistakes.append(Mistake.at(locate(levels.node, ("type",)), "type", "the box has nothing to do", hint))
    config, wrong = build(levels.node, DeviceConfig, partial=not levels.whole)
    secrets = list(_secrets(levels.node))
    told = {(mistake.file, mistake.line, mistake.column) for mistake in secrets}
    wrong = [mistake for mistake in wrong if (mistake.file, mistake.line, mistake.column) not in told]
    mistakes = [*levels.mistakes, *secrets, *wrong, *_cross_mistakes(levels.node, wrong, levels.whole)]
    unique = dict.fromkeys(mistakes)
    own = str(path)
    return config, levels.node, sorted(unique, key=lambda m: (m.file != own, m.file, m.line, m.column))


def report(mistakes: Iterable[Mistake]) -> str:
    """All mistakes as text: a line with the place and what is wrong, a line with the cure."""
    return "\n".join(f"{mistake}\n    {mistake.hint}" if mistake.hint else str(mistake) for mistake in mistakes)


def _cross_mistakes(node: Mapping, wrong: list[Mistake], whole: bool) -> Iterator[Mistake]:
    """What no schema can say; each part is looked at whatever is wrong with the others."""
    broker = _part(node, "broker", BrokerSettings)
    if broker is not None and broker.tls is None and not broker.on_this_machine and not _within(wrong, "broker"):
        hint = "add `broker.tls: {ca: <the authority's certificate>}`; only a broker on this machine goes without"
        message = f"{broker.host} would be sent the password and all data in clear text"
        yield Mistake.at(locate(node, ("broker", "host")), "broker.host", message, hint)
    area, position = _part(node, "area", Area), _part(node, "position", Position)
    if area is not None and position is not None and position not in area:
        message = f"{position.lat:g}, {position.lon:g} lies outside the area ({area})"
        hint = "look the place up again; a map's link often says lat,lon in this order"
        yield Mistake.at(locate(node, ("position",)), "position", message, hint)
    station = _part(node, "station", StationSettings)
    # where a line is wrong or still to come, every sensor on it would be named for nothing
    if station is not None and whole and not _within(wrong, "station.lines"):
        for below, message, hint in station_settings.mistakes(station):
            path = ("station", *below)
            yield Mistake.at(locate(node, path), render(path), message, hint)


def _part(node: Mapping, key: str, type_: type[T]) -> T | None:
    entry = node.entries.get(key)
    return build(entry.node, type_, partial=True)[0] if entry is not None else None


def _within(mistakes: list[Mistake], path: str) -> bool:
    return any(mistake.path.startswith(path) for mistake in mistakes)


_SECRET_KEY = re.compile(r"(?i)(^|[_-])(password|passwd|passphrase|secret|token|api[_-]?key)$")
_SECRET_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def _secrets(node: Mapping) -> Iterator[Mistake]:
    """Secrets in the file, which is copied and shown around; their values are never repeated."""
    for path, at, part in walk(node):
        if not isinstance(part, Scalar) or part.value is None:
            continue
        if isinstance(path[-1], str) and _SECRET_KEY.search(path[-1]):
            hint = (
                "change the password, for this file may have been seen; write the new one to a file that only the "
                "agent may read, and name that file in `password_file`"
            )
            yield Mistake.at(at, render(path), "a secret stands in the file", hint)
        elif _SECRET_URL.search(part.text):
            hint = "leave user@host in the address, and name the file that holds the password in `password_file`"
            yield Mistake.at(part.at, render(path), "a password stands in the address", hint)
