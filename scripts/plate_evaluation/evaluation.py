"""One evaluation from labels to tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import cv2
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge_agent.camera.pictures import PictureError
from edge_agent.camera.plates.sights import PlateReader
from edge_agent.errors import ModelError
from scripts.plate_evaluation.labels import LabelsError, load, select
from scripts.plate_evaluation.measure import measure, measure_bare
from scripts.plate_evaluation.outputs import OutputError, outside, write_csv, write_sheet
from scripts.plate_evaluation.peer import PeerError, RapidOCR
from scripts.plate_evaluation.tables import show_bare, show_photos
from scripts.plate_evaluation.without_plates import without_plates

LEAST_WIDTH = 130
"""Columns of the tables with a peer."""
T = TypeVar("T")


class Unusable(Exception):
    """Nothing can be measured; the text says what is wrong and what to do."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The command line."""

    labels: Path
    part: str
    kind: str
    folder: str
    first: int | None
    peer: str | None
    without_plates: int
    csv: Path | None
    wrong: Path | None


def evaluate(asked: Asked) -> None:
    """Measure and print. Raises Unusable."""
    try:
        _evaluate(asked)
    except (LabelsError, OutputError, PeerError, PictureError, ModelError) as error:
        raise Unusable(str(error)) from error


def _evaluate(asked: Asked) -> None:
    for path in (asked.csv, asked.wrong):
        if path:
            outside(path)
    labels, folder = load(asked.labels), asked.labels.parent
    chosen = select(labels, part=asked.part, kind=asked.kind, folder=asked.folder, first=asked.first)
    if not chosen:
        where = f" in {asked.folder}/" if asked.folder else ""
        raise Unusable(f"{asked.labels}: no photo of part {asked.part}, kind {asked.kind}{where} says what it shows")
    missing = [label.file for label in chosen if not (folder / label.file).is_file()]
    if missing:
        raise Unusable(
            f"{folder / missing[0]}: no such photo ({len(missing)} of {len(chosen)} are missing); copy it there"
        )
    cv2.setNumThreads(1)
    reader, ours_s = _loaded(lambda: PlateReader(threads=1))
    peer, peer_s = _loaded(RapidOCR) if asked.peer else (None, 0.0)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:  # fmt: skip
        photos = list(progress.track(measure(chosen, folder, reader, peer), len(chosen), description="photos"))
        finds_texts = peer or (RapidOCR() if asked.without_plates and find_spec("rapidocr_onnxruntime") else None)
        pictures = without_plates(labels, folder, asked.without_plates, finds_texts)
        bare = list(progress.track(measure_bare(pictures, reader), asked.without_plates, description="without plates"))
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    loaded = f"Our models loaded in {ours_s:.2f} s" + (f", the peer {peer.name}'s in {peer_s:.2f} s" if peer else "")
    busy = f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    console.print(f"{loaded}. One thread each; {busy}.", highlight=False)
    show_photos(photos, console)
    if bare:
        show_bare(bare, console)
    if asked.csv:
        write_csv(photos, asked.csv)
    if asked.wrong:
        console.print(f"{write_sheet(photos, bare, folder, asked.wrong)} not exact or false: {asked.wrong}")


def _loaded(load_models: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return load_models(), time.perf_counter() - started
