"""The steps of training, in their order; what one knows of the others lies in the work folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import torch
from rich.progress import Progress

from edge_agent.camera.plates.card import Data, Round
from scripts.plate_training import finder_course, own, reader_course, teacher
from scripts.plate_training.course import Plan
from scripts.plate_training.drawn import drawing
from scripts.plate_training.examples import Example, cut, examples
from scripts.plate_training.networks import Finder, Reader
from scripts.plate_training.nothing import Nothing, sign
from scripts.plate_training.publish import Making, publish
from scripts.plate_training.scenes import Composer, Scene, scenes
from scripts.plate_training.weather import Random

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
    if (settings.work / "own.jsonl").exists():
        return  # labels of other, later networks would make another training
    finder, reader = train_finder(settings, EARLY), train_reader(settings, EARLY)
    with Progress() as progress:
        bar = progress.add_task("photos labelling themselves")
        for done, total in own.look(settings.photos, finder.cpu(), reader.cpu(), settings.work / "own.jsonl"):
            progress.update(bar, completed=done, total=total)


def _finder(settings: Settings) -> None:
    train_finder(settings, settings.finder_steps)


def _reader(settings: Settings) -> None:
    train_reader(settings, settings.reader_steps)


def _publish(settings: Settings) -> None:
    networks = train_finder(settings, settings.finder_steps).cpu(), train_reader(settings, settings.reader_steps).cpu()
    plates = known(settings)
    whole = {"".join(plate.lines) for plate in plates if plate.name.startswith(("street/whole", "street/boxed"))}
    photos = [plate for plate in plates if not plate.name.startswith("crops")]
    held = [plate for plate in photos if reader_course.held_out(plate)]
    # a plate that is there in its whole photo is not judged in the cut again
    held = [p for p in held if "near" not in p.name or "".join(p.lines) not in whole]
    trained = [plate for plate in plates if not reader_course.held_out(plate)]
    kinds = Counter(plate.name.rsplit("-", 1)[0] for plate in trained)
    seen = settings.reader_steps * reader_course.BATCH
    shares = reader_course.SHARES
    made = {
        "exchange": "plates whose boxed glyphs changed places by lot",
        "drawn": "drawn plates of every class",
        "nothing": "pieces of photos and drawn signs without a plate",
    }
    data = [Data(f"labelled photos {kind}, each seen many times", count) for kind, count in sorted(kinds.items())]
    data += [Data(what, round(seen * shares[name])) for name, what in made.items()]
    making = Making(
        tuple(data),
        f"scripts/train_plates.py all --finder-steps {settings.finder_steps} --reader-steps {settings.reader_steps}",
        settings.seed,
        {"detector": _curve(settings.work / "finder", "recall"), "reader": _curve(settings.work / "reader", "street")},
    )
    publish(networks, held, trained, making, settings.models)


def _curve(folder: Path, figure: str) -> tuple[Round, ...]:
    """Give what was measured after each 1,000 steps, and at the end."""
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    rounds = {line["step"]: line[figure] for line in lines if line["step"] % 1000 == 0 or line is lines[-1]}
    return tuple(Round(step, right) for step, right in sorted(rounds.items()))


STEPS: dict[str, Callable[[Settings], None]] = {
    "teach": _teach, "early": _early, "own": _own, "finder": _finder, "reader": _reader,
    "publish": _publish,
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
    photos, kept = _parted(settings, plates)
    composer = Composer(photos, [plate for plate in plates if not reader_course.held_out(plate)], drawing, sign)
    kept = [scene for scene in kept if "near" not in scene.name]
    return finder_course.train(composer, kept, _plan(settings, "finder", settings.finder_steps, until))


def train_reader(settings: Settings, until: int) -> Reader:
    """Train the reader up to a step, or load it where it is there already."""
    plates = known(settings)
    made: dict[str, Callable[[Random], Example]] = {"drawn": drawing, "nothing": Nothing(_parted(settings, plates)[0])}
    cuts = [plate if plate.characters else cut(plate) for plate in plates]
    return reader_course.train(cuts, made, _plan(settings, "reader", settings.reader_steps, until))


def _parted(settings: Settings, plates: Sequence[Example]) -> tuple[list[Scene], list[Scene]]:
    """Give the photos to train on and those that are held out."""
    away = {plate.name for plate in plates if reader_course.held_out(plate)}
    pieces = teacher.pieces(settings.work / "pieces.jsonl")
    every = list(scenes(settings.photos, plates, pieces, _owns(settings)))
    return [s for s in every if s.name not in away], [s for s in every if s.name in away]


def _plan(settings: Settings, name: str, steps: int, until: int) -> Plan:
    return Plan(settings.work / name, steps, until, settings.seed, settings.device, settings.workers)
