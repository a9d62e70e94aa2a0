"""The steps of training, in their order; what one knows of the others lies in the work folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import torch
from rich.progress import Progress

from scripts.plate_training import finder_course, own, reader_course, teacher
from scripts.plate_training.course import Plan
from scripts.plate_training.drawn import drawing
from scripts.plate_training.examples import Example, cut, examples
from scripts.plate_training.networks import Finder, Reader
from scripts.plate_training.scenes import scenes

EARLY = 3000
"""Training steps after which the models are good enough to label photos whose plate nobody boxed."""


class Settings(NamedTuple):
    """What the command line says."""

    photos: Path
    work: Path
    models: Path
    finder_steps: int
    reader_steps: int
    seed: int
    device: str
    threads: int
    workers: int


def run(step: str, settings: Settings) -> None:
    """Do one of STEPS. Raises FileNotFoundError where a step before it is missing."""
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)
    settings.work.mkdir(parents=True, exist_ok=True)
    print(f"== {step}", flush=True)
    STEPS[step](settings)


def _teach(settings: Settings) -> None:
    with Progress() as progress:
        bar = progress.add_task("photos looked at by the OCR")
        for done, total in teacher.look(settings.photos, settings.work / "pieces.jsonl"):
            progress.update(bar, completed=done, total=total)


def _early(settings: Settings) -> None:
    train_finder(settings, EARLY)
    train_reader(settings, EARLY)


def _own(settings: Settings) -> None:
    finder, reader = train_finder(settings, EARLY), train_reader(settings, EARLY)
    with Progress() as progress:
        bar = progress.add_task("photos labelling themselves")
        for done, total in own.look(settings.photos, finder.cpu(), reader.cpu(), settings.work / "own.jsonl"):
            progress.update(bar, completed=done, total=total)


def _finder(settings: Settings) -> None:
    train_finder(settings, settings.finder_steps)


def _reader(settings: Settings) -> None:
    train_reader(settings, settings.reader_steps)


STEPS: dict[str, Callable[[Settings], None]] = {
    "teach": _teach, "early": _early, "own": _own, "finder": _finder, "reader": _reader,
}  # fmt: skip


def known(settings: Settings) -> list[Example]:
    """Every photo whose plate's text and place are known so far."""
    return list(examples(settings.photos, teacher.pieces(settings.work / "pieces.jsonl"), _owns(settings)))


def _owns(settings: Settings) -> dict[str, own.Own]:
    labelled = settings.work / "own.jsonl"
    return own.owns(labelled) if labelled.exists() else {}


def train_finder(settings: Settings, until: int) -> Finder:
    """Train the finder up to a step, or load it where it is there already."""
    plates = known(settings)
    pieces = teacher.pieces(settings.work / "pieces.jsonl")
    every = list(scenes(settings.photos, plates, pieces, _owns(settings)))
    away = {plate.name for plate in plates if reader_course.held_out(plate)}
    return finder_course.train(
        [scene for scene in every if scene.name not in away],
        [plate for plate in plates if plate.name not in away],
        [scene for scene in every if scene.name in away and "near" not in scene.name],
        drawing,
        _plan(settings, "finder", settings.finder_steps, until),
    )


def train_reader(settings: Settings, until: int) -> Reader:
    """Train the reader up to a step, or load it where it is there already."""
    plates = [plate if plate.characters else cut(plate) for plate in known(settings)]
    return reader_course.train(plates, drawing, _plan(settings, "reader", settings.reader_steps, until))


def _plan(settings: Settings, name: str, steps: int, until: int) -> Plan:
    return Plan(settings.work / name, steps, until, settings.seed, settings.device, settings.workers)
