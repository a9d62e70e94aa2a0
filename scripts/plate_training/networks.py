"""The two networks: Finder (frame -> cells) and Reader (crop -> steps). Plain convolutions, which every runtime has."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.camera.plates.cells import DetectorColour
from edge_agent.camera.plates.rectify import HEIGHT
from edge_agent.camera.plates.steps import STEPS

COLOURS: tuple[DetectorColour, ...] = ("white", "yellow", "blue", "red", "other")
CELL = 1 + 8 + 1 + len(COLOURS)
"""Score, four corners, two lines or one, colour."""

ALPHABET = "0123456789ABCDĐEFGHIJKLMNOPQRSTUVWXYZ"


def _layer(inputs: int, outputs: int, stride: int | tuple[int, int] = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _layer(width, width, dilation=dilation)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(self.first(x)).add_(x), inplace=True)


class Finder(nn.Module):
    """B x 3 x H x W in 0..1 (H, W multiples of 32) -> B x CELL x H/8 x W/8, raw: no sigmoid, no softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_layer(3, 12, 2), _layer(12, 24, 2), _layer(24, 48, 2), _Residual(48))
        self.coarse = nn.Sequential(_layer(48, 80, 2), _Residual(80), _Residual(80, 2), _Residual(80, 3))
        self.down = nn.Conv2d(80, 48, 1)
        self.join = _layer(48, 64)
        self.head = nn.Conv2d(64, CELL, 1)
        with torch.no_grad():
            self.head.bias[0] = -4.0  # plates are rare: start from there

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        coarse = functional.interpolate(self.down(self.coarse(fine)), scale_factor=2.0, mode="nearest")
        return self.head(self.join(fine + coarse))


class _Attention(nn.Module):
    """One pre-norm transformer layer over the steps of both lines."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, width = x.shape
        parts = self.inward(self.before(x)).reshape(batch, steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = (query @ key.transpose(2, 3) * (width // self.heads) ** -0.5).softmax(-1) @ value
        x = x + self.outward(seen.transpose(1, 2).reshape(batch, steps, width))
        return x + self.mix(x)


class Reader(nn.Module):
    """B x 3 x 64 x 160 in 0..1 -> B x 2*STEPS x 1+len(ALPHABET) logits: the upper line's steps, then the lower's."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _layer(3, 24, 2), _layer(24, 48, 2), _Residual(48), _Residual(48),
            _layer(48, 96, (2, 1)), _Residual(96), _Residual(96), nn.Conv2d(96, width, 1),
        )  # fmt: skip
        self.row = nn.Parameter(torch.randn(1, width, HEIGHT // 8, 1) * 0.1)
        self.look = nn.Conv2d(width, 2, 1)
        """Where each line stands, column by column."""
        self.place = nn.Parameter(torch.randn(1, 2 * STEPS, width) * 0.02)
        self.context = nn.Sequential(_Attention(width, 4), _Attention(width, 4))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1 + len(ALPHABET)))

    def forward(self, x: Tensor) -> Tensor:
        map_ = self.body(x) + self.row
        weight = self.look(map_).softmax(2)  # B x 2 x rows x STEPS
        steps = torch.einsum("bcrs,blrs->blsc", map_, weight).flatten(1, 2) + self.place
        return self.head(self.context(steps))
