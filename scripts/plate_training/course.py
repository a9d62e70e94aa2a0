"""A course of training: the same steps for both networks, kept on disk so that an interruption costs minutes."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

WARM = 300
"""Steps until the full rate."""
MEMORY = 0.998
"""Of the running mean of the weights, which is what is measured and exported."""
CLIP = 5.0


class Plan(NamedTuple):
    """How a network is trained."""

    folder: Path
    """Of checkpoint and curve."""
    steps: int
    """Of the whole course: the rate falls over them."""
    until: int
    """The step to stop at for now."""
    seed: int
    device: str
    workers: int
    """Processes that make examples; 0: none beside the network's own."""
    every: int = 250
    """Steps between measurements."""
    rate: float = 2e-3


class Course:
    """Trains `network` and keeps a running mean of its weights."""

    def __init__(self, network: nn.Module, plan: Plan) -> None:
        folder, device, rate = plan.folder, plan.device, plan.rate
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(network).eval()
        self.step = 0
        self._plan = plan
        self._file = folder / "checkpoint.pt"
        self._curve = folder / "curve.jsonl"
        decayed = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], lr=rate
        )
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            kept = torch.load(self._file, map_location=device, weights_only=True)
            self.network.load_state_dict(kept["network"])
            self.mean.load_state_dict(kept["mean"])
            self._optimiser.load_state_dict(kept["optimiser"])
            self.step = kept["step"]

    def run(
        self,
        batch: Callable[[int], tuple[Tensor, ...]],
        loss: Callable[..., Tensor],
        measure: Callable[[nn.Module], dict[str, float]],
    ) -> None:
        """Train up to step `until`; every `every` steps measure, note it in curve.jsonl and keep a checkpoint."""
        every, until = self._plan.every, min(self._plan.until, self._plan.steps)
        started, total = time.monotonic(), 0.0
        self.network.train()
        while self.step < until:
            for group in self._optimiser.param_groups:
                group["lr"] = self._rate_now()
            given = [part.to(self._plan.device) for part in batch(self.step)]
            value = loss(self.network, *given)
            self._optimiser.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self._optimiser.step()
            self.step += 1
            self._remember()
            total += value.item()
            if self.step % every == 0 or self.step == until:
                figures = {"step": self.step, "loss": total / every, "seconds": time.monotonic() - started}
                started, total = time.monotonic(), 0.0
                self._note(figures | measure(self.mean))

    def _rate_now(self) -> float:
        share = self.step / self._plan.steps
        return (
            self._plan.rate * min(1.0, (self.step + 1) / WARM) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * share)))
        )

    @torch.no_grad()
    def _remember(self) -> None:
        share = min(MEMORY, self.step / (self.step + 10))
        for mean, now in zip(self.mean.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - share)
            else:
                mean.copy_(now)

    def _note(self, figures: dict[str, float]) -> None:
        line = json.dumps({name: round(value, 4) for name, value in figures.items()})
        print(line, flush=True)
        with self._curve.open("a") as file:
            file.write(line + "\n")
        new = self._file.with_suffix(".new")
        torch.save(
            {"network": self.network.state_dict(), "mean": self.mean.state_dict(),
             "optimiser": self._optimiser.state_dict(), "step": self.step}, new
        )  # fmt: skip
        new.replace(self._file)
