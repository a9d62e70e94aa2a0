"""Networks -> ONNX files that take pictures as they are: uint8, blue green red, channels last."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_agent.camera.plates.rectify import HEIGHT, WIDTH
from scripts.plate_training.networks import Finder, Reader

OPSET = 17


class _FinderFile(nn.Module):
    def __init__(self, finder: Finder) -> None:
        super().__init__()
        self.finder = finder

    def forward(self, frame: Tensor) -> Tensor:
        cells = self.finder(frame.permute(0, 3, 1, 2).float() / 255).permute(0, 2, 3, 1)
        return torch.cat(
            [cells[..., :1].sigmoid(), cells[..., 1:9], cells[..., 9:10].sigmoid(), cells[..., 10:].softmax(-1)], -1
        )


class _ReaderFile(nn.Module):
    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, crops: Tensor) -> Tensor:
        return self.reader(crops.permute(0, 3, 1, 2).float() / 255).softmax(-1)


def export_finder(finder: Finder, path: Path) -> None:
    """Write `frame` uint8 [1,H,W,3] -> `cells` float32 [1,H/8,W/8,CELL]; H and W multiples of 32."""
    _export(
        _FinderFile(finder.eval()),
        torch.zeros(1, 256, 320, 3, dtype=torch.uint8),
        path,
        given="frame",
        gives="cells",
        free=(1, 2),
    )


def export_reader(reader: Reader, path: Path) -> None:
    """Write `crops` uint8 [N,64,160,3] -> `steps` float32 [N,2*STEPS,1+len(ALPHABET)]."""
    example = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    _export(_ReaderFile(reader.eval()), example, path, given="crops", gives="steps", free=(0,))


def _export(module: nn.Module, example: Tensor, path: Path, *, given: str, gives: str, free: tuple[int, ...]) -> None:
    buffer = io.BytesIO()
    torch.onnx.export(
        module, (example,), buffer, input_names=[given], output_names=[gives], opset_version=OPSET, dynamo=False,
        dynamic_axes={name: {axis: f"axis{axis}" for axis in free} for name in (given, gives)},
    )  # fmt: skip
    path.write_bytes(buffer.getvalue())
