"""Trains the reader: crops of real, exchanged and drawn plates -> the text of each line."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from edge_agent.camera.plates.rectify import crop
from edge_agent.camera.plates.steps import STEPS
from scripts.plate_training.course import Course, Plan
from scripts.plate_training.crops import view
from scripts.plate_training.examples import Example
from scripts.plate_training.exchange import Glyphs
from scripts.plate_training.networks import ALPHABET, Reader
from scripts.plate_training.weather import Random

BATCH = 96
LONGEST = 8
"""Characters of a line, at most 10 for the line of a plate with one."""
SHARES = {
    "street": 0.38,
    "gate": 0.06,
    "crops/char": 0.05,
    "crops/line": 0.09,
    "exchange": 0.12,
    "drawn": 0.22,
    "nothing": 0.08,
}
"""How often a crop comes from each source."""
HELD_OUT = 12
"""Of so many street plates one is kept for measuring, chosen by its text."""
HARD = 12.0
"""Loss of a plate from which it pulls less."""
Drawing = Callable[[Random], Example]


def held_out(example: Example) -> bool:
    """Tell whether a plate is never trained on: wherever it is seen."""
    return zlib.crc32("".join(example.lines).encode()) % HELD_OUT == 0


class Crops(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Endless crops; the n-th is the same in every run of the same seed."""

    def __init__(
        self, examples: Sequence[Example], made: Mapping[str, Drawing], *, seed: int, start: int, count: int
    ) -> None:
        kept = [example for example in examples if not held_out(example)]
        self._of = {name: [e for e in kept if e.name.startswith(name)] for name in SHARES}
        self._glyphs = Glyphs(self._of["crops/char"])
        self._made = made
        self._seed, self._start, self._count = seed, start, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        random = np.random.default_rng((self._seed, self._start + index))
        name = str(random.choice(list(SHARES), p=list(SHARES.values())))
        if name in self._made:
            example = self._made[name](random)
        elif name == "exchange":
            plates = self._glyphs.plates
            example = self._glyphs.exchanged(plates[int(random.integers(len(plates)))], random)
        else:
            of = self._of[name]
            example = of[int(random.integers(len(of)))]
        target, sizes = coded(example.lines)
        return torch.from_numpy(view(example, random)), target, sizes


def coded(lines: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Give the classes of both lines (2 x 12, padded) and their lengths (2)."""
    target, sizes = torch.zeros(2, 12, dtype=torch.long), torch.zeros(2, dtype=torch.long)
    for i, line in enumerate(lines):
        target[i, : len(line)] = torch.tensor([1 + ALPHABET.index(character) for character in line])
        sizes[i] = len(line)
    return target, sizes


def pixels(crops: Tensor) -> Tensor:
    """B x H x W x 3 bytes -> B x 3 x H x W in 0..1."""
    return crops.permute(0, 3, 1, 2).float().div_(255)


def loss(network: nn.Module, crops: Tensor, target: Tensor, sizes: Tensor) -> Tensor:
    """CTC of the upper line plus CTC of the lower, mean over plates."""
    with torch.autocast(crops.device.type, torch.bfloat16):
        logits = network(pixels(crops))
    chances = logits.float().log_softmax(-1).reshape(-1, STEPS, logits.shape[-1]).transpose(0, 1)
    lines = target.reshape(-1, target.shape[-1])
    steps = torch.full((len(lines),), STEPS, dtype=torch.long)
    each = functional.ctc_loss(chances, lines, steps, sizes.reshape(-1).cpu(), reduction="none", zero_infinity=True)
    plates = each.reshape(-1, 2).sum(1)
    # a plate whose label is wrong, or that nobody can read, may not pull as hard as one that can be learnt
    return (plates - 0.9 * functional.relu(plates - HARD)).mean()


def said(logits: Tensor) -> list[str]:
    """Greedy text of each plate, lines joined by |."""
    best = logits.argmax(-1).reshape(len(logits), 2, STEPS).tolist()
    texts = []
    for plate in best:
        lines = []
        for line in plate:
            kept = [c for i, c in enumerate(line) if c and (i == 0 or line[i - 1] != c)]
            lines.append("".join(ALPHABET[c - 1] for c in kept))
        texts.append("|".join(lines) if lines[1] else lines[0])
    return texts


def measured(examples: Sequence[Example]) -> Callable[[nn.Module], dict[str, float]]:
    """Give a function that tells the share of held-out plates read exactly."""
    kept = [e for e in examples if held_out(e) and e.name.startswith(("street/near", "gate"))]
    if not kept:
        return lambda _: {}
    crops = torch.from_numpy(np.stack([crop(e.image, e.quad, len(e.lines) == 2) for e in kept]))
    want = ["|".join(e.lines) for e in kept]

    @torch.no_grad()
    def measure(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        got = [text for part in crops.split(64) for text in said(network(pixels(part.to(device))))]
        figures = {}
        for name in ("street", "gate"):
            of = [g == w for e, g, w in zip(kept, got, want, strict=True) if e.name.startswith(name)]
            figures[name] = sum(of) / max(1, len(of))
        return figures

    return measure


def train(examples: Sequence[Example], made: Mapping[str, Drawing], plan: Plan) -> Reader:
    """Train the reader, or go on where the plan's folder says that it stopped; give the mean network."""
    torch.manual_seed(plan.seed)
    course = Course(Reader(), plan)
    start = course.step * BATCH
    data = Crops(examples, made, seed=plan.seed, start=start, count=max(1, plan.steps * BATCH - start))
    batches = iter(DataLoader(data, BATCH, num_workers=plan.workers))
    course.run(lambda _: next(batches), loss, measured(examples))
    assert isinstance(course.mean, Reader)
    return course.mean
