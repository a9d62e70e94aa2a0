"""Pictures with plates in them, for the finder: labelled photos, and new ones pasted together from them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.camera.plates.cells import overlap
from scripts.plate_training.examples import Example, Image, Piece, Quad, rows, upright
from scripts.plate_training.weather import Random, lit, seen

if TYPE_CHECKING:  # it needs torch, scenes do not
    from scripts.plate_training.own import Own

WIDTH, HEIGHT = 320, 256
"""Of a scene to train on, in pixels."""
NARROWEST, WIDEST = 18.0, 190.0
"""Width of a plate's text in a scene; narrower or wider ones are not asked for."""
TOUCHING = 0.15
"""Of the smaller one's upright box."""
WHOLE = {"street": 0.5, "gate": 0.3, "close": 0.2}
"""How often a scene begins with a whole photo of each folder."""
Drawing = Callable[[Random], Example]


class Plate(NamedTuple):
    """A plate in a scene."""

    quad: Quad
    lines: int
    """1, 2, or 0 where unknown."""
    colour: str
    """Empty where unknown."""


class Scene(NamedTuple):
    """A picture and what is known of its plates."""

    name: str
    image: Image
    plates: tuple[Plate, ...]
    unsure: tuple[Quad, ...]
    """Places that may be plates or not: nothing is learnt there."""


def scenes(
    folder: Path, known: Sequence[Example], pieces: Mapping[str, list[Piece]], own: Mapping[str, Own]
) -> Iterator[Scene]:
    """Give every labelled photo whose plates' places are known, whole."""
    by_name = {example.name: example for example in known}
    for row in rows(folder):
        if row["kind"] == "crop" or not (row["boxes"] or row["file"] in by_name):
            continue
        boxes = [upright(*box) for box in json.loads(row["boxes"] or "[]")]
        example = by_name.get(row["file"])
        if example is not None:
            plates = [Plate(example.quad, len(example.lines), example.colour)]
            image = example.image
            plates += [Plate(box, 0, "") for box in boxes if not near(box, example.quad)]
        else:
            colour = row["colour"] if "/" not in row["colour"] else ""
            plates = [Plate(box, {"one": 1, "two": 2}.get(row["layout"], 0), colour) for box in boxes]
            read = cv2.imread(str(folder / row["file"]))
            assert read is not None
            image = cast(Image, read)
        unsure = [
            np.array(corners, np.float32)
            for corners, said, _ in pieces.get(row["file"], [])
            if sum(c.isdigit() for c in said) >= 2
        ]
        if row["file"] in own:
            unsure += own[row["file"]].others
        unsure = [quad for quad in unsure if not any(near(quad, plate.quad) for plate in plates)]
        if row["file"].startswith("gate"):
            unsure = []  # every plate is boxed; what else reads like one is the camera's own text
        yield Scene(row["file"], image, tuple(plates), tuple(unsure))


def near(one: Quad, other: Quad) -> bool:
    """Tell whether two quads cover a part of each other."""
    return bool(overlap(one, other) > TOUCHING)


class Composer:
    """Makes new scenes: a piece of a whole photo, with plates from elsewhere pasted in, under another weather."""

    def __init__(self, known: Sequence[Scene], plates: Sequence[Example], drawing: Drawing, sign: Drawing) -> None:
        self._whole = [[scene for scene in known if scene.name.startswith(name)] for name in WHOLE]
        self._cuts = [scene for scene in known if "near" in scene.name]
        self._alone = [alone(example) for example in plates if example.characters]
        self._drawing, self._sign = drawing, sign

    def __call__(self, random: Random) -> Scene:
        """Give a scene of WIDTH x HEIGHT."""
        base = self._base(random)
        image, plates, unsure = _piece(base, random)
        for _ in range(int(random.integers(0, 6))):
            kind = random.random()
            if kind < 0.15:
                patch = self._nothing(random)
            elif kind < 0.25:
                patch = Scene("nothing", self._sign(random).image, (), ())
            elif kind < 0.45:
                patch = alone(self._drawing(random))
            elif kind < 0.5:
                patch = self._alone[int(random.integers(len(self._alone)))]
            else:
                patch = self._cuts[int(random.integers(len(self._cuts)))]
            if random.random() < 0.5:
                patch = leaning(patch, random)
            plates, unsure = _paste(image, patch, plates, unsure, random)
        image, matrix = _tilted(image, random)
        plates = [plate._replace(quad=_moved(plate.quad, matrix)) for plate in plates]
        image = seen(lit(image, random), random, 0.6)
        return Scene("made", image, tuple(plates), tuple(_moved(quad, matrix) for quad in unsure))

    def _base(self, random: Random) -> Scene:
        of = self._whole[int(random.choice(len(WHOLE), p=list(WHOLE.values())))]
        return of[int(random.integers(len(of)))]

    def _nothing(self, random: Random) -> Scene:
        """Give a piece of a photo without its plates: an edge of a pasted piece is no sign of a plate."""
        base = self._base(random)
        height, width = base.image.shape[:2]
        w, h = int(random.integers(50, 140)), int(random.integers(40, 110))
        x, y = int(random.integers(max(1, width - w))), int(random.integers(max(1, height - h)))
        box = upright(x, y, x + w, y + h)
        image = base.image[y : y + h, x : x + w].copy()
        moved = [quad - np.array([x, y], np.float32) for quad in (*(p.quad for p in base.plates), *base.unsure)]
        touching = [quad for quad in moved if near(quad + np.array([x, y], np.float32), box)]
        for quad in touching:
            x0, y0, x1, y1 = _bounds(quad, image.shape)
            image[y0:y1, x0:x1] = 114
        return Scene("nothing", image, (), ())


