"""The fleet's files: `fleet.yaml` < `types/<type>.yaml` < `devices/<device>.yaml` < `--set`, one laid upon the other.

    firmware_configs/
      fleet.yaml               what holds for every box
      types/air-station-a.yaml what holds for every box of this hardware
      devices/air-01.yaml      this box

A device's file that stands anywhere else is self-contained; that is how a box receives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.contract.device import Box, Medium, Name, Position, is_collector
from edge_agent.contract.legal import Licence
from edge_agent.contract.nearest import meant
from edge_agent.contract.nodes import Mapping, Mark, Mistake, Scalar, locate, merge, render
from edge_agent.contract.strict import build
from edge_agent.contract.yaml_nodes import parse_setting, read_yaml


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What the levels say together."""

    node: Mapping | None
    """None where a file could not be read at all."""
    mistakes: list[Mistake]
    whole: bool = True
    """False where a level is missing, so that keys may be missing that the level would give."""


def fleet_of(path: Path) -> Path | None:
    """The folder of the fleet that a device's file belongs to; None for a self-contained file."""
    folder = path.resolve().parent
    if folder.name == "devices" and (folder.parent / "fleet.yaml").is_file():
        return path.parent.parent
    return None


def is_level(path: Path) -> bool:
    """Tell whether the file is `fleet.yaml` or a type: a level that others complete."""
    return path.name == "fleet.yaml" or path.resolve().parent.name == "types"


def merged(path: Path, settings: Iterable[str] = ()) -> Merged:
    """Lay the levels of a device's file upon each other; `settings` are `a.b=value`, the last level."""
    node, mistakes = read_yaml(path)
    whole = not is_level(path)
    folder = fleet_of(path)
    if folder is not None and node is not None:
        node, whole = _with_levels(folder, path, node, mistakes)
    for setting in settings:
        over, more = parse_setting(setting)
        mistakes += more
        if node is not None and over is not None:
            # `--set` has no place in the file, so the mapping keeps its own
            node = Mapping(node.at, merge(node, over).entries)
    if node is not None and is_collector(_text(node, "device") or ""):
        message = "is the collector's own name at the broker: a box of that name could read and write everything"
        mistakes.append(Mistake.at(locate(node, ("device",)), "device", message, "give the box another name"))
    return Merged(node=node, mistakes=mistakes, whole=whole)


def _with_levels(folder: Path, path: Path, device: Mapping, mistakes: list[Mistake]) -> tuple[Mapping | None, bool]:
    if (name := _text(device, "device")) not in (None, path.stem):
        hint = f"write `device: {path.stem}`, or give the file the name {name}.yaml"
        message = f"{name!r} is not the name of the file, {path.stem!r}"
        mistakes.append(Mistake.at(locate(device, ("device",)), "device", message, hint))
    fleet, more = read_yaml(folder / "fleet.yaml")
    mistakes += more
    type_, more = _type(folder, device)
    mistakes += more
    if fleet is None or (type_ is None and more and more[0].path != "type"):
        return None, False
    node = merge(fleet, type_) if type_ is not None else fleet
    return merge(node, device), type_ is not None


def _type(folder: Path, device: Mapping) -> tuple[Mapping | None, list[Mistake]]:
    name = _text(device, "type")
    if name is None:
        return None, []
    file = folder / "types" / f"{name}.yaml"
    known = {each.stem for each in (folder / "types").glob("*.yaml")}
    if name in known:
        return read_yaml(file)
    message = f"there is no type {name!r} in {folder / 'types'}"
    return None, [Mistake.at(locate(device, ("type",)), "type", message, meant(name, known))]


def _text(node: Mapping, key: str) -> str | None:
    entry = node.entries.get(key)
    return entry.node.value if entry and isinstance(entry.node, Scalar) and isinstance(entry.node.value, str) else None


class _Station(msgspec.Struct, frozen=True, kw_only=True):
    medium: Medium
    zone: Name | None = None
    licence: Licence | None = None


class _Device(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a device's files that the collector needs; the agent checks the rest."""

    device: Name
    type: Name
    site: Name
    label: str
    position: Position
    station: _Station | None = None
    camera: Any = None
    access_point: Any = None


def device_names(folder: Path) -> list[str]:
    """The fleet's boxes by the names of their files, which are not read."""
    return sorted(path.stem for path in (folder / "devices").glob("*.yaml"))


def read_fleet(folder: Path) -> tuple[dict[str, Box], list[Mistake]]:
    """Every box of the fleet by name, and what is wrong with the files; a box with mistakes is left out."""
    boxes: dict[str, Box] = {}
    mistakes: list[Mistake] = []
    names = device_names(folder)
    if not names:
        at = Mark(str(folder), 1, 1)
        mistakes.append(Mistake.at(at, "", "holds no devices/*.yaml", "give the folder that holds fleet.yaml"))
    for name in names:
        device, wrong = _read_device(folder / "devices" / f"{name}.yaml")
        mistakes += wrong
        if device is not None and not wrong:
            boxes[device.device] = _box(device)
    return boxes, list(dict.fromkeys(mistakes))


def _read_device(path: Path) -> tuple[_Device | None, list[Mistake]]:
    levels = merged(path)
    if levels.node is None:
        return None, levels.mistakes
    device, mistakes = build(levels.node, _Device, partial=not levels.whole)
    licence = device.station.licence if device is not None and device.station is not None else None
    for below, message, hint in licence.mistakes() if licence is not None else ():
        place = ("station", "licence", *below)
        mistakes.append(Mistake.at(locate(levels.node, place), render(place), message, hint))
    return device, levels.mistakes + mistakes


def _box(device: _Device) -> Box:
    station = device.station
    return Box(
        device=device.device,
        type=device.type,
        site=device.site,
        label=device.label,
        position=device.position,
        medium=station.medium if station is not None else None,
        camera=device.camera is not None,
        access_point=device.access_point is not None,
        zone=station.zone if station is not None else None,
        licence=station.licence if station is not None else None,
    )
