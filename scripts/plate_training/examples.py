"""Labelled photos -> examples: a picture of a plate, the quad of its characters, what stands on its lines.

Where only an upright box is known, an OCR's pieces (written by `teacher.py`) tell how the text lies, if they agree with
the known text; else the box is taken as it is.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from scripts.plate_evaluation.score import edits

Image = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float32]
"""4 x 2: top left as read, then clockwise, in pixels; the outline of the characters."""
Piece = tuple[list[list[float]], str, float]
"""What an OCR found: corners, text, confidence."""

GROUND_SHARE = {"gate": 0.07, "close": 0.07}
"""Boxes of these folders are of the whole plate; the characters begin this share of its size further in."""
ONE_LINE_ABOVE = 3.0
"""Width over height from which no text has two lines."""
FIRST_MOTORBIKES = re.compile(r"\d{5}[A-Z][A-Z0-9]?")
"""Province above; number and series below."""
NEAR = 0.6
"""Of the text's width: how much of the photo around a plate is kept with it."""


class Example(NamedTuple):
    """One plate in one picture."""

    name: str
    image: Image
    quad: Quad
    lines: tuple[str, ...]
    """Upper, lower; one text for a plate of one line."""
    colour: str
    characters: tuple[tuple[float, float, float, float, str], ...] = ()


class Found(Protocol):
    """Where a model found the named plate (see own.py)."""

    @property
    def quad(self) -> Quad:
        """Where it is."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands on it."""


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of labels.csv that may be trained on."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["part"] == "train"]


def lines_of(row: dict[str, str]) -> tuple[str, ...]:
    """Give what stands on each line, as the labels say."""
    if FIRST_MOTORBIKES.fullmatch(row["text"]):
        return row["text"][:2], row["text"][2:]  # written as one line in the labels
    return tuple(row["lines"].split("|"))


def examples(folder: Path, pieces: Mapping[str, list[Piece]], own: Mapping[str, Found]) -> Iterator[Example]:
    """Give the plates whose text and place are known: `own`, where a model found them, goes before `pieces`."""
    for row in rows(folder):
        if not row["text"]:
            continue
        lines = lines_of(row)
        image = cv2.imread(str(folder / row["file"]))
        if image is None:
            raise ValueError(f"{folder / row['file']}: not a picture that OpenCV can read")
        kind = row["file"].partition("/")[0]
        if row["file"].startswith("crops/line"):
            height, width = image.shape[:2]
            quad = upright(0.045 * width, 0.14 * height, 0.955 * width, 0.86 * height)
            yield Example(row["file"], image, quad, lines, row["colour"])
        elif row["chars"]:
            boxes = [tuple(box) for box in json.loads(row["chars"])]
            if sorted(box[4] for box in boxes) == sorted(row["text"]):
                yield Example(row["file"], image, around(boxes, len(lines)), lines, row["colour"], tuple(boxes))
        elif row["file"] in own:
            yield Example(row["file"], image, own[row["file"]].quad, own[row["file"]].lines, row["colour"])
        else:
            box = json.loads(row["boxes"])[0] if row["boxes"] else None
            if box is not None and len(lines) == 2 and box[2] - box[0] > ONE_LINE_ABOVE * (box[3] - box[1]):
                lines = ("".join(lines),)  # painted on a lorry in one line, whatever its plate has
            found = of_pieces(pieces.get(row["file"], []), lines, box)
            if found is not None:
                yield Example(row["file"], image, found, lines, row["colour"])
            elif box is not None:
                inward = GROUND_SHARE.get(kind, 0.0)
                width, height = box[2] - box[0], box[3] - box[1]
                quad = upright(box[0] + inward * width, box[1] + inward * height,
                               box[2] - inward * width, box[3] - inward * height)  # fmt: skip
                yield Example(row["file"], image, quad, lines, row["colour"])


def cut(example: Example) -> Example:
    """Leave away what is far from the plate."""
    low, high = example.quad.min(0), example.quad.max(0)
    room = NEAR * (high[0] - low[0])
    height, width = example.image.shape[:2]
    x0, y0 = max(0, int(low[0] - room)), max(0, int(low[1] - room))
    x1, y1 = min(width, math.ceil(high[0] + room)), min(height, math.ceil(high[1] + room))
    image = np.ascontiguousarray(example.image[y0:y1, x0:x1])
    return example._replace(image=image, quad=example.quad - np.array([x0, y0], np.float32))


def upright(x0: float, y0: float, x1: float, y1: float) -> Quad:
    """Give the quad of an upright box."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def around(boxes: Sequence[tuple[float, float, float, float, str]], lines: int) -> Quad:
    """Give the quad around boxed characters, which lie on one or two straight lines."""
    centres = np.array([[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2] for b in boxes])
    if lines == 1:
        slope = float(np.polyfit(centres[:, 0], centres[:, 1], 1)[0])
    else:  # the lines are parallel: centre each, then one fit
        middle = (min(b[1] for b in boxes) + max(b[3] for b in boxes)) / 2
        parts = [centres[centres[:, 1] < middle], centres[centres[:, 1] >= middle]]
        moved = np.concatenate([part - part.mean(0) for part in parts if len(part)])
        slope = float((moved[:, 0] * moved[:, 1]).sum() / max(1e-6, (moved[:, 0] ** 2).sum()))
    corners = [(x, y) for b in boxes for x in (b[0], b[2]) for y in (b[1], b[3])]
    return turned(np.array(corners, np.float32), math.atan(slope))


def turned(points: npt.NDArray[np.float32], angle: float) -> Quad:
    """Give the rectangle around points whose upper side runs at `angle` radians (clockwise, y runs down)."""
    along = np.array([math.cos(angle), math.sin(angle)], np.float32)
    down = np.array([-along[1], along[0]], np.float32)
    across, deep = points @ along, points @ down
    return np.stack(
        [u * along + v * down for u, v in ((across.min(), deep.min()), (across.max(), deep.min()),
                                           (across.max(), deep.max()), (across.min(), deep.max()))]
    ).astype(np.float32)  # fmt: skip


def of_pieces(pieces: Sequence[Piece], lines: Sequence[str], box: Sequence[float] | None) -> Quad | None:
    """Give the quad of those pieces that say what stands on the plate's lines, or None where they do not."""
    chosen: list[npt.NDArray[np.float32]] = []
    for line in lines:
        best: tuple[float, npt.NDArray[np.float32]] | None = None
        for corners, said, _ in pieces:
            quad = np.array(corners, np.float32)
            if box is not None and not _meet(quad, box):
                continue
            wrong = edits(plain(said), line.replace("Đ", "D"))
            if wrong <= max(1, len(line) // 4) and (best is None or wrong < best[0]):
                best = (wrong, quad)
        if best is None:
            return None
        chosen.append(best[1])
    sides = np.mean([quad[1] - quad[0] + quad[2] - quad[3] for quad in chosen], axis=0)
    angle = math.atan2(sides[1], sides[0])
    if abs(angle) > math.radians(40):
        return None
    if len(chosen) == 2 and chosen[0].mean(0)[1] >= chosen[1].mean(0)[1]:
        return None
    return turned(np.concatenate(chosen), angle)


def plain(text: str) -> str:
    """Capitals and digits only, Đ as D: what an OCR without Đ can say."""
    return re.sub(r"[^A-Z0-9]", "", text.upper().replace("Đ", "D"))


def _meet(quad: Quad, box: Sequence[float]) -> bool:
    x, y = quad.mean(0)
    room = 0.15 * (box[2] - box[0])
    return bool(box[0] - room <= x <= box[2] + room and box[1] - room <= y <= box[3] + room)
