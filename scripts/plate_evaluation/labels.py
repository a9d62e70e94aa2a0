"""Reads labels.csv: which plates stand in which photos."""

from __future__ import annotations

import csv
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

COLUMNS = ("file", "part", "kind", "text", "boxes", "vehicle", "colour", "layout")
"""Those that must be there; others are passed over."""
PARTS = ("check", "train")
KINDS = ("scene", "near", "crop")
"""A whole photo, a cut with some street around the plate, nothing but the plate."""
LAYOUTS = ("one", "two", "")
PLATE = re.compile("[A-Z0-9Đ]*")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


class LabelsError(ValueError):
    """Labels that cannot be used; the text names file, line, what is wrong and what to do."""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one photo."""

    file: str
    """Below the folder of labels.csv."""
    part: str
    kind: str
    text: str
    """The plate that is named, without separators; empty where none is. Others may be visible."""
    boxes: tuple[Box, ...]
    """Plates, or the characters on them; the first is the named one's."""
    vehicle: str
    colour: str
    layout: str

    @property
    def group(self) -> str:
        """Photos of one make, such as `street/whole` for `street/whole-0012.webp`: never to be mixed unseen."""
        path = PurePosixPath(self.file)
        series = re.fullmatch(r"([a-z]+)-\d+", path.stem)
        return str(path.parent / series[1]) if series else str(path.parent)


def load(path: Path) -> list[Label]:
    """Read labels.csv in its order. Raises LabelsError at the first line that cannot be used."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            labels = list(_labels(file, path))
    except OSError as error:
        raise LabelsError(f"{path}: cannot be read: {error.strerror}; give the path of a labels.csv") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"{path}: not a CSV file in UTF-8: {error}") from error
    if not labels:
        raise LabelsError(f"{path}: no photo in it, only the heading")
    return labels


def select(labels: Iterable[Label], *, part: str, kind: str, folder: str = "", first: int | None = None) -> list[Label]:
    """Give the photos of a part (or `all`), a kind and a folder that say what to look for: a text or boxes."""
    chosen = [
        label
        for label in labels
        if part in ("all", label.part)
        and label.kind == kind
        and (not folder or label.file.startswith(folder.rstrip("/") + "/"))
        and (label.text or label.boxes)
    ]
    return chosen[:first]


def _labels(lines: Iterable[str], path: Path) -> Iterator[Label]:
    rows = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise LabelsError(f"{path}:1: no column {', '.join(missing)}; the first line must name {', '.join(COLUMNS)}")
    seen: dict[str, int] = {}
    for row in rows:
        try:
            label = _label(row)
            if label.file in seen:
                raise LabelsError(f"file: {label.file} stands in line {seen[label.file]} already; keep one")  # noqa: TRY301
        except LabelsError as error:
            raise LabelsError(f"{path}:{rows.line_num}: {error}") from None
        seen[label.file] = rows.line_num
        yield label


def _label(row: Mapping[str, str | None]) -> Label:
    given = {name: row[name] for name in COLUMNS}
    if None in given.values() or None in row:  # DictReader's marks of a line too short or too long
        raise LabelsError("not as many fields as the heading has columns")
    field = {name: unicodedata.normalize("NFC", value or "").strip() for name, value in given.items()}
    field["text"] = field["text"].replace("Ð", "Đ")  # the Icelandic letter looks the same
    path = PurePosixPath(field["file"])
    if not field["file"] or path.is_absolute() or ".." in path.parts:
        raise LabelsError(f"file: {field['file']!r} is no path below the folder of the labels")
    for name, allowed in (("part", PARTS), ("kind", KINDS), ("layout", LAYOUTS)):
        if field[name] not in allowed:
            raise LabelsError(f"{name}: {field[name]!r}; it must be one of {', '.join(map(repr, allowed))}")
    if not PLATE.fullmatch(field["text"]):
        raise LabelsError(f"text: {field['text']!r}; capitals, digits and Đ only, without separators")
    return Label(boxes=_boxes(field.pop("boxes")), **field)


def _boxes(written: str) -> tuple[Box, ...]:
    if not written:
        return ()
    try:
        boxes = msgspec.convert(json.loads(written), list[Box])
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"boxes: {error}; write [[left, top, right, bottom], ...] in pixels") from error
    for box in boxes:
        if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
            raise LabelsError(f"boxes: {list(box)} is no box; write left, top, right, bottom")
    return tuple(boxes)