def leaning(patch: Scene, random: Random) -> Scene:
    """Give a patch as it looks obliquely: turned, slanted, narrowed. What it does not cover is black."""
    height, width = patch.image.shape[:2]
    corners = upright(0, 0, width, height)
    narrow = random.uniform(0.45, 1.0)
    angle, slant, slope = random.normal(0, 0.12), random.normal(0, 0.12), random.normal(0, 0.3) * (1.3 - narrow)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    goal = (corners * (narrow, 1)) @ np.array([[1, slope], [slant, 1]]) @ turn
    goal = goal + random.normal(0, 0.02, (4, 2)) * (width, height)
    goal = (goal - goal.min(0)).astype(np.float32)
    size = (math.ceil(goal[:, 0].max()), math.ceil(goal[:, 1].max()))
    matrix = cv2.getPerspectiveTransform(corners, goal)
    image = cv2.warpPerspective(np.maximum(patch.image, 1), matrix, size)
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    image[mask == 0] = 0
    plates = tuple(plate._replace(quad=_moved(plate.quad, matrix)) for plate in patch.plates)
    return Scene("leaning", cast(Image, image), plates, tuple(_moved(quad, matrix) for quad in patch.unsure))


def _moved(quad: Quad, matrix: npt.NDArray[np.floating]) -> Quad:
    return cast(Quad, cv2.perspectiveTransform(quad[None].astype(np.float32), matrix)[0])


def alone(example: Example) -> Scene:
    """Give a plate without a photo around it as a patch."""
    return Scene("alone", example.image, (Plate(example.quad, len(example.lines), example.colour),), ())


def _piece(base: Scene, random: Random) -> tuple[Image, list[Plate], list[Quad]]:
    """Cut WIDTH x HEIGHT out of a photo at some scale; around a plate as often as anywhere."""
    height, width = base.image.shape[:2]
    least = max(WIDTH / width, HEIGHT / height)
    scale = least * math.exp(random.uniform(0, math.log(max(1.01, 1.8 / least))))
    if base.plates and random.random() < 0.3:  # a plate of any size
        wide = float(np.linalg.norm(base.plates[0].quad[1] - base.plates[0].quad[0]))
        scale = max(least, math.exp(random.uniform(math.log(20), math.log(180))) / max(1.0, wide))
        scale = min(scale, 3.0 * max(1.0, least))
    size = (max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale)))
    factor = np.array([size[0] / width, size[1] / height], np.float32)
    image = cv2.resize(base.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = int(random.integers(size[0] - WIDTH + 1)), int(random.integers(size[1] - HEIGHT + 1))
    if base.plates and random.random() < 0.6:
        centre = base.plates[int(random.integers(len(base.plates)))].quad.mean(0) * factor
        x = int(np.clip(centre[0] - random.uniform(40, WIDTH - 40), 0, size[0] - WIDTH))
        y = int(np.clip(centre[1] - random.uniform(30, HEIGHT - 30), 0, size[1] - HEIGHT))
    shift = np.array([x, y], np.float32)
    plates = [plate._replace(quad=plate.quad * factor - shift) for plate in base.plates]
    return image[y : y + HEIGHT, x : x + WIDTH].copy(), plates, [quad * factor - shift for quad in base.unsure]


def _paste(
    image: Image, patch: Scene, plates: list[Plate], unsure: list[Quad], random: Random
) -> tuple[list[Plate], list[Quad]]:
    """Lay a patch into a picture where it covers no plate; give the plates that are then there."""
    scale = math.exp(random.uniform(math.log(0.5), math.log(1.8)))
    if patch.plates:
        wide = float(np.linalg.norm(patch.plates[0].quad[1] - patch.plates[0].quad[0]))
        scale = min(2.2, math.exp(random.uniform(math.log(NARROWEST), math.log(150))) / max(1.0, wide))
    height, width = (round(side * scale) for side in patch.image.shape[:2])
    if not (12 <= height <= HEIGHT and 12 <= width <= WIDTH):
        return plates, unsure
    small = cv2.resize(patch.image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = int(random.integers(WIDTH - width + 1)), int(random.integers(HEIGHT - height + 1))
    box = upright(x, y, x + width, y + height)
    if any(near(box, quad) for quad in (*(plate.quad for plate in plates), *unsure)):
        return plates, unsure
    place = image[y : y + height, x : x + width]
    shown = small.max(-1) > 0
    place[shown] = small[shown]
    factor = np.array([width / patch.image.shape[1], height / patch.image.shape[0]], np.float32)
    shift = np.array([x, y], np.float32)
    added = [plate._replace(quad=plate.quad * factor + shift) for plate in patch.plates]
    return plates + added, unsure + [quad * factor + shift for quad in patch.unsure]


def _tilted(image: Image, random: Random) -> tuple[Image, Quad]:
    """Look at a picture from another side; give the matrix of that."""
    corners = upright(0, 0, WIDTH, HEIGHT)
    angle = random.normal(0, 0.07)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    goal = (corners - corners.mean(0)) @ turn + corners.mean(0) + random.normal(0, 8, (4, 2))
    matrix = cv2.getPerspectiveTransform(corners, goal.astype(np.float32))
    tilted = cv2.warpPerspective(image, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)
    return cast(Image, tilted), matrix.astype(np.float32)


def _bounds(quad: Quad, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    low, high = np.floor(quad.min(0) - 4).astype(int), np.ceil(quad.max(0) + 4).astype(int)
    return max(0, low[0]), max(0, low[1]), min(shape[1], high[0]), min(shape[0], high[1])
