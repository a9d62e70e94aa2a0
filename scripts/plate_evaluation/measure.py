"""Reads photos one after another, ours and the peer side by side, and takes the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from edge_agent.camera.pictures import Image, load_picture
from edge_agent.camera.plates.read import Sight
from edge_agent.camera.plates.sights import PlateReader
from scripts.plate_evaluation.labels import Label
from scripts.plate_evaluation.peer import RapidOCR, says
from scripts.plate_evaluation.score import judge
from scripts.plate_evaluation.summary import Photo
from scripts.plate_evaluation.without_plates import Bare

T = TypeVar("T")


class BareRead(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in a picture without plates."""

    picture: Bare
    false: list[Sight]
    """Valid plates, every one an invention."""
    ms: float


def measure(labels: Iterable[Label], folder: Path, reader: PlateReader, peer: RapidOCR | None) -> Iterator[Photo]:
    """Read every photo once; the first is read once more beforehand, since first calls are slow.

    Raises PictureError for a photo that cannot be read.
    """
    for number, label in enumerate(labels):
        image = load_picture(folder / label.file)
        if number == 0:
            reader.sights(image)
            if peer:
                peer(image)
        sights, ms, cpu_ms = timed(reader.sights, image)
        pieces, peer_ms, peer_cpu_ms = timed(peer, image) if peer else (None, 0.0, 0.0)
        texts = None if pieces is None else [piece.text for piece in pieces]
        yield Photo(
            label=label,
            sights=sights,
            ms=ms,
            cpu_ms=cpu_ms,
            judged=judge(label, sights),
            peer_texts=texts,
            peer_right=bool(texts and label.text and says(texts, label.text)),
            peer_ms=peer_ms,
            peer_cpu_ms=peer_cpu_ms,
        )


def measure_bare(pictures: Iterable[Bare], reader: PlateReader) -> Iterator[BareRead]:
    """Read pictures without plates."""
    for picture in pictures:
        sights, ms, _ = timed(reader.sights, picture.image)
        yield BareRead(picture=picture, false=[sight for sight in sights if sight.read.valid], ms=ms)


def timed(read: Callable[[Image], T], image: Image) -> tuple[T, float, float]:
    """Give what `read` gives, and the milliseconds that it took: by the clock, and of the processor in all threads."""
    started, worked = time.perf_counter(), time.process_time()
    given = read(image)
    return given, 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - worked)
