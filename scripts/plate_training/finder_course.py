"""Trains the finder: composed scenes -> score, corners, lines and colour for every cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from edge_agent.camera.plates.cells import STRIDE, UNIT
from edge_agent.camera.plates.detector import padded
from scripts.plate_evaluation.labels import Box
from scripts.plate_evaluation.score import overlap
from scripts.plate_training.course import Course, Plan
from scripts.plate_training.examples import Quad
from scripts.plate_training.networks import COLOURS, Finder
from scripts.plate_training.reader_course import pixels
from scripts.plate_training.scenes import HEIGHT, NARROWEST, WIDEST, WIDTH, Composer, Plate, Scene

BATCH = 16
COLUMNS, ROWS = WIDTH // STRIDE, HEIGHT // STRIDE
CORE = 0.3
"""Cells within this share of a plate's size around its middle are asked to find it."""
UNSURE = -1.0
Target = npt.NDArray[np.float32]
RARITY = (0.5, 1.0, 1.0, 2.0, 1.0)
"""How much a plate of each of COLOURS counts when colours are learnt: most are white."""


class Scenes(Dataset[tuple[Tensor, Tensor]]):
    """Endless scenes; the n-th is the same in every run of the same seed."""

    def __init__(self, composer: Composer, seed: int, start: int, count: int) -> None:
        self._composer, self._seed, self._start, self._count = composer, seed, start, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        scene = self._composer(np.random.default_rng((self._seed, self._start + index)))
        return torch.from_numpy(scene.image), torch.from_numpy(wanted(scene))


def wanted(scene: Scene) -> Target:
    """ROWS x COLUMNS x 12: score (UNSURE: not asked), 8 corner offsets, lines (UNSURE), colour (UNSURE), weight."""
    target = np.zeros((ROWS, COLUMNS, 12), np.float32)
    x = (np.arange(COLUMNS, dtype=np.float32) + 0.5) * STRIDE
    y = (np.arange(ROWS, dtype=np.float32) + 0.5) * STRIDE
    centres = np.stack(np.meshgrid(x, y), -1)
    for quad in scene.unsure:
        _forbid(target, quad)
    for plate in scene.plates:
        width = float(np.linalg.norm(plate.quad[1] - plate.quad[0]))
        _forbid(target, plate.quad)
        if NARROWEST * 0.9 <= width <= WIDEST:
            _ask(target, centres, plate)
    return target


def _forbid(target: Target, quad: Quad) -> None:
    mask = np.zeros(target.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(quad / STRIDE * 16 - 8).astype(np.int32), 1, shift=4)
    target[(mask > 0) & (target[..., 0] < 1), 0] = UNSURE


def _ask(
    target: Target,
    centres: Target,
    plate: Plate,
) -> None:
    quad = plate.quad
    middle = quad.mean(0)
    right, down = (quad[1] - quad[0] + quad[2] - quad[3]) / 2, (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    basis = np.stack([right, down], 1)
    if abs(float(np.linalg.det(basis))) < 1:
        return
    inside = np.abs((centres - middle) @ np.linalg.inv(basis).T) < CORE
    cells = inside.all(-1)
    column, row = int(middle[0] // STRIDE), int(middle[1] // STRIDE)
    if 0 <= column < COLUMNS and 0 <= row < ROWS:
        cells[row, column] = True
    elif not cells.any():
        return
    offsets = (quad[None] - centres[cells][:, None]) / UNIT
    height = float(np.linalg.norm(down))
    target[cells] = np.concatenate(
        [np.ones((len(offsets), 1)), offsets.reshape(-1, 8),
         np.full((len(offsets), 1), {1: 0.0, 2: 1.0}.get(plate.lines, UNSURE)),
         np.full((len(offsets), 1), COLOURS.index(plate.colour) if plate.colour in COLOURS else UNSURE),
         np.full((len(offsets), 1), UNIT / max(8.0, height) / math.sqrt(len(offsets)))], 1,
    )  # fmt: skip


def loss(network: nn.Module, frames: Tensor, target: Tensor) -> Tensor:
    """Focal loss of the score, error of the corners in heights of the plate, lines, colour."""
    with torch.autocast(frames.device.type, torch.bfloat16):
        cells = network(pixels(frames))
    cells = cells.float().permute(0, 2, 3, 1)
    score, want = cells[..., 0], target[..., 0]
    asked, found = want >= 0, want == 1
    plain = functional.binary_cross_entropy_with_logits(score, want.clamp(min=0), reduction="none")
    wrong = (want - score.sigmoid()).abs()
    share = torch.where(found, 0.6, 0.4)
    focal = (share * wrong**2 * plain)[asked].sum() / found.sum().clamp(min=1)
    got, goal = cells[found], target[found]
    weight = goal[:, 11:]
    corners = (functional.smooth_l1_loss(got[:, 1:9], goal[:, 1:9], reduction="none", beta=0.1) * weight).sum()
    corners = corners / weight.sum().clamp(min=1e-6)
    known = goal[:, 9] >= 0
    lines = functional.binary_cross_entropy_with_logits(got[known, 9], goal[known, 9]) if known.any() else 0.0
    known = goal[:, 10] >= 0
    rarity = torch.tensor(RARITY, device=cells.device)
    colour = functional.cross_entropy(got[known, 10:], goal[known, 10].long(), rarity) if known.any() else 0.0
    return 4 * focal + 2 * corners + 0.3 * lines + 2 * colour


def measured(held: Sequence[Scene]) -> Callable[[nn.Module], dict[str, float]]:
    """Give a function that tells how many plates of whole photos are found, and how well."""

    @torch.no_grad()
    def measure(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        hits, overlaps, false, lines = 0, 0.0, 0, 0
        for scene in held:
            image = padded(scene.image)
            cells = network(pixels(torch.from_numpy(image[None]).to(device)))[0].permute(1, 2, 0).cpu().numpy()
            best = (0.0, 0, 0)
            plate = scene.plates[0]
            for row, column in zip(*np.nonzero(cells[..., 0] > 0), strict=True):  # probability over a half
                centre = (np.array([column, row]) + 0.5) * STRIDE
                quad = cells[row, column, 1:9].reshape(4, 2) * UNIT + centre
                best = max(best, (_shared(quad, plate.quad), row, column))
                others = [p.quad for p in scene.plates] + list(scene.unsure)
                false += all(_shared(quad, other) < 0.05 for other in others)
            hits += best[0] > 0.5
            overlaps += best[0]
            lines += best[0] > 0.5 and (cells[best[1], best[2], 9] > 0) == (plate.lines == 2)
        count = max(1, len(held))
        return {
            "recall": hits / count,
            "overlap": overlaps / count,
            "lines": lines / max(1, hits),
            "false": false / count,
        }

    return measure


def _shared(one: Quad, other: Quad) -> float:
    return overlap(_box(one), _box(other))


def _box(quad: Quad) -> Box:
    x0, y0, x1, y1 = (float(side) for side in (*quad.min(0), *quad.max(0)))
    return x0, y0, x1, y1


def train(composer: Composer, held: Sequence[Scene], plan: Plan) -> Finder:
    """Train the finder, or go on where the plan's folder says that it stopped; give the mean network."""
    torch.manual_seed(plan.seed)
    course = Course(Finder(), plan)
    start = course.step * BATCH
    data = Scenes(composer, plan.seed, start, max(1, plan.steps * BATCH - start))
    batches = iter(DataLoader(data, BATCH, num_workers=plan.workers))
    course.run(lambda _: next(batches), loss, measured(held))
    assert isinstance(course.mean, Finder)
    return course.mean
